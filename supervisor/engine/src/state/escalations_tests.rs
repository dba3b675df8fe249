//! What waits to be told, record by record: when it is tried, when it is given up, and what forgets it.
use wbd_model::incident::{Closing, IncidentId};
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::observation::Observations;
use wbd_model::time::BootId;

use super::*;
use crate::state::State;

fn at(boot_ms: u64) -> Now {
    Now { boot: BootId("b".to_owned()), boot_ms, wall_ms: 1_000_000 + i64::try_from(boot_ms).unwrap() }
}

fn about(incident: u64) -> Subject {
    Subject {
        incident: Some(IncidentId(incident)),
        code: Some(Code::new(format!("T-{incident}")).unwrap()),
        target: Some(TargetName::new("x").unwrap()),
        playbook: Some(PlaybookName::new("p").unwrap()),
    }
}

/// A state to which records are added one by one.
#[derive(Default)]
struct Rig(State);

impl Rig {
    fn with_program() -> Self {
        let mut rig = Self::default();
        rig.says(0, Subject::default(), Body::Notifier { program: vec!["/sbin/page".to_owned()] });
        rig
    }

    fn says(&mut self, boot_ms: u64, subject: Subject, body: Body) {
        let (prev, hash) = (String::new(), String::new());
        self.0.apply(&Entry { seq: self.0.seq + 1, at: at(boot_ms), subject, body, prev, hash });
    }

    /// An incident that needs a person from this moment on.
    fn escalates(&mut self, boot_ms: u64, incident: u64) {
        let before = Observations::new();
        let opened = Body::Opened { digest: String::new(), case: "c".to_owned(), evidence: vec![], before };
        self.says(boot_ms, about(incident), opened);
        self.says(boot_ms, about(incident), Body::Escalated { reason: "why".into(), guide: vec!["do".into()] });
    }

    fn told(&mut self, boot_ms: u64, incident: u64, of_ms: u64, ok: bool, tries: u32) {
        self.says(boot_ms, about(incident), Body::Notified { of: at(of_ms), ok, detail: "broken".into(), tries });
    }

    /// Fails as often as it is tried; gives the moments of the tries.
    fn fails_always(&mut self, incident: u64, of_ms: u64) -> Vec<u64> {
        let (mut now_ms, mut moments) = (of_ms, Vec::new());
        for number in 1.. {
            let Some((due_ms, _)) = self.0.escalations.next(&at(now_ms)) else { break };
            now_ms = due_ms.max(now_ms);
            moments.push(now_ms);
            self.told(now_ms, incident, of_ms, false, number);
        }
        moments
    }

    fn waiting(&self) -> Vec<u64> {
        self.0.escalations.untold.iter().map(|untold| untold.about.incident.unwrap().0).collect()
    }
}

#[test]
fn without_a_program_nothing_waits() {
    let mut rig = Rig::default();
    rig.escalates(10, 1);
    assert_eq!(rig.0.escalations, EscalationQueue::default());
}

#[test]
fn an_escalation_waits_from_its_own_record_on_until_it_was_told() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    let (due_ms, untold) = rig.0.escalations.next(&at(11)).unwrap();
    assert_eq!((due_ms, untold.reason.as_str(), untold.guide.len()), (0, "why", 1));
    assert_eq!(rig.0.escalations.failing().count(), 0, "it was not tried yet");
    rig.told(20, 1, 10, true, 1);
    assert_eq!(rig.0.escalations.next(&at(21)), None);
}

#[test]
fn two_of_one_moment_are_two() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    rig.escalates(10, 2);
    rig.told(20, 1, 10, true, 1);
    assert_eq!(rig.waiting(), [2]);
}

#[test]
fn tries_are_counted_and_their_pauses_double_up_to_half_an_hour() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    let moments = rig.fails_always(1, 10);
    assert_eq!(moments.len(), usize::try_from(TRIES).unwrap());
    let pauses: Vec<u64> = moments.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280]);
    assert_eq!(pause_ms(100), LONGEST_PAUSE_MS);
}

#[test]
fn what_was_given_up_stays_visible_while_a_person_is_needed() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    rig.fails_always(1, 10);
    rig.says(9_000_000, about(1), Body::Closed { how: Closing::HandedOver });
    assert!(rig.0.escalations.failing().all(Untold::is_given_up) && rig.waiting() == [1]);
    let key = Subject { incident: None, ..about(1) };
    rig.says(9_000_001, key, Body::Cleared {});
    assert!(rig.waiting().is_empty());
}

#[test]
fn one_that_ended_meanwhile_is_told_all_the_same_and_not_kept_beyond_its_last_try() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    rig.told(20, 1, 10, false, 1);
    rig.says(30, about(1), Body::Closed { how: Closing::Healed });
    assert_eq!(rig.waiting(), [1]);
    rig.told(40, 1, 10, false, TRIES);
    assert!(rig.waiting().is_empty());
}

#[test]
fn a_late_notification_does_not_latch_what_was_seen_to_be_gone() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    rig.says(20, about(1), Body::Closed { how: Closing::HandedOver });
    rig.says(30, Subject { incident: None, ..about(1) }, Body::Cleared {});
    rig.told(40, 1, 10, true, 1);
    assert!(rig.0.latched.is_empty());
}

#[test]
fn another_boot_tries_at_once_with_the_tries_that_are_left() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    rig.told(20, 1, 10, false, 3);
    let now = Now { boot: BootId("c".to_owned()), ..at(1) };
    let (due_ms, untold) = rig.0.escalations.next(&now).unwrap();
    assert_eq!((due_ms, untold.tries), (0, 3));
}

#[test]
fn another_program_begins_anew_and_none_forgets_what_waits() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    rig.fails_always(1, 10);
    rig.says(9_000_000, Subject::default(), Body::Notifier { program: vec!["/sbin/better".to_owned()] });
    assert_eq!(rig.0.escalations.next(&at(9_000_000)).map(|(due_ms, _)| due_ms), Some(0));
    rig.says(9_000_001, Subject::default(), Body::Notifier { program: vec![] });
    assert!(rig.waiting().is_empty());
}

#[test]
fn with_too_many_the_oldest_is_dropped_and_counted() {
    let mut rig = Rig::with_program();
    let most = u64::try_from(MOST).unwrap();
    for incident in 1..=most + 2 {
        rig.escalates(incident, incident);
    }
    assert_eq!((rig.waiting().len(), rig.waiting()[0], rig.0.escalations.dropped), (MOST, 3, 2));
    rig.says(9_000, Subject::default(), Body::Resumed { who: "root".into() });
    assert_eq!((rig.waiting().len(), rig.0.escalations.dropped), (MOST, 0), "only what was given up is forgotten");
}

#[test]
fn being_told_of_changes_nothing_about_an_incident() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    let before = rig.0.incidents.clone();
    rig.told(20, 1, 10, false, 1);
    assert_eq!(rig.0.incidents, before);
}

#[test]
fn the_queue_of_a_ledger_that_an_older_version_set_aside_is_read_and_written_under_its_name() {
    let mut rig = Rig::with_program();
    rig.escalates(10, 1);
    let packed = serde_json::to_value(&rig.0).unwrap();
    assert_eq!(packed["telling"]["untold"][0]["about"]["incident"], 1);
    let read: State = serde_json::from_value(packed).unwrap();
    assert_eq!(read.escalations, rig.0.escalations);
}
