//! What the supervisor needs for itself is taken away: file descriptors, its folder, /tmp, the journal; and the agent is
//! frozen, which is no reason to kill it.

use std::time::Duration;

use wbd_tests::deadline::stays;
use wbd_tests::frozen::Frozen;
use wbd_tests::host::Host;
use wbd_tests::json::{self, Answer};
use wbd_tests::product::{self, AGENT, SOON, SUPERVISOR};
use wbd_tests::story::Story;

use crate::degraded;
use crate::site::ctl;

const CODE: &str = "WBD-6007";
const QUIET: Duration = Duration::from_secs(8);
/// Longer than the watchdog that the test sets.
const WATCHDOG: Duration = Duration::from_secs(12);
/// A lost folder may cost a restart of the supervisor and one of the agent, each after its own time of looking.
const FOLDER: Duration = Duration::from_secs(90);
const DROPIN: &str = "/etc/systemd/system/wbd-supervisord.service.d";
const JOURNAL: [&str; 4] = [
    "systemd-journald.socket",
    "systemd-journald-dev-log.socket",
    "systemd-journald-audit.socket",
    "systemd-journald.service",
];

fn systemctl(host: &Host, args: &[&str]) {
    host.run(["/usr/bin/systemctl"].iter().chain(args)).ok();
}

fn restart_supervisor(host: &Host) {
    systemctl(host, &["daemon-reload"]);
    systemctl(host, &["reset-failed"]);
    systemctl(host, &["restart", SUPERVISOR]);
    product::healthy(host);
}

fn limit(host: &Host, pid: u32, soft: u64) {
    host.run(["/usr/bin/prlimit", "--pid", &pid.to_string(), &format!("--nofile={soft}:")]).ok();
}

