//! The agent ends: killed, terminated, in a crash loop, or stopped by an administrator, who is respected (WBD-6007).

use std::time::Duration;

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, AGENT, SOON, SUPERVISOR};
use wbd_tests::story::Story;

const CODE: &str = "WBD-6007";
const BINARY: &str = "/opt/nbp/wbd/wbd_agent";
/// A stop takes longer than a hung agent's silence is borne, and the unit counts as failed by it.
const BAD_STOP: &[u8] = b"[Service]\nTimeoutStopSec=6\nExecStop=/usr/bin/sleep 60\n";
const DROP_IN: &str = "/run/systemd/system/wbd-agent.service.d";
/// Longer than a dead unit is held before it becomes an incident, and than the next look after that.
const TWIN: Duration = Duration::from_secs(6);

#[test]
fn a_killed_agent_is_restarted_by_systemd_and_only_recorded() {
    let host = product::shared();
    let story = Story::begin(&host);
    let pid = product::agent_works(&host);
    host.signal(pid, "KILL");
    let exit = the_exit(&story);
    assert_eq!((exit["result"].as_str(), exit["target"].as_str()), (Some("signal"), Some("wbd")), "{exit}");
    assert_eq!(exit["evidence"][0], format!("process {pid} signal 9"));
    product::another_agent_works(&host, pid);
    story.stays_quiet("systemd's own restart", Duration::from_secs(5));
    assert_eq!(story.of("exit").iter().filter(is_told).count(), 1, "{}", story.summary());
    product::healthy(&host);
}

/// How it ended. (Where the bus tells that late, that it ended was recorded before.)
#[track_caller]
fn the_exit(story: &Story<'_>) -> Value {
    story.wait_for("the exit", SOON, |record| is_told(&record))
}

fn is_told(record: &&Value) -> bool {
    record["kind"] == "exit" && record["result"] != "unknown"
}

#[test]
fn a_terminated_agent_is_started_again() {
    let host = product::shared();
    let story = Story::begin(&host);
    let pid = product::agent_works(&host);
    host.signal(pid, "TERM");
    let told = story.healed(CODE, SOON);
    assert_eq!(told.actions(), ["agent.start"], "{told}");
    assert_eq!(the_exit(&story)["evidence"][0], format!("process {pid} exit 0"));
    product::another_agent_works(&host, pid);
    product::healthy(&host);
}

#[test]
fn an_administrators_stop_is_respected() {
    let host = product::shared();
    let ways = [
        (["/usr/bin/systemctl", "stop", AGENT], ["/usr/bin/systemctl", "start", AGENT]),
        ([BINARY, "-s", "stop"], [BINARY, "-s", "start"]),
        (["/usr/bin/wbdctl", "agent", "stop"], ["/usr/bin/wbdctl", "agent", "start"]),
    ];
    for (stop, start) in ways {
        let story = Story::begin(&host);
        host.run(stop).ok();
        let exit = the_exit(&story);
        assert!(
            exit["evidence"][0].as_str().is_some_and(|text| text.ends_with(')')),
            "not asked for by anyone: {exit}"
        );
        host.wait_for("the note", SOON, || {
            host.exists("/run/wbd/agent.stop.json").then_some(()).ok_or_else(|| story.summary())
        });
        let stopped = Story::begin(&host);
        stopped.stays_quiet(&format!("respect for {stop:?}"), TWIN);
        assert!(story.incidents(CODE).is_empty(), "{}", story.summary());
        assert!(host.main_pid(AGENT).is_none(), "{stop:?}");
        let answer = product::doctor(&host);
        assert!(answer.cause(CODE).is_none_or(|cause| cause["severity"] != "fail"), "{stop:?}: {}", answer.json);
        host.run(start).ok();
        product::healthy(&host);
        host.wait_for("the note's end", SOON, || {
            (!host.exists("/run/wbd/agent.stop.json")).then_some(()).ok_or_else(|| story.summary())
        });
        // The wish to have it stopped is over: its end is a failure again.
        let story = Story::begin(&host);
        host.signal(product::agent_works(&host), "TERM");
        story.healed(CODE, SOON);
        product::healthy(&host);
    }
}

