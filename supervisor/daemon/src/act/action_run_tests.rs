//! In which order things are asked for around an action, and what is not begun.
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};
use wbd_actions::{Alone, Reach};
use wbd_model::incident::IncidentId;
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::plan::{Approval, Attempts, Plan};
use wbd_probes::clock::now;

use super::*;
use crate::supervisor::Supervisor;
use crate::testing;
use wbd_model::control::Mode;

const SOON: Duration = Duration::from_secs(20);

/// An action runner beside a supervisor that knows of nothing.
fn action_runner() -> (TempDir, Supervisor, ActionRunner, Receiver<Event>) {
    let (root, supervisor) = testing::supervisor(Mode::Standalone);
    let reach = Alone { root: root.path().to_owned(), agent: root.path().join("agent"), args: Vec::new() };
    let (events, inbox) = channel(8);
    let runner = ActionRunner::new(Executor::new(Reach::Alone(reach)), BusyLook::new(root.path()), events);
    (root, supervisor, runner, inbox)
}

/// A start of the agent that takes something back, so that it needs no look.
fn wanted() -> ActEvent {
    let (code, target) = (Code::new("WBD-6007").unwrap(), TargetName::new("wbd").unwrap());
    let playbook = PlaybookName::new("agent-down").unwrap();
    let action = Action::AgentStart {};
    let plan = Plan {
        code: code.clone(),
        target: target.clone(),
        playbook: playbook.clone(),
        digest: "d".to_owned(),
        rung: 0,
        rung_id: "again".to_owned(),
        approval: Approval::Auto,
        steps: vec![action.clone()],
    };
    let (incident, undoes, key) = (IncidentId(1), Some(ActionId(1)), CheckKey { code, target });
    let attempts = Attempts { max: 1, per_ms: 1, backoff_from_ms: 0, backoff_to_ms: 0 };
    ActEvent::Wanted(Box::new(ActionRequest {
        incident,
        key,
        playbook,
        plan,
        step: 0,
        undoes,
        action,
        attempts,
        waits: None,
    }))
}

async fn next(inbox: &mut Receiver<Event>) -> ActEvent {
    let event = tokio::time::timeout(SOON, inbox.recv()).await.unwrap();
    let Some(Event::Act(event)) = event else { panic!("{event:?}") };
    event
}

#[tokio::test]
async fn hold_files_are_looked_for_after_everything_else_and_before_the_guards_are_asked() {
    let (_root, supervisor, mut action_runner, mut inbox) = action_runner();
    let view = supervisor.view();
    assert_eq!(action_runner.on(wanted(), &view, &now()), []);
    assert!(action_runner.is_busy() && !action_runner.is_acting());
    let follows = action_runner.on(next(&mut inbox).await, &view, &now());
    assert!(matches!(follows.as_slice(), [Follow::SeeBusy(_), Follow::Act(ActEvent::HoldsSeen { .. })]), "{follows:?}");
    assert!(!action_runner.is_busy());
}

#[tokio::test]
async fn what_was_given_up_is_not_gone_on_with() {
    let (_root, supervisor, mut action_runner, mut inbox) = action_runner();
    let view = supervisor.view();
    action_runner.on(wanted(), &view, &now());
    assert_eq!(action_runner.on(ActEvent::GiveUp, &view, &now()), []);
    // The same is asked for again before the first answer comes.
    action_runner.on(wanted(), &view, &now());
    // They come in any order; nothing follows from the old one.
    let mut followed = Vec::new();
    for _ in 0..2 {
        followed.push(action_runner.on(next(&mut inbox).await, &view, &now()).len());
    }
    followed.sort_unstable();
    assert_eq!(followed, [0, 2]);
}

#[tokio::test]
async fn beside_an_action_nothing_is_begun_and_it_is_not_given_up() {
    let (_root, supervisor, mut action_runner, _inbox) = action_runner();
    let view = supervisor.view();
    action_runner.run = Some(ActionRun::Acting);
    assert_eq!(action_runner.on(wanted(), &view, &now()), []);
    assert_eq!(action_runner.on(ActEvent::GiveUp, &view, &now()), []);
    let (reply, mut answer) = oneshot::channel();
    let asked = ByHand { action: Action::AgentReload {}, undoes: None, who: "root".to_owned(), reply };
    assert_eq!(action_runner.on(ActEvent::ByHand(asked), &view, &now()), []);
    assert!(matches!(answer.try_recv(), Ok(Response::Refused { .. })));
    assert!(action_runner.is_acting());
}

#[tokio::test]
async fn the_agents_owner_is_told_of_an_end_before_its_outcome_is_written() {
    let (_root, supervisor, mut action_runner, _inbox) = action_runner();
    action_runner.run = Some(ActionRun::Acting);
    let detail = "started as process 5".to_owned();
    let (action, outcome) = (ActionId(1), Outcome::Done);
    let report = Report { action, outcome, detail: detail.clone(), spawned: Some(5), job: None, took_ms: 1 };
    let (reply, mut answer) = oneshot::channel();
    let ended = ActEvent::Ended { subject: Subject::default(), report, reply: Some(reply) };
    let mut follows = action_runner.on(ended, &supervisor.view(), &now());
    assert!(answer.try_recv().is_err(), "whoever waits hears of it when it is on record");
    assert!(matches!(follows.pop(), Some(Follow::Answer { .. })));
    let body = Body::Outcome { action, result: outcome, detail, took_ms: 1 };
    let wanted = [
        Follow::InFlight(None),
        Follow::Agent(AgentEvent::ActionEnded { outcome, job: None, spawned: Some(5) }),
        Follow::Write(Subject::default(), Box::new(body)),
        Follow::Check(CheckEvent::Agent),
    ];
    assert_eq!(follows, wanted);
    assert!(!action_runner.is_busy());
}