#[test]
fn with_one_free_descriptor_the_supervisor_lives_does_nothing_wrong_and_recovers() {
    let host = product::shared();
    host.write(&format!("{DROPIN}/test.conf"), b"[Service]\nWatchdogSec=15\n");
    restart_supervisor(&host);
    product::doctor_says(&host, "health", Answer::is_well);
    let (pid, story) = (degraded::supervisor(&host), Story::begin(&host));
    let files = degraded::open_files(&host, pid);
    // One number below the limit is free.
    let mut free = (0..).filter(|number| !files.contains(number));
    let (_, second) = (free.next(), free.next().expect("numbers have no end"));
    let soft: u64 = host
        .run(["/usr/bin/prlimit", "--pid", &pid.to_string(), "--nofile", "--noheadings", "--output=SOFT"])
        .ok()
        .text()
        .trim()
        .parse()
        .expect("a limit");
    limit(&host, pid, second);

    // An administrator's stop is still an administrator's stop.
    systemctl(&host, &["stop", AGENT]);
    story.stays_undone("the stop", WATCHDOG);
    assert_eq!(degraded::supervisor(&host), pid, "the watchdog was fed");
    assert_eq!(degraded::status(&host)["pid"], pid, "it answers");
    degraded::doctor(&host, "one free descriptor");
    systemctl(&host, &["start", AGENT]);
    let agent = product::agent_works(&host);
    host.signal(agent, "KILL");
    product::another_agent_works(&host, agent);
    // Its one descriptor may be in use whenever it is asked for its looks; that it saw the end is on record.
    story.wait_for("the exit", SOON, |record| record["kind"] == "exit" && record["result"] == "signal");
    stays("systemd's own restart", QUIET, || match story.of("intent").as_slice() {
        [] => Ok(()),
        intents => Err(format!("{intents:?}")),
    });

    limit(&host, pid, soft);
    product::healthy(&host);
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    product::healthy(&host);
    assert_eq!(degraded::supervisor(&host), pid);
    let most = files.len() + 2;
    host.wait_for("as many open files as before", SOON, || {
        let now = degraded::open_files(&host, pid).len();
        if now <= most { Ok(()) } else { Err(format!("{now}, before {}", files.len())) }
    });
    degraded::leaves_nobody_behind(&host, pid);
    host.run(["/usr/bin/rm", "-r", DROPIN]).ok();
    restart_supervisor(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

#[test]
fn a_cleared_run_folder_and_a_cleared_tmp_come_back_by_themselves() {
    let host = product::shared();
    let (pid, agent, story) = (degraded::supervisor(&host), product::agent_works(&host), Story::begin(&host));
    host.run(["/usr/bin/bash", "-c", "rm -rf /run/wbd/* /tmp/* /tmp/.[!.]*"]).ok();
    for face in [&["status"][..], &["agent", "status"]] {
        host.wait_for(&format!("an answer to {face:?}"), SOON, || {
            let ran = ctl(&host, face);
            if ran.code == Some(0) { Ok(()) } else { Err(ran.report()) }
        });
    }
    degraded::doctor(&host, "cleared /run/wbd and /tmp");
    product::healthy(&host);
    story.stays_undone("what came back by itself", QUIET);
    assert_eq!((degraded::supervisor(&host), product::agent_works(&host)), (pid, agent));
    let story = Story::begin(&host);
    host.signal(agent, "TERM");
    story.healed(CODE, SOON);

    // The folder itself: whoever cannot make it again in his own view of the host gets a new start.
    host.run(["/usr/bin/rm", "-rf", "/run/wbd"]).ok();
    host.wait_for("both halves", FOLDER, || {
        let ran = host.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
        if ran.code != Some(0) {
            return Err(ran.report());
        }
        product::working(&host)
    });
    product::healthy(&host);
    println!("supervisor {pid}, after its folder was removed {}", degraded::supervisor(&host));
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

#[test]
fn without_a_journal_everything_is_healed_recorded_and_anchored_later() {
    let host = product::shared();
    let verify = || json::wbdctl(&host, ["ledger", "verify"]).json;
    let pid = degraded::supervisor(&host);
    host.run(["/usr/bin/systemctl", "stop"].iter().chain(&JOURNAL)).ok();
    host.run([
        "/usr/bin/rm",
        "-rf",
        "/run/systemd/journal/socket",
        "/run/systemd/journal/stdout",
        "/run/systemd/journal/dev-log",
    ])
    .ok();
    let anchored = |when: &str| {
        host.wait_for(&format!("an anchor {when}"), SOON, || {
            let answer = verify();
            if answer["anchor"]["state"] == "anchored" { Ok(answer) } else { Err(answer.to_string()) }
        })
    };
    let before = anchored("before");
    for _ in 0..4 {
        let story = Story::begin(&host);
        host.signal(product::agent_works(&host), "TERM");
        story.healed(CODE, SOON);
        product::healthy(&host);
    }
    let without = anchored("without a journal");
    assert_eq!(without["verified"], true, "{without}");
    assert_eq!(without["anchor"], before["anchor"], "no later one: {without}");
    assert!(without["entries"].as_u64() > before["entries"].as_u64().map(|entries| entries + 16), "{without}");
    degraded::doctor(&host, "no journal");
    assert_eq!(degraded::supervisor(&host), pid);

    host.run(["/usr/bin/systemctl", "start"].iter().chain(&JOURNAL)).ok();
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    let after = host.wait_for("a later anchor", SOON, || {
        let after = verify();
        if after["anchor"] == before["anchor"] { Err(after.to_string()) } else { Ok(after) }
    });
    assert_eq!(after["verified"], true, "{after}");
    product::healthy(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

#[test]
fn a_frozen_agent_is_said_to_be_starved_and_left_alone() {
    let host = product::shared();
    let agent = product::agent_works(&host);
    let frozen = Frozen::begin(&host, agent);
    let story = Story::begin(&host);
    let answer = product::doctor_says(&host, "the freeze", |answer| {
        answer.checks(CODE).iter().any(|check| check["verdict"] != "pass")
    });
    assert!(answer.checks(CODE).iter().all(|check| check["verdict"] != "fail"), "{}", answer.json);
    story.stays_quiet("the freeze", Duration::from_secs(15));
    degraded::doctor(&host, "frozen agent");
    drop(frozen);
    assert_eq!(product::agent_works(&host), agent, "the frozen process goes on");
    product::healthy(&host);
    ctl(&host, &["doctor", "--only", CODE]).ok();
}
