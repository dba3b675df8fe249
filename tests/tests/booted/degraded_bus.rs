//! The bus is dead or hangs, and systemd re-executes itself, in the middle of incidents: healed all the same, once, and
//! an administrator is heard.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, AGENT, SOON};
use wbd_tests::story::Story;

use crate::degraded;

const CODE: &str = "WBD-6007";
/// A heartbeat counts as missed after 4 s here; the stop of a stopped process takes its TimeoutStopSec of 5 s.
const HUNG: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(5);
/// Settings of the agent's unit that are gone after a reboot.
const DROP_IN: &str = "/run/systemd/system/wbd-agent.service.d";
const PRIVATE: &str = "/run/systemd/private";

fn systemctl(host: &Host, args: &[&str]) {
    host.run(["/usr/bin/systemctl"].iter().chain(args)).ok();
}

fn bus(host: &Host, verb: &str) {
    systemctl(host, &[verb, "dbus.socket", "dbus.service"]);
}

#[test]
fn with_a_dead_bus_incidents_go_on_and_an_administrators_stop_is_heard() {
    let host = product::shared();
    product::hurried_agent_down(&host);
    let pid = degraded::supervisor(&host);
    // It dies in the middle of an incident: the agent hangs and is not seen to hang yet.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "STOP");
    bus(&host, "stop");
    let told = story.healed(CODE, HUNG);
    assert_eq!(told.actions(), ["agent.restart"], "{told}");
    product::healthy(&host);

    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    product::healthy(&host);
    let story = Story::begin(&host);
    let old = product::agent_works(&host);
    host.signal(old, "KILL");
    product::another_agent_works(&host, old);
    story.stays_quiet("systemd's own restart", QUIET);
    degraded::doctor(&host, "dead bus");

    stop_is_respected(&host);
    // Systemd is asked every second: now in the middle of the stop, too.
    host.write(&format!("{DROP_IN}/slow-stop.conf"), b"[Service]\nExecStop=/usr/bin/sleep 3\n");
    systemctl(&host, &["daemon-reload"]);
    stop_is_respected(&host);
    // One that ends badly, too: the unit counts as failed after it.
    host.write(&format!("{DROP_IN}/slow-stop.conf"), b"[Service]\nExecStop=/usr/bin/sleep 60\n");
    systemctl(&host, &["daemon-reload"]);
    stop_is_respected(&host);
    host.run(["/usr/bin/rm", "-r", DROP_IN]).ok();
    systemctl(&host, &["daemon-reload"]);

    bus(&host, "start");
    product::healthy(&host);
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    assert_eq!(degraded::supervisor(&host), pid);
    degraded::leaves_nobody_behind(&host, pid);
    product::patient_agent_down(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

#[track_caller]
fn stop_is_respected(host: &Host) {
    let story = Story::begin(host);
    systemctl(host, &["stop", AGENT]);
    story.stays_quiet("respect for a stop without a bus", QUIET);
    systemctl(host, &["start", AGENT]);
    product::healthy(host);
}

#[test]
fn what_no_way_to_systemd_can_tell_is_not_acted_on_until_it_can() {
    let host = product::shared();
    let story = Story::begin(&host);
    // Both ways are gone: the bus, and systemd's own socket, which systemctl uses.
    bus(&host, "stop");
    let away = format!("{PRIVATE}.away");
    host.run(["/usr/bin/mv", PRIVATE, &away]).ok();
    host.signal(product_agent(&host), "TERM");
    story.stays_quiet("what nobody can tell", QUIET);
    let answer = degraded::doctor(&host, "no way to systemd");
    assert!(answer.checks(CODE).iter().all(|check| check["verdict"] != "fail"), "{}", answer.json);
    host.run(["/usr/bin/mv", &away, PRIVATE]).ok();
    // Now it can be told that it ended by itself.
    story.healed(CODE, SOON);
    bus(&host, "start");
    product::healthy(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

/// The agent's process by its own word: systemd cannot be asked.
#[track_caller]
fn product_agent(host: &Host) -> u32 {
    let health = product::health(host).unwrap_or_else(|why| panic!("{why}"));
    health["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process")
}

#[test]
fn a_bus_that_hangs_and_a_manager_that_re_executes_itself_hold_nobody_up() {
    let host = product::shared();
    product::hurried_agent_down(&host);
    let pid = degraded::supervisor(&host);
    host.run(["/usr/bin/pkill", "-STOP", "-x", "dbus-daemon"]).ok();
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, HUNG);
    degraded::doctor(&host, "hung bus");
    host.run(["/usr/bin/pkill", "-CONT", "-x", "dbus-daemon"]).ok();
    product::healthy(&host);

    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "STOP");
    story.wait_for("the incident", HUNG, |record| record["kind"] == "opened");
    systemctl(&host, &["daemon-reexec"]);
    // Asked in the very moment, systemd may not answer (then nothing was begun), or not tell the end of what it did.
    let told = story.closed(CODE, HUNG);
    assert_eq!(told.ending(), Some("healed"), "{told}");
    assert!(told.actions().iter().all(|action| *action == "agent.restart"), "{told}");
    let outcomes = told.of("outcome");
    let done = outcomes.iter().filter(|outcome| matches!(outcome["result"].as_str(), Some("done" | "unknown")));
    assert_eq!(done.count(), 1, "{told}");
    assert_eq!(degraded::supervisor(&host), pid);
    product::patient_agent_down(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}
