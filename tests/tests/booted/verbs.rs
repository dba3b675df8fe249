//! Commands that start something end with what came of it, and doctor offers only what the guards would let be done.

use wbd_tests::exec::Ran;
use wbd_tests::host::Host;
use wbd_tests::product::{self, ROOMY, SOON};
use wbd_tests::story::Story;

use crate::site::ctl;

const CODE: &str = "WBD-6007";
const RUN: [&str; 5] = ["playbook", "run", "agent-down", "--target", "wbd"];

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&[ran.stdout.as_slice(), &ran.stderr].concat()).into_owned()
}

/// Each action waits for an approval from now on.
fn asks_first(host: &Host) {
    product::configure(host, &ROOMY.replace("healing: auto", "healing: approve"));
}

/// Ends the agent in the way that systemd takes for success; the incident that a guard holds then.
fn held(host: &Host, story: &Story<'_>, guard: &str) -> String {
    host.signal(product::agent_works(host), "TERM");
    let is_held = |record: &serde_json::Value| record["kind"] == "refused" && record["code"] == CODE;
    let refused = story.wait_for(&format!("no by {guard}"), SOON, is_held);
    assert_eq!(refused["result"], guard, "{refused}");
    refused["incident"].as_str().expect("an incident").to_owned()
}

/// The fix of the dead agent in doctor's answer.
fn fix(host: &Host) -> serde_json::Value {
    let answer = product::doctor_says(host, "the dead agent", |answer| answer.cause(CODE).is_some());
    answer.cause(CODE).map_or_else(|| panic!("{}", answer.json), |cause| cause["fix"].clone())
}

fn ended(host: &Host) {
    product::configure(host, ROOMY);
    product::healthy(host);
}

#[test]
fn one_more_try_is_offered_while_the_guards_would_let_it_be_done_and_a_refused_one_ends_with_1() {
    let host = product::shared();
    asks_first(&host);
    let story = Story::begin(&host);
    let incident = held(&host, &story, "approval");
    ctl(&host, &["deny", &incident]).ok();
    assert_eq!(story.closed(CODE, SOON).ending(), Some("handed-over"));
    let offered = fix(&host);
    assert_eq!(offered["command"], format!("wbdctl {}", RUN.join(" ")), "{offered}");

    ctl(&host, &["pause", "a", "change", "is", "under", "way"]).ok();
    let held_back = fix(&host);
    assert!(held_back["command"].is_null(), "{held_back}");
    let why = held_back["withheld"].as_str().unwrap_or_default();
    assert!(why.contains("would be refused now by hold") && why.contains("a change is under way"), "{held_back}");
    let refused = said(&ctl(&host, &RUN).exits(1));
    assert!(refused.contains("refused by hold: paused by root: a change is under way"), "{refused}");
    let last = story.of("refused").pop().expect("the ledger says so too");
    assert_eq!((&last["result"], &last["code"]), (&"hold".into(), &CODE.into()), "{last}");
    assert!(story.of("intent").is_empty(), "{}", story.summary());

    // What the pause held back is waited for when it is lifted.
    let resumed = said(&ctl(&host, &["resume"]).ok());
    assert!(resumed.contains(&format!("{CODE} on wbd: healed")), "{resumed}");
    product::working(&host).unwrap_or_else(|why| panic!("resume said healed: {why}"));
    ended(&host);
}

#[test]
fn a_playbook_that_is_run_ends_with_0_when_its_cure_was_proved() {
    let host = product::shared();
    asks_first(&host);
    let story = Story::begin(&host);
    let incident = held(&host, &story, "approval");
    let ran = said(&ctl(&host, &RUN).ok());
    assert!(ran.contains(&format!("{CODE} on wbd: healed ({incident})")), "{ran}");
    product::working(&host).unwrap_or_else(|why| panic!("it said healed: {why}"));
    let told = story.healed(CODE, SOON);
    told.has_in_order(&["refused", "approved", "intent", "outcome", "verdict", "closed"]);
    // Twin: with nothing to heal it is refused, and nothing is done.
    let refused = said(&ctl(&host, &RUN).exits(1));
    assert!(refused.contains("nothing to heal"), "{refused}");
    ended(&host);
}

#[test]
fn an_approval_is_waited_for_to_its_end_unless_nobody_wants_to_wait() {
    let host = product::shared();
    asks_first(&host);
    let story = Story::begin(&host);
    let incident = held(&host, &story, "approval");
    assert_eq!(fix(&host)["command"], format!("wbdctl approve {incident}"));
    let approved = said(&ctl(&host, &["approve", "--yes", &incident]).ok());
    assert!(approved.contains(&format!("healed ({incident})")), "{approved}");
    assert_eq!(story.healed(CODE, SOON).actions(), ["agent.start"]);

    let story = Story::begin(&host);
    let incident = held(&host, &story, "approval");
    let approved = said(&ctl(&host, &["approve", "--yes", "--no-wait", &incident]).ok());
    assert!(approved.contains(&format!("{incident} approved")) && !approved.contains("healed"), "{approved}");
    story.healed(CODE, SOON);

    // An approval that another guard keeps back is taken, and is no success.
    let story = Story::begin(&host);
    ctl(&host, &["pause", "a", "change", "is", "under", "way"]).ok();
    let incident = held(&host, &story, "hold");
    let approved = said(&ctl(&host, &["approve", "--yes", &incident]).exits(1));
    for part in ["An approval does not have it done now", &format!("{incident} approved"), "refused by hold"] {
        assert!(approved.contains(part), "{part}: {approved}");
    }
    ctl(&host, &["resume"]).ok();
    assert_eq!(story.healed(CODE, SOON).of("approved").len(), 1);
    ended(&host);
}

#[test]
fn a_hung_agent_is_named_by_its_status_and_is_not_started_by_a_start() {
    let host = product::shared();
    let pid = product::agent_works(&host);
    ctl(&host, &["agent", "status"]).ok();
    ctl(&host, &["pause", "a", "change", "is", "under", "way"]).ok();
    let story = Story::begin(&host);
    host.signal(pid, "STOP");
    let refused = story.wait_for("the hung agent", SOON, |record| record["kind"] == "refused");
    let incident = refused["incident"].as_str().expect("an incident").to_owned();
    let status = said(&ctl(&host, &["agent", "status"]).exits(1));
    for part in ["the agent is hung", &format!("process {pid}"), "last heartbeat at", &incident, "held by hold"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert!(!status.contains("no answer of the supervisor"), "{status}");
    // A unit that is active is started by nobody.
    let started = said(&ctl(&host, &["agent", "start"]).exits(1));
    assert!(started.contains("the agent is hung") && started.contains(&format!("process {pid}")), "{started}");
    assert_eq!(host.main_pid(product::AGENT), Some(pid));
    let restarted = said(&ctl(&host, &["agent", "restart"]).ok());
    let now = product::another_agent_works(&host, pid);
    assert!(restarted.contains(&format!("process {now} works")), "{restarted}");
    ctl(&host, &["resume"]).ok();
    ctl(&host, &["agent", "status"]).ok();
    product::healthy(&host);
}
