//! An operator's decision on a booted host: what systemctl does by hand, and hold files.

use std::time::Duration;

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::product::{self, AGENT, SOON, SUPERVISOR};
use wbd_tests::story::Story;

use crate::site::ctl;

const DOWN: &str = "WBD-6007";
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

    // Twins: wbd's own actions and systemd's own restarts are nobody's hand.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "KILL");
    story.wait_for("the exit", SOON, |record| record["kind"] == "exit");
    product::healthy(&host);
    for args in [["agent", "stop"], ["agent", "start"], ["agent", "reload"]] {
        ctl(&host, &args).ok();
    }
    stays_by_hand(&host, &story, 3);
    product::healthy(&host);
    assert_eq!(budget(&host), before);
}

/// For a while there are exactly so many records of acts by hand.
#[track_caller]
fn stays_by_hand(host: &Host, story: &Story<'_>, number: usize) {
    product::stays(host, "nobody else's hand", Duration::from_secs(4), || {
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
    let refused = story.wait_for("a refusal by the file", SOON, |record| record["kind"] == "refused");
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
    assert_eq!(told.actions(), ["agent.start"], "{told}");
    assert_eq!((story.of("hold").len(), story.of("lifted").len()), (2, 2), "{}", story.summary());
    product::healthy(&host);
}
