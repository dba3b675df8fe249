//! Which programs are run and which are not, through the whole wall.
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use wbd_model::entry::Outcome;

use super::{Host, run};

#[tokio::test]
async fn shells_strangers_files_and_the_supervisor_are_not_run() {
    let mut host = Host::new();
    let open = host.program("writable", "true");
    fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
    host.program("bin/sh", "true");
    host.program("fine", "true");
    std::os::unix::fs::symlink("sh", host.path("bin/vendor")).unwrap();
    let cases: [&[&str]; 7] = [
        &[],
        &["fine"],
        &["/writable"],
        &["/bin/sh", "-c", "true"],
        &["/bin/vendor", "-c", "true"],
        &["/fine", "stop", "wbd-supervisord.service"],
        &["/bin"],
    ];
    for argv in cases {
        assert!(host.executor.preview(&run(argv, 1_000)).is_err(), "{argv:?}");
        assert_eq!(host.act(run(argv, 1_000), None).await.outcome, Outcome::Failed, "{argv:?}");
    }
    assert_eq!(host.called(), "");
}

/// Refused at the preview and at the act, in the same words.
async fn refused(host: &mut Host, argv: &[&str], words: &str) {
    let preview = host.executor.preview(&run(argv, 1_000)).unwrap_err().to_string();
    let report = host.act(run(argv, 1_000), None).await;
    assert_eq!(report.outcome, Outcome::Failed, "{argv:?}");
    for said in [&preview, &report.detail] {
        assert!(said.contains(words), "{argv:?}: {said}");
    }
}

#[tokio::test]
async fn what_no_playbook_runs_is_refused_behind_links_too_and_a_script_is_run() {
    let mut host = Host::new();
    for tool in ["dash", "env", "python3.11", "systemctl", "apt-get", "nft", "mount"] {
        host.program(&format!("usr/bin/{tool}"), "true");
    }
    host.program("opt/toy/shutdown", "true");
    fs::create_dir_all(host.path("sbin")).unwrap();
    symlink("../usr/bin/systemctl", host.path("sbin/reboot")).unwrap();
    symlink("../../usr/bin/systemctl", host.path("opt/toy/again")).unwrap();
    symlink("../../usr/bin/env", host.path("opt/toy/fix")).unwrap();
    symlink("../../usr/bin/dash", host.path("opt/toy/run")).unwrap();
    refused(&mut host, &["/sbin/reboot"], "reboot stops or restarts the machine").await;
    refused(&mut host, &["/usr/bin/apt-get", "-y", "remove", "x"], "changes packages").await;
    refused(&mut host, &["/usr/bin/nft", "flush", "ruleset"], "changes the packet filter").await;
    refused(&mut host, &["/usr/bin/mount", "/mnt"], "changes what is mounted").await;
    refused(&mut host, &["/opt/toy/again", "restart", "x"], "the action for it is unit.restart").await;
    refused(&mut host, &["/opt/toy/fix", "/opt/toy/shutdown"], "env runs another program").await;
    refused(&mut host, &["/opt/toy/run", "-c", "reboot"], "dash is a shell").await;
    refused(&mut host, &["/usr/bin/python3.11", "-c", "import os"], "put it into a script of root's").await;
    assert_eq!(host.called(), "");
    assert_eq!(host.act(run(&["/opt/toy/shutdown", "now"], 60_000), None).await.outcome, Outcome::Done);
    assert_eq!(host.act(run(&["/usr/bin/python3.11", "/opt/toy/tool.py"], 60_000), None).await.outcome, Outcome::Done);
    assert_eq!(host.called(), "now\n/opt/toy/tool.py\n");
}
