//! What counts as an end of what was asked for, and with which exit code.
use wbd_model::incident::ActionId;
use wbd_model::name::{Code, PlaybookName, TargetName};

use super::*;

fn key() -> CheckKey {
    CheckKey { code: Code::new("TOY-1").unwrap(), target: TargetName::new("toy").unwrap() }
}

fn incident(id: u64, phase: Phase) -> IncidentRow {
    let CheckKey { code, target } = key();
    IncidentRow {
        id: IncidentId(id),
        code,
        target,
        playbook: PlaybookName::new("toy-match").unwrap(),
        case: "differ".into(),
        phase,
        opened: 0,
        changed: 0,
        acts: 0,
        held: None,
        guide: vec![],
        reason: None,
    }
}

fn closed(id: u64, how: Closing) -> IncidentRow {
    incident(id, Phase::Closed { how })
}

fn held(guard: Guard, until_ms: Option<u64>) -> IncidentRow {
    let refusal = Refusal { guard, reason: "the guard's own words".into(), until_ms };
    incident(4, Phase::Gated { held: Some(refusal) })
}

fn now() -> Now {
    Now { boot: wbd_model::time::BootId("b".into()), boot_ms: 1_000_000, wall_ms: 0 }
}

#[test]
fn an_end_counts_only_for_what_was_asked_for_before_it() {
    let healed = |id| closed(id, Closing::Healed);
    let open = |id| incident(id, Phase::Gated { held: None });
    assert!(!is_of_this_asking(&healed(5), Some(&healed(5))), "it was over before");
    assert!(is_of_this_asking(&healed(6), Some(&healed(5))), "it began since");
    assert!(is_of_this_asking(&healed(5), Some(&open(5))), "it ended since");
    assert!(is_of_this_asking(&healed(1), None), "it is the first one");
}

#[test]
fn only_a_proof_is_good_and_a_guards_no_is_told_in_its_own_words() {
    for how in [Closing::Healed, Closing::SelfHealed, Closing::Subsumed] {
        assert_eq!(ended(&closed(4, how), &now()).unwrap().0, End::Proven);
    }
    for how in [Closing::HandedOver, Closing::Noise, Closing::Waived] {
        assert_eq!(ended(&closed(4, how), &now()).unwrap().0, End::Refused);
    }
    let given_up = IncidentRow { reason: Some("its 3 attempts are spent".into()), ..closed(4, Closing::HandedOver) };
    let words = ended(&given_up, &now()).unwrap().1;
    assert!(words.contains("its 3 attempts are spent") && words.contains("wbdctl incidents show I4"), "{words}");
    let (end, words) = ended(&held(Guard::HostBudget, Some(1_060_000)), &now()).unwrap();
    assert_eq!(end, End::Refused);
    for part in ["refused by host-budget: the guard's own words, until ", "(I4)"] {
        assert!(words.contains(part), "{words}");
    }
    // Twin: a moment that has passed is no end of anything.
    let words = ended(&held(Guard::HostBudget, Some(1)), &now()).unwrap().1;
    assert!(!words.contains("until"), "{words}");
}

#[test]
fn what_goes_on_by_itself_is_waited_for_unless_that_is_too_long() {
    let soon = [
        incident(4, Phase::Gated { held: None }),
        incident(4, Phase::Acting { action: ActionId(7) }),
        incident(4, Phase::Verifying),
        incident(4, Phase::Probation),
        held(Guard::Backoff, Some(1_010_000)),
        held(Guard::Conflict, None),
        held(Guard::Unseen, Some(1_010_000)),
    ];
    for row in soon {
        assert_eq!(ended(&row, &now()), None, "{row:?}");
    }
    let (end, words) = ended(&held(Guard::Backoff, Some(1_300_000)), &now()).unwrap();
    assert_eq!(end, End::UnderWay);
    assert!(words.contains("wbdctl incidents show I4") && words.contains("until "), "{words}");
}

#[test]
fn at_the_end_of_the_time_only_what_was_proved_is_good() {
    assert_eq!(late(&incident(4, Phase::Probation)).0, End::Proven);
    for phase in [Phase::Verifying, Phase::Acting { action: ActionId(7) }, Phase::Gated { held: None }] {
        let (end, words) = late(&incident(4, phase));
        assert_eq!(end, End::UnderWay);
        assert!(words.contains("still under way") && words.contains("wbdctl incidents show I4"), "{words}");
    }
}

#[test]
fn a_refusal_of_before_the_asking_is_none_before_the_guards_were_asked_again() {
    let client = Client::new(std::path::Path::new("/nowhere"), Duration::from_secs(1));
    let (began, before) = (Instant::now(), vec![held(Guard::Hold, None)]);
    let asking = Asking { client, began, before };
    let came = |rows: &[IncidentRow], waited| asking.came(&key(), rows, &[], waited, &now()).map(|came| came.end);
    assert_eq!(came(&[held(Guard::Hold, None)], Duration::from_secs(1)), None);
    assert_eq!(came(&[held(Guard::Hold, None)], ASKED_AGAIN), Some(End::Refused), "it stands");
    let again = IncidentRow { changed: 1, ..held(Guard::Hold, None) };
    assert_eq!(came(&[again], Duration::from_secs(1)), Some(End::Refused), "it was said once more");
    assert_eq!(came(&[held(Guard::HostBudget, None)], Duration::from_secs(1)), Some(End::Refused), "another guard's");
}

#[test]
fn without_an_incident_only_a_look_since_the_asking_tells_that_nothing_is_to_be_done() {
    let CheckKey { code, target } = key();
    let looked = |verdict, age_ms| CheckedRow { code: code.clone(), target: target.clone(), verdict, age_ms };
    let came = |check: Option<&CheckedRow>, waited| unopened(check, waited).map(|(end, _)| end);
    let second = Duration::from_secs(1);
    assert_eq!(came(Some(&looked(Verdict::Pass, 500)), second), Some(End::Proven));
    assert_eq!(came(Some(&looked(Verdict::Pass, 1_500)), second), None, "of before");
    assert_eq!(came(Some(&looked(Verdict::Fail, 500)), second), None, "it is opened soon");
    for check in [Some(&looked(Verdict::Fail, 500)), Some(&looked(Verdict::Unknown, 500)), None] {
        assert_eq!(came(check, OPENING), Some(End::Refused));
    }
}

#[test]
fn the_worst_end_decides_the_exit_code_and_every_bad_one_is_told() {
    let came = |end, words: &str| Came { key: key(), end, words: words.into() };
    let (good, late, bad) = (came(End::Proven, "a"), came(End::UnderWay, "b"), came(End::Refused, "c"));
    assert_eq!(failure(std::slice::from_ref(&good)), None);
    assert_eq!(failure(&[good.clone(), late.clone()]).unwrap().exit, Exit::TryAgain);
    let all = failure(&[good, late, bad]).unwrap();
    assert_eq!((all.exit, all.message.as_str()), (Exit::Failed, "TOY-1 on toy: c"));
    assert_eq!(all.more, ["TOY-1 on toy: b"]);
    assert_eq!((result(Some(&all)), result(None)), ("refused", "done"));
}
