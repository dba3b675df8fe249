//! An operator's word on a booted host: what systemctl does by hand, hold files, and a yes to a plan that the host outgrew.

use std::time::Duration;

use serde_json::Value;
use wbd_tests::deadline::stays;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::product::{self, AGENT, ROOMY, SOON, SUPERVISOR};
use wbd_tests::story::Story;
use wbd_tests::sysctl_guard::SysctlGuard;

use crate::site::{self, ctl};

const DOWN: &str = "WBD-6007";
const LIMIT: &str = "WBD-5404";
const KEY: &str = "fs.inotify.max_user_watches";
const FOLDERS: u64 = 3_000;
/// Both above what root's other processes on the machine hold, far below what the folders need.
const TOO_LOW: [u64; 2] = [1_500, 1_600];
const HEALING: Duration = Duration::from_secs(90);
const QUIET: Duration = Duration::from_secs(8);

fn budget(host: &Host) -> (Value, Value) {
    let status = json::wbdctl(host, ["status"]).json;
    (status["budget_left_hour"].clone(), status["budget_left_day"].clone())
}

/// What was recorded as done by hand.
fn manual(story: &Story<'_>) -> Vec<String> {
    let words = |record: &Value| record["evidence"][0].as_str().unwrap_or_default().to_owned();
    story.of("manual").iter().map(words).collect()
}

fn systemctl(host: &Host, verb: &str) {
    host.run(["/usr/bin/systemctl", verb, AGENT]).ok();
}

#[test]
fn what_systemctl_does_by_hand_is_on_record_once_and_costs_no_budget() {
    let host = product::shared();
    let before = budget(&host);
    let told = |verb: &str, what: &str| {
        let story = Story::begin(&host);
        systemctl(&host, verb);
        story.wait_for(&format!("a record of systemctl {verb}"), SOON, |record| {
            record["kind"] == "manual" && record["evidence"][0].as_str().is_some_and(|words| words.starts_with(what))
        });
        story.stays_quiet(&format!("systemctl {verb}"), Duration::from_secs(4));
        assert_eq!(manual(&story).len(), 1, "{}", story.summary());
    };
    told("reload", "agent.reload");
    told("restart", "agent.restart");
    told("stop", "agent.stop");
    told("start", "agent.start");
    product::healthy(&host);

    // Twins: wbd's own deeds and systemd's own restarts are nobody's hand.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "KILL");
    story.wait_for("the exit", SOON, |record| record["kind"] == "exit");
    product::healthy(&host);
    for args in [["agent", "stop"], ["agent", "start"], ["agent", "reload"]] {
        ctl(&host, &args).ok();
    }
    stays_by_hand(&story, 3);
    product::healthy(&host);
    assert_eq!(budget(&host), before);
}

