//! Forged recordings and ledgers that the judge must reject, each with a true twin that it must accept.

use super::*;
use serde_json::json;

const PID: u32 = 77;
const TERM: i32 = 15;

fn intent(id: u32, action: &str, at_ms: u64) -> Value {
    json!({"kind": "intent", "incident": "i1", "action_id": format!("a{id}"), "action": action, "class": "A2",
        "boot_ms": at_ms, "evidence": ["agent: ? -> started"]})
}

fn outcome(id: u32, result: &str, at_ms: u64) -> Value {
    json!({"kind": "outcome", "incident": "i1", "action_id": format!("a{id}"), "result": result, "boot_ms": at_ms})
}

fn record(kind: &str, at_ms: u64) -> Value {
    json!({"kind": kind, "incident": "i1", "boot_ms": at_ms})
}

/// An incident from its opening to its end, with this in between.
fn told(inner: &[Value]) -> Vec<Value> {
    let mut all = vec![record("opened", 900)];
    all.extend_from_slice(inner);
    all.push(record("closed", 100_000));
    all
}

fn start(at_ms: u64) -> Effect {
    Effect { at_us: at_ms * 1_000 + 500, what: What::Start { pid: PID } }
}

fn signal(at_ms: u64) -> Effect {
    Effect { at_us: at_ms * 1_000 + 500, what: What::Signal { number: TERM, pid: PID } }
}

fn job(verb: &str, at_ms: u64) -> Effect {
    let what = What::Job { verb: verb.to_owned(), unit: "wbd-agent.service".to_owned() };
    Effect { at_us: at_ms * 1_000 + 500, what }
}

fn rules() -> Rules {
    let budgets = vec![Budget { window_ms: 60_000, most: 2 }];
    Rules { budgets, early_us: 0, late_us: 0, sees_all: true }
}

#[track_caller]
fn wrongs(records: &[Value], effects: &[Effect]) -> Vec<Wrong> {
    judge(records, effects, &rules()).wrongs
}

/// The true record that every forgery below starts from.
fn healed() -> Vec<Value> {
    told(&[intent(1, "agent.restart", 1_000), outcome(1, "done", 1_020)])
}

#[test]
fn accepts_a_healing_as_it_should_be() {
    assert_eq!(wrongs(&healed(), &[signal(1_001), start(1_010)]), []);
    assert_eq!(wrongs(&healed(), &[job("restart", 1_001)]), []);
    // Cut off milliseconds: 1.0005 s is after an intent at "1,000 ms" and 1,020.5 not after an outcome at "1,020 ms".
    assert_eq!(wrongs(&healed(), &[signal(1_000), start(1_020)]), []);
}

#[test]
fn accepts_a_crash_before_and_after_the_effect() {
    let lost = told(&[intent(1, "agent.start", 1_000), outcome(1, "unknown", 3_000)]);
    assert_eq!(wrongs(&lost, &[]), []);
    assert_eq!(wrongs(&lost, &[start(1_010)]), []);
}

#[test]
fn rejects_an_effect_that_nobody_meant() {
    assert_eq!(wrongs(&[], &[start(1_010)]), [Wrong::Unintended(start(1_010))]);
}

#[test]
fn rejects_an_effect_before_its_intent() {
    let found = wrongs(&healed(), &[start(999), signal(1_001)]);
    assert_eq!(found, [Wrong::Unintended(start(999))]);
}

#[test]
fn rejects_an_effect_after_its_outcome() {
    let found = wrongs(&healed(), &[start(1_010), signal(1_021)]);
    assert_eq!(found, [Wrong::Unintended(signal(1_021))]);
}

#[test]
fn rejects_another_effect_than_the_one_that_was_meant() {
    let started = told(&[intent(1, "agent.start", 1_000), outcome(1, "done", 1_020)]);
    let found = wrongs(&started, &[signal(1_005), start(1_010)]);
    assert_eq!(found, [Wrong::OtherThanIntended(signal(1_005), "a1".to_owned())]);
    let found = wrongs(&started, &[job("restart", 1_010)]);
    assert!(found.contains(&Wrong::OtherThanIntended(job("restart", 1_010), "a1".to_owned())), "{found:?}");
}

