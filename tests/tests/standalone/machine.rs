//! What lies outside of the root is the machine's: a stand-alone supervisor says what it wants of the kernel and
//! changes nothing there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use wbd_tests::deadline::wait_until;
use wbd_tests::supervisor::Supervisor;
use wbd_tests::sysctl_guard::SysctlGuard;
use wbd_tests::{exec, json, places};

use crate::trial::{self, QUIET, SOON, Trial, put};

const CODE: &str = "WBD-5404";
const LIMITS: [&str; 3] = ["max_queued_events", "max_user_instances", "max_user_watches"];
/// The demo's own bound is shorter.
const DEMO: Duration = Duration::from_secs(300);

/// The machine's limits.
fn limits() -> [String; 3] {
    LIMITS.map(|name| fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name)).expect("a limit"))
}

/// Runs a program where nobody gets an inotify instance, and where root may still write the machine's limits: a user
/// namespace with a limit of its own, so that no other program of this machine goes without.
fn without_instances(program: &str) -> Command {
    let mut command = Command::new("/usr/bin/unshare");
    let starve = "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"";
    command.args(["--user", "--map-root-user", "/bin/sh", "-c", starve, "sh"]).arg(places::program(program));
    command
}

/// The fault could not show without root: nobody else may write the machine's limits.
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A root whose agent has something to watch, with a shorter wait before its limits are an incident.
fn root() -> TempDir {
    let root = trial::root("auto");
    let shop = root.path().join("srv/shop");
    fs::create_dir_all(&shop).expect("scratch folder");
    let target = format!("{{id: shop, web_root: {}, language: php}}", shop.display());
    for name in ["settings.yaml", "settings.good"] {
        let text = format!("generation: 1\nactive: true\ntargets: [{target}]\n");
        let path = put(root.path(), &format!("var/lib/wbd/agent/{name}"), &text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file");
    }
    let shipped = fs::read_to_string(places::repo().join("playbooks/inotify-limit.yaml")).expect("shipped");
    assert!(shipped.contains("    for: 10s\n"), "{shipped}");
    put(root.path(), "etc/wbd/playbooks.d/inotify-limit.yaml", &shipped.replace("    for: 10s\n", "    for: 1s\n"));
    root
}

#[test]
fn a_limit_of_the_kernel_is_asked_for_in_words_and_left_as_it_is() {
    if !is_root() {
        return;
    }
    let _guard = SysctlGuard::take();
    let before = limits();
    let root = root();
    let trial = Trial::with(Supervisor::start_as(root.path(), without_instances("wbd-supervisord")), root);
    trial.looks();
    let told = trial.closed(CODE, 0);
    let instances: i64 = before[1].trim().parse().expect("a number");
    let line = format!("sysctl -w fs.inotify.max_user_instances={}", instances * 2);
    assert_eq!(limits(), before, "{}", trial.summary());
    assert_eq!((told.ending(), told.actions().len()), (Some("handed-over"), 0), "{told:#?}");
    told.has_in_order(&["opened", "refused", "escalated", "closed"]);
    assert_eq!(told.last("refused")["result"], "reach", "{told:#?}");
    for kind in ["refused", "escalated"] {
        assert!(told.last(kind)["evidence"].to_string().contains(&line), "{told:#?}");
    }
    // Where people look.
    let doctor = json::wbdctl_at(trial.root(), ["doctor", "--only", CODE]);
    let cause = doctor.cause(CODE).unwrap_or_else(|| panic!("{}", doctor.json));
    assert!(cause["fix"]["withheld"].as_str().is_some_and(|why| why.contains(&line)), "{cause}");
    assert!(cause["guide"].to_string().contains(&line), "{cause}");
    let by_hand = trial.ctl(&["playbook", "run", "inotify-limit", "--target", "wbd"]);
    assert!(by_hand.code == Some(1) && by_hand.report().contains(&line), "{}", by_hand.report());
    let again = trial.closed(CODE, 1);
    assert_eq!((again.ending(), again.actions().len()), (Some("handed-over"), 0), "{again:#?}");
    // It stays with the person: told once, and nothing is tried in the meantime.
    trial.stays_undone("the machine's limits", QUIET);
    assert_eq!(trial.incidents(CODE).len(), 2, "{}", trial.summary());
    assert_eq!(limits(), before);
    assert!(!trial.root().join("etc/sysctl.d").exists());
    trial.verifies();
}

#[test]
fn the_demo_leaves_the_machine_as_it_was() {
    if !is_root() {
        return;
    }
    let _guard = SysctlGuard::take();
    let before = limits();
    let ran = exec::run(without_instances("wbdctl").arg("demo"), b"", DEMO);
    assert_eq!(limits(), before, "{}", ran.report());
    // What the machine wants of a person is no part of the demo's own failures.
    assert!(ran.ok().text().contains("4 of 4 failures ended as they should"));
}

#[test]
fn a_root_of_its_own_has_no_systemd_to_ask() {
    let root = trial::root("auto");
    let mut supervisor = Command::new(places::program("wbd-supervisord"));
    let ran = exec::run(supervisor.arg("--root").arg(root.path()), b"", SOON);
    assert_eq!(ran.code, Some(64), "{}", ran.report());
    assert!(ran.report().contains("--standalone"), "{}", ran.report());
    // Twin: with the word it runs.
    let trial = Trial::on(root);
    wait_until("a status", SOON, || {
        let status = trial.status();
        if status["mode"] == "standalone" { Ok(()) } else { Err(status.to_string()) }
    });
}