/// For a while there are exactly so many records of acts by hand.
#[track_caller]
fn stays_by_hand(story: &Story<'_>, number: usize) {
    stays("nobody else's hand", Duration::from_secs(4), || {
        let seen = manual(story);
        if seen.len() == number { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

#[test]
fn a_hold_file_holds_before_the_supervisor_is_there_and_without_it() {
    let host = product::shared();
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    host.write("/run/wbd/hold", b"why: kernel upgrade\n");
    let status = ctl(&host, &["status"]).exits(69);
    assert!(String::from_utf8_lossy(&status.stderr).contains("/run/wbd/hold: kernel upgrade"), "{}", status.report());
    let answer = product::doctor(&host);
    assert_eq!(answer.list("holds")[0]["file"], "/run/wbd/hold", "{}", answer.json);

    let story = Story::begin(&host);
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    // Of an end that nobody saw nothing is known, and nothing would have to be held.
    product::healthy(&host);
    host.signal(product::agent_works(&host), "TERM");
    let refused = story.wait_for("a no by the file", SOON, |record| record["kind"] == "refused");
    assert_eq!(refused["result"], "hold", "{refused}");
    story.stays_undone("a hold file", QUIET);
    // The durable one takes over before the other goes.
    host.write("/etc/wbd/hold", b"");
    host.wait_for("both files in status", SOON, || {
        let status = json::wbdctl(&host, ["status"]).json;
        if status["holds"].as_array().map(Vec::len) == Some(2) { Ok(()) } else { Err(status.to_string()) }
    });
    host.run(["/usr/bin/rm", "/run/wbd/hold"]).ok();
    story.stays_undone("the other hold file", QUIET);
    host.run(["/usr/bin/rm", "/etc/wbd/hold"]).ok();
    let told = story.healed(DOWN, SOON);
    assert_eq!(told.deeds(), ["agent.start"], "{told}");
    assert_eq!((story.of("hold").len(), story.of("lifted").len()), (2, 2), "{}", story.summary());
    product::healthy(&host);
}

#[test]
fn a_yes_is_not_taken_for_another_value_than_was_shown_and_what_is_done_is_what_was_shown() {
    let _limits = SysctlGuard::take();
    let host = product::shared();
    product::configure(&host, &ROOMY.replace("healing: auto", "healing: approve"));
    site::make(&host, FOLDERS);
    set(&host, TOO_LOW[0]);
    let story = Story::begin(&host);
    site::add(&host).ok();
    ctl(&host, &["agent", "activate"]).ok();
    let refused = story.wait_for("a wait for a word", HEALING, |record| {
        record["kind"] == "refused" && record["code"] == LIMIT && record["result"] == "approval"
    });
    let incident = refused["incident"].as_str().expect("an incident").to_owned();

    // Approved while everything is held; before it may be done, somebody sets another value.
    ctl(&host, &["pause", "until", "the", "limit", "has", "changed"]).ok();
    let shown = ctl(&host, &["approve", "--yes", &incident]).ok().text();
    assert!(shown.contains(&format!("{KEY}: {} -> ", TOO_LOW[0])), "{shown}");
    set(&host, TOO_LOW[1]);
    ctl(&host, &["resume"]).ok();
    let anew = story.wait_for("the yes refused", SOON, |record| {
        let words = record["evidence"][0].as_str().unwrap_or_default();
        record["kind"] == "refused" && words.contains("is no longer what was approved")
    });
    assert_eq!(anew["result"], "approval", "{anew}");
    story.stays_undone("the wait for another yes", QUIET);
    assert_eq!(limit(&host), TOO_LOW[1]);

    let shown = json::wbdctl(&host, ["approve", "--yes", &incident]).json;
    let told = story.healed(LIMIT, HEALING);
    let changes = |value: &Value| -> Vec<String> {
        let words = |change: &Value| {
            let before = change["before"].as_str().unwrap_or("?");
            format!(
                "{}: {before} -> {}",
                change["what"].as_str().unwrap_or("?"),
                change["after"].as_str().unwrap_or("?")
            )
        };
        value.as_array().map(|all| all.iter().map(words).collect()).unwrap_or_default()
    };
    let intents = told.of("intent");
    let done = intents.iter().filter_map(|intent| intent["evidence"].as_array()).flatten();
    let done: Vec<&str> = done.filter_map(Value::as_str).collect();
    assert_eq!(done, changes(&shown["changes"]), "{told}");
    assert!(done[0].starts_with(&format!("{KEY}: {} -> {}", TOO_LOW[1], limit(&host))), "{done:?}");
    for deed in told.of("intent") {
        drop(ctl(&host, &["undo", deed["action_id"].as_str().unwrap_or_default()]));
    }
    site::forget(&host);
    product::configure(&host, ROOMY);
}

fn set(host: &Host, watches: u64) {
    host.run(["/usr/sbin/sysctl", "-q", "-w", &format!("{KEY}={watches}")]).ok();
}

fn limit(host: &Host) -> u64 {
    host.run(["/usr/sbin/sysctl", "-n", KEY]).ok().text().parse().expect("a number")
}
