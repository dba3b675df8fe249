//! Who is told of an escalation, in which order, and what is written of it.
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};
use wbd_model::entry;
use wbd_model::incident::IncidentId;
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::observation::Observations;
use wbd_probes::clock::now;

use super::*;

/// Far more than a program that is not there needs.
const SOON: Duration = Duration::from_secs(20);

fn notifier(program: &[&str]) -> (TempDir, Notifier, Receiver<Event>) {
    let root = tempfile::tempdir().unwrap();
    let (events, inbox) = channel(8);
    let program = program.iter().map(|&word| word.to_owned()).collect();
    let notifier = Notifier::new(root.path(), Mode::Standalone, program, events);
    (root, notifier, inbox)
}

fn write(state: &mut State, subject: Subject, body: Body) {
    let (prev, hash) = (String::new(), String::new());
    state.apply(&entry::Entry { seq: state.seq + 1, at: now(), subject, body, prev, hash });
}

fn follow(state: &mut State, follows: Vec<Follow>) {
    for follow in follows {
        if let Follow::Write(subject, body) = follow {
            write(state, subject, *body);
        }
    }
}

fn about() -> Subject {
    let (code, target) = (Code::new("WBD-6007").ok(), TargetName::new("wbd").ok());
    Subject { incident: Some(IncidentId(1)), code, target, playbook: PlaybookName::new("agent-down").ok() }
}

fn escalated(state: &mut State) {
    let (digest, case) = (String::new(), "dead".to_owned());
    write(state, about(), Body::Opened { digest, case, evidence: Vec::new(), before: Observations::new() });
    write(state, about(), Body::Escalated { reason: "why".to_owned(), guide: vec!["look".to_owned()] });
}

#[test]
fn who_tells_is_written_before_anybody_is_told() {
    let (_root, mut notifier, _inbox) = notifier(&["/bin/page"]);
    let mut state = State::default();
    let follows = notifier.on(NotifyEvent::TimePassed, &state, &now());
    let notifies = Body::Notifier { program: vec!["/bin/page".to_owned()] };
    assert_eq!(follows, [Follow::Write(Subject::default(), Box::new(notifies)), Follow::NotifyWhatIsDue]);
    follow(&mut state, follows);
    // Twin: it stands there.
    assert_eq!(notifier.on(NotifyEvent::TimePassed, &state, &now()), []);
    notifier.on(NotifyEvent::Program(Vec::new()), &state, &now());
    assert_eq!(notifier.on(NotifyEvent::TimePassed, &state, &now()).len(), 2, "other settings name another one");
}

#[tokio::test]
async fn the_program_runs_once_at_a_time_and_what_became_of_it_is_written() {
    let (_root, mut notifier, mut inbox) = notifier(&["/nowhere/page"]);
    let mut state = State::default();
    follow(&mut state, notifier.on(NotifyEvent::TimePassed, &State::default(), &now()));
    assert_eq!(notifier.next_ms(&state, &now()), None, "nothing to tell");
    escalated(&mut state);
    assert!(notifier.next_ms(&state, &now()).is_some());
    assert_eq!(notifier.on(NotifyEvent::TimePassed, &state, &now()), []);
    assert_eq!(notifier.next_ms(&state, &now()), None, "it runs");
    let event = tokio::time::timeout(SOON, inbox.recv()).await.unwrap();
    let Some(Event::Tell(ran @ NotifyEvent::Ran { .. })) = event else { panic!("{event:?}") };
    let follows = notifier.on(ran, &state, &now());
    let [Follow::Write(subject, body)] = follows.as_slice() else { panic!("{follows:?}") };
    assert_eq!(*subject, about());
    assert!(matches!(body.as_ref(), Body::Notified { ok: false, tries: 1, .. }), "{body:?}");
    follow(&mut state, follows);
    assert!(notifier.next_ms(&state, &now()).is_some(), "it is tried again");
}

#[test]
fn after_a_start_what_still_needs_a_person_is_entered_once_more() {
    for (how, is_entered) in [(None, true), (Some(Closing::HandedOver), true), (Some(Closing::Healed), false)] {
        let (_root, mut notifier, _inbox) = notifier(&[]);
        notifier.uses_journal = true;
        let mut state = State::default();
        escalated(&mut state);
        if let Some(how) = how {
            write(&mut state, about(), Body::Closed { how });
        }
        notifier.on(NotifyEvent::Begun, &state, &now());
        let rows = notifier.untold_rows(&state, &now());
        assert_eq!(rows.iter().any(|row| row.by == NotifyBy::Journal), is_entered, "{how:?}");
    }
}

/// The answer to a test with this program.
async fn tested(program: &[&str]) -> Response {
    let (_root, mut notifier, mut inbox) = notifier(program);
    let (reply, answer) = oneshot::channel();
    let state = State::default();
    notifier.on(NotifyEvent::Test { reply }, &state, &now());
    if !program.is_empty() {
        let (second, refused) = oneshot::channel();
        notifier.on(NotifyEvent::Test { reply: second }, &state, &now());
        let refused = refused.await.unwrap();
        assert!(matches!(&refused, Response::Refused { message } if message.contains("runs just now")), "{refused:?}");
        let event = tokio::time::timeout(SOON, inbox.recv()).await.unwrap();
        let Some(Event::Tell(tested @ NotifyEvent::Tested { .. })) = event else { panic!("{event:?}") };
        assert_eq!(notifier.on(tested, &state, &now()), [], "a test is no escalation that was told");
        assert!(!notifier.running);
    }
    answer.await.unwrap()
}

#[tokio::test]
async fn a_test_runs_the_program_and_tells_its_end_and_words_to_who_asked() {
    let Response::Escalation(test) = tested(&["/usr/bin/printenv", "WBD_TEST", "WBD_CODE"]).await else { panic!() };
    assert!(test.ok && test.detail.contains("it ended with 0") && test.detail.contains("WBD-TEST"), "{test:?}");
    // Twins: it fails, it is not there, there is none.
    let Response::Escalation(test) = tested(&["/usr/bin/printenv", "WBD_NONE"]).await else { panic!() };
    assert!(!test.ok && test.detail.contains("exit status: 1"), "{test:?}");
    let Response::Escalation(test) = tested(&["/nowhere/page"]).await else { panic!() };
    assert!(!test.ok && test.detail.contains("/nowhere/page"), "{test:?}");
    let none = tested(&[]).await;
    assert!(matches!(&none, Response::Refused { message } if message.contains("set on_escalation")), "{none:?}");
}
