//! The inotify limits, lowered for one agent only: a user namespace has limits of its own, so the machine's stay as they are.

use super::host::Host;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use wbd_agent_api::{Code, FailedAt, HealthDocument, paths};

const WATCHES: &str = "/proc/sys/user/max_inotify_watches";
const INSTANCES: &str = "/proc/sys/user/max_inotify_instances";

/// Whether limits can be lowered here; says so if not.
fn can_lower(test: &str) -> bool {
    let tried = Command::new("/usr/bin/unshare")
        .args(["--user", "--map-root-user", "/usr/bin/tee", WATCHES])
        .stdin(Stdio::null())
        .output();
    let can = tried.is_ok_and(|tried| tried.status.into_raw() == 0);
    if !can {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no user namespace can be made here");
    }
    can
}

/// A shell is the shortest way to write a limit and then become the agent; the texts are constants of this test.
fn lowered(limit: &str, value: u32) -> Vec<String> {
    let script = format!("echo {value} > {limit}; exec \"$@\"");
    ["/usr/bin/unshare", "--user", "--map-root-user", "/bin/sh", "-c", script.as_str(), "sh"].map(String::from).to_vec()
}

fn raise(pid: u32, limit: &str, value: u32) {
    let script = format!("echo {value} > {limit}");
    let pid = pid.to_string();
    let status = Command::new("/usr/bin/nsenter")
        .args(["--target", &pid, "--user", "--preserve-credentials", "/bin/sh", "-c", &script])
        .status()
        .unwrap();
    assert!(status.success());
}

fn active_host() -> Host {
    let host = Host::new();
    for n in 0..9 {
        host.folder(&format!("site/{n}"));
    }
    let site = host.root().join("site");
    let text = format!(
        "generation: 1\nactive: true\ntargets:\n  - {{id: shop, web_root: {}, language: php}}\n",
        site.display()
    );
    fs::create_dir_all(paths::state_dir(host.root())).unwrap();
    fs::write(paths::settings(host.root()), text).unwrap();
    host
}

fn detail(told: &HealthDocument) -> Option<&str> {
    told.errors.iter().find(|error| error.code == Code::WATCH_LIMIT).map(|error| error.detail.as_str())
}

#[test]
fn too_few_watches_are_counted_named_and_healed_by_a_raised_limit() {
    if !can_lower("too_few_watches") {
        return;
    }
    let mut host = active_host();
    host.foreground_under(&lowered(WATCHES, 6));
    let told = host.wait("5404", |told| told.watches.failed_at == FailedAt::Watches && !told.watches.scanning);
    let watches = &told.watches;
    assert_eq!((watches.used, watches.needed, watches.missing), (6, 10, 4));
    assert_eq!((watches.errno.as_deref(), watches.uncovered.len()), (Some("ENOSPC"), 4));
    assert_eq!((told.targets[0].watches, told.targets[0].missing), (6, 4));
    assert!(detail(&told).unwrap().contains("4 of 10") && detail(&told).unwrap().contains("max_user_watches"));
    raise(told.pid, WATCHES, 100);
    let told = host.wait("all folders", |told| told.watches.used == 10);
    assert_eq!((told.watches.missing, told.watches.failed_at, detail(&told)), (0, FailedAt::None, None));
}

#[test]
fn no_instance_is_told_apart_from_no_watches_and_heals() {
    if !can_lower("no_instance") {
        return;
    }
    let mut host = active_host();
    host.foreground_under(&lowered(INSTANCES, 0));
    let told = host.wait("5404", |told| told.watches.failed_at == FailedAt::Instances && !told.watches.scanning);
    assert_eq!((told.watches.used, told.watches.needed, told.watches.missing), (0, 10, 10));
    assert_eq!(told.watches.errno.as_deref(), Some("EMFILE"));
    raise(told.pid, INSTANCES, 100);
    let told = host.wait("all folders", |told| told.watches.used == 10);
    assert_eq!((told.watches.failed_at, detail(&told)), (FailedAt::None, None));
}
