//! The inotify watch limit is too low for the folders to watch (WBD-5404), and looks that way when only a disk is full.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::product;
use wbd_tests::story::Story;
use wbd_tests::sysctl_guard::SysctlGuard;

use crate::site::{self, ctl};

const CODE: &str = "WBD-5404";
const KEY: &str = "fs.inotify.max_user_watches";
const DROPIN: &str = "/etc/sysctl.d/60-wbd.conf";
const FOLDERS: u64 = 3_000;
/// Above what root's other processes on the machine hold, far below what the folders need.
const TOO_LOW: u64 = 1_500;
/// Held for 10 s before it is an incident, watched for 10 s after the cure.
const HEALING: Duration = Duration::from_secs(90);

#[test]
fn too_few_watches_are_raised_proved_and_taken_back() {
    let _limits = SysctlGuard::take();
    let host = product::shared();
    site::make(&host, FOLDERS);
    set(&host, TOO_LOW);
    let story = Story::begin(&host);
    site::add(&host).ok();
    ctl(&host, &["agent", "activate"]).ok();
    let health = product::health_is(&host, "missing watches", |health| health["watches"]["missing"].as_u64() > Some(0));
    assert_eq!(health["watches"]["failed_at"], "watches", "{health}");

    let told = story.healed(CODE, HEALING);
    assert_eq!(told.actions(), ["sysctl.set", "agent.reload"], "{told}");
    assert_eq!(told.of("intent")[0]["class"], "A1");
    let raised = limit(&host);
    assert!(raised >= FOLDERS, "need plus headroom, not {raised}");
    let health = product::health_is(&host, "no missing watch", |health| health["watches"]["missing"] == 0);
    assert!(health["watches"]["used"].as_u64() >= Some(FOLDERS), "{health}");
    let dropin = String::from_utf8(host.read(DROPIN).expect("a drop-in")).expect("text");
    let lines: Vec<_> = dropin.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 1, "{dropin}");
    assert_eq!(lines[0].replace(' ', ""), format!("{KEY}={raised}"), "{dropin}");

    // Taken back: the value and the file. The watches that are held stay, so this is the warning before a failure.
    let action = told.of("intent")[0]["action_id"].as_str().expect("an action's name").to_owned();
    ctl(&host, &["undo", &action]).ok();
    assert_eq!(limit(&host), TOO_LOW);
    assert!(!host.exists(DROPIN), "the drop-in was not there before");
    let undone = Story::begin(&host).about(CODE);
    let answer = product::doctor_says(&host, "the warning", |answer| answer.cause(CODE).is_some());
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!((answer.code, cause["severity"].as_str()), (1, Some("warn")), "{cause}");
    undone.stays_quiet("a warning", Duration::from_secs(13));
    assert!(ctl(&host, &["undo", &action]).code == Some(1), "what was taken back cannot be taken back again");
    site::forget(&host);
}

#[test]
fn a_full_disk_changes_no_limit() {
    let _limits = SysctlGuard::take();
    let host = product::shared();
    site::make(&host, FOLDERS);
    site::add(&host).ok();
    ctl(&host, &["agent", "activate"]).ok();
    let before = limit(&host);
    let state = "/var/lib/wbd/agent";
    host.run(["/usr/bin/mount", "-t", "tmpfs", "-o", "size=16k,mode=0750", "tmpfs", state]).ok();
    // The kernel's word for this is ENOSPC too.
    assert_ne!(
        host.run(["/usr/bin/dd", "if=/dev/zero", &format!("of={state}/full"), "bs=4k", "count=100"]).code,
        Some(0)
    );
    let story = Story::begin(&host).about(CODE);
    let added = ctl(&host, &["target", "add", "more", "--web-root", "/srv/shop/1", "--language", "php"]);
    assert_eq!(added.code, Some(1), "{}", added.report());
    story.stays_quiet("a full disk", Duration::from_secs(15));
    assert_eq!(limit(&host), before);
    assert!(!host.exists(DROPIN));
    assert!(product::doctor(&host).cause(CODE).is_none());
    host.run(["/usr/bin/umount", "--lazy", state]).ok();
    host.run(["/usr/bin/systemctl", "restart", product::AGENT]).ok();
    site::forget(&host);
}

fn set(host: &Host, watches: u64) {
    host.run(["/usr/sbin/sysctl", "-q", "-w", &format!("{KEY}={watches}")]).ok();
}

fn limit(host: &Host) -> u64 {
    host.run(["/usr/sbin/sysctl", "-n", KEY]).ok().text().parse().expect("a number")
}