#[test]
fn rejects_a_value_that_was_not_the_one_that_was_meant() {
    let mut meant = intent(1, "sysctl.set", 1_000);
    meant["params"] = json!({"sysctl.set": {"key": "fs.inotify.max_user_watches", "value": 4_000, "persist": true}});
    let records = told(&[meant, outcome(1, "done", 1_020)]);
    let set = |key: &str, value| Effect { at_us: 1_005_000, what: What::Set { key: key.to_owned(), value } };
    assert_eq!(wrongs(&records, &[set("fs.inotify.max_user_watches", 4_000)]), []);
    for other in [set("fs.inotify.max_user_watches", 5_000), set("kernel.pid_max", 4_000)] {
        let found = wrongs(&records, std::slice::from_ref(&other));
        assert!(found.contains(&Wrong::OtherThanIntended(other, "a1".to_owned())), "{found:?}");
    }
}

#[test]
fn rejects_the_same_effect_twice() {
    let twice = wrongs(&healed(), &[start(1_005), start(1_010)]);
    assert_eq!(twice, [Wrong::Twice(start(1_010), "a1".to_owned())]);
    let lost = told(&[intent(1, "agent.start", 1_000), outcome(1, "unknown", 3_000)]);
    assert_eq!(wrongs(&lost, &[start(1_005), start(2_900)]), [Wrong::Twice(start(2_900), "a1".to_owned())]);
}

#[test]
fn rejects_a_late_begin_but_not_a_long_way_from_begin_to_end() {
    let slow = told(&[intent(1, "agent.restart", 1_000), outcome(1, "done", 9_000)]);
    assert_eq!(wrongs(&slow, &[signal(1_001), start(8_000)]), []);
    assert_eq!(wrongs(&slow, &[start(6_002)]), [Wrong::Late(start(6_002), "a1".to_owned())]);
}

#[test]
fn rejects_more_than_the_budget_in_any_window() {
    let three = |ats: [u64; 3], second: &[&str]| {
        let mut inner = Vec::new();
        for (id, at_ms) in (1..).zip(ats) {
            let mut meant = intent(id, "agent.start", at_ms);
            if id == 2 {
                meant["evidence"] = json!(second);
            }
            inner.extend([meant, outcome(id, "done", at_ms + 20)]);
        }
        (told(&inner), ats.map(|at_ms| start(at_ms + 10)))
    };
    let (records, effects) = three([1_000, 2_000, 60_999], &[]);
    let over = Wrong::OverBudget(start(61_009), Budget { window_ms: 60_000, most: 2 });
    assert_eq!(wrongs(&records, &effects), [over]);
    let (records, effects) = three([1_000, 2_000, 61_000], &[]);
    assert_eq!(wrongs(&records, &effects), [], "the window is over");
    let (records, effects) = three([1_000, 2_000, 3_000], &["by hand: root"]);
    assert_eq!(wrongs(&records, &effects), [], "by hand costs nothing");
    let at_start = ["agent: none -> started", "paid for, asked by: the start of the stand-alone supervisor"];
    let (records, effects) = three([1_000, 2_000, 3_000], &at_start);
    let over = Wrong::OverBudget(start(3_010), Budget { window_ms: 60_000, most: 2 });
    assert_eq!(wrongs(&records, &effects), [over], "a later start of a supervisor costs what any restart does");
}

#[test]
fn rejects_numbers_used_twice() {
    let two = told(&[
        intent(1, "agent.start", 1_000),
        outcome(1, "done", 1_020),
        intent(1, "agent.start", 2_000),
        outcome(1, "done", 2_020),
    ]);
    assert!(wrongs(&two, &[start(1_010), start(2_010)]).contains(&Wrong::SameNumber("a1".to_owned())));
    let ends = told(&[intent(1, "agent.start", 1_000), outcome(1, "done", 1_020), outcome(1, "failed", 1_030)]);
    assert!(wrongs(&ends, &[start(1_010)]).contains(&Wrong::SameNumber("a1".to_owned())));
}

#[test]
fn rejects_an_action_that_is_told_and_did_not_happen() {
    assert_eq!(wrongs(&healed(), &[]), [Wrong::Untrue("a1".to_owned())]);
    let unseen = Rules { sees_all: false, ..rules() };
    assert_eq!(judge(&healed(), &[], &unseen).wrongs, []);
}

#[test]
fn rejects_actions_and_incidents_without_an_end() {
    let open = [record("opened", 900), intent(1, "agent.start", 1_000)];
    let found = wrongs(&open, &[start(1_010)]);
    assert_eq!(found, [Wrong::WithoutOutcome("a1".to_owned()), Wrong::Unended("i1".to_owned())]);
    let held = [record("opened", 900), record("refused", 950)];
    assert_eq!(wrongs(&held, &[]), []);
    let twice = [record("opened", 900), record("closed", 950), record("closed", 960)];
    assert_eq!(wrongs(&twice, &[]), [Wrong::Unended("i1".to_owned())]);
}