#[test]
fn a_stop_of_a_hung_agent_is_respected_though_it_takes_long_and_ends_badly() {
    let host = product::shared();
    product::hurried_agent_down(&host);
    stops_end_badly(&host);
    for stop in [["/usr/bin/systemctl", "stop", AGENT], [BINARY, "-s", "stop"]] {
        let story = Story::begin(&host);
        // Its silence would be healed by a restart in the middle of the stop.
        host.signal(product::agent_works(&host), "STOP");
        host.run(stop).ok();
        story.stays_quiet(&format!("respect for {stop:?}"), TWIN);
        assert_eq!(host.unit(AGENT, "ActiveState"), "failed", "or this is about nothing");
        assert!(host.exists("/run/wbd/agent.stop.json"), "{}", story.summary());
        host.run([BINARY, "-s", "start"]).ok();
        product::healthy(&host);
    }
    stops_end_well(&host);
    // Twin: nobody stops it.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "STOP");
    let told = story.healed(CODE, Duration::from_secs(60));
    assert_eq!(told.actions(), ["agent.restart"], "{told}");
    product::patient_agent_down(&host);
}

#[test]
fn a_supervisor_that_begins_beside_a_stopped_agent_leaves_it_though_the_stop_ended_badly() {
    let host = product::shared();
    stops_end_badly(&host);
    let story = Story::begin(&host);
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    host.run(["/usr/bin/systemctl", "stop", AGENT]).ok();
    assert_eq!(host.unit(AGENT, "ActiveState"), "failed", "or this is about nothing");
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    host.wait_for("the note", SOON, || {
        host.exists("/run/wbd/agent.stop.json").then_some(()).ok_or_else(|| story.summary())
    });
    story.stays_quiet("a stop while nobody looked", TWIN);
    assert!(host.main_pid(AGENT).is_none());
    stops_end_well(&host);
    host.run([BINARY, "-s", "start"]).ok();
    product::healthy(&host);
}

#[track_caller]
fn stops_end_badly(host: &Host) {
    host.write(&format!("{DROP_IN}/bad-stop.conf"), BAD_STOP);
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
}

#[track_caller]
fn stops_end_well(host: &Host) {
    host.run(["/usr/bin/rm", "-r", DROP_IN]).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
}

#[test]
fn a_crash_loop_ends_in_one_hand_over_and_is_cleared_when_the_cause_is_gone() {
    // As shipped: three attempts, three restarts an hour.
    let host = Host::boot("crash-loop");
    product::install(&host);
    let story = Story::begin(&host);
    host.run(["/usr/bin/mv", BINARY, "/root/sound_agent"]).ok();
    host.write_mode(BINARY, b"#!/bin/sh\nexit 1\n", "0755");
    host.signal(product::agent_works(&host), "KILL");
    let told = story.closed(CODE, Duration::from_secs(180));
    assert_eq!(told.ending(), Some("handed-over"), "{told}");
    told.has_in_order(&[
        "opened",
        "intent",
        "outcome",
        "intent",
        "outcome",
        "intent",
        "outcome",
        "escalated",
        "closed",
    ]);
    assert_eq!(told.actions(), ["agent.start", "agent.restart", "agent.restart"], "{told}");
    let guide = told.last("escalated")["evidence"].as_array().map_or(0, Vec::len);
    assert!(guide > 2, "{told}");
    let handed_over = Story::begin(&host);
    let answer = product::doctor_says(&host, "the failure", |answer| answer.code == 2);
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!(cause["severity"], "fail", "{cause}");
    assert!(cause["guide"].as_array().is_some_and(|steps| steps.len() > 2), "{cause}");
    handed_over.stays_quiet("the hand-over", Duration::from_secs(8));
    assert_eq!((story.of("escalated").len(), story.of("closed").len()), (1, 1), "{}", story.summary());

    host.run(["/usr/bin/mv", "/root/sound_agent", BINARY]).ok();
    host.run(["/usr/bin/systemctl", "reset-failed", AGENT]).ok();
    host.run(["/usr/bin/systemctl", "start", AGENT]).ok();
    product::healthy(&host);
    handed_over.wait_for("cleared", SOON, |record| record["kind"] == "cleared" && record["code"] == CODE);
    assert_eq!(handed_over.of("intent").len(), 0, "{}", handed_over.summary());
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}
