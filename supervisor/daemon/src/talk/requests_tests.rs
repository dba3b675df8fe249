//! What a request that is refused leaves as it was, and what a permitted one does.
use std::time::Duration;

use wbd_actions::notes;
use wbd_engine::judge;
use wbd_model::action::Undo;
use wbd_model::name::Code;
use wbd_model::observation::Observations;
use wbd_probes::clock::now;

use super::*;
use crate::follow::agent_target;
use crate::look::check_runner::Around;
use crate::look::checks::Looked;
use crate::look::checks::tests::{DOWN, bound};
use crate::supervisor::Supervisor;
use crate::testing::{listening, supervisor};
use wbd_model::control::Mode;

/// An incident has the agent in hand.
fn in_hand(supervisor: &mut Supervisor) {
    let id = IncidentId(1);
    let (code, playbook) = (Code::new("WBD-6007").ok(), PlaybookName::new("agent-down").ok());
    let about = Subject { incident: Some(id), code, target: agent_target(), playbook };
    let (digest, case) = (String::new(), "dead".to_owned());
    let opened = Body::Opened { digest, case, evidence: Vec::new(), before: Observations::new() };
    supervisor.writer.write(&now(), about, opened);
    let undo = Undo { action: Action::AgentStart {} };
    supervisor.writer.state.incidents.get_mut(&id).unwrap().rollback.push((ActionId(1), undo));
}

#[tokio::test]
async fn a_refused_start_leaves_the_administrators_stop_and_a_permitted_one_takes_it_back() {
    const SOON: Duration = Duration::from_secs(20);
    for is_refused in [true, false] {
        let (root, mut supervisor, mut inbox) = listening(Mode::Standalone);
        std::os::unix::fs::symlink("/bin/true", root.path().join("agent")).unwrap();
        notes::note_stop(root.path(), "somebody", now().boot_ms, "").unwrap();
        if is_refused {
            in_hand(&mut supervisor);
        }
        let (reply, mut answer) = oneshot::channel();
        let (request, who) = (Request::Agent { verb: AgentVerb::Start }, "root".to_owned());
        supervisor.on_talk(TalkEvent::Asked { request, who, reply }, &now());
        let until = tokio::time::Instant::now() + SOON;
        let response = loop {
            if let Ok(response) = answer.try_recv() {
                break response;
            }
            let event = tokio::time::timeout_at(until, inbox.recv()).await.unwrap().unwrap();
            supervisor.take(event);
        };
        assert_eq!(matches!(response, Response::Refused { .. }), is_refused, "{response:?}");
        assert_eq!(paths::stop_note(root.path()).exists(), is_refused, "{response:?}");
    }
}

#[test]
fn a_check_that_anybody_asks_for_is_looked_at_again_and_once_a_second_at_most() {
    let (_root, mut supervisor) = supervisor(Mode::Standalone);
    let mut requests = RequestHandler::new(std::path::Path::new("/"));
    let bound = bound(&[DOWN]).remove(0);
    let (key, began) = (bound.key.clone(), now());
    let judgement = judge::judge(&bound, &Observations::new());
    supervisor.check_runner.on(
        CheckEvent::Bound { bounds: vec![bound], is_first: false },
        Around { agent: &supervisor.agent, loaded: &supervisor.products.loaded, state: &supervisor.writer.state },
        &began,
    );
    let mut due = |supervisor: &Supervisor, after_ms: u64, key: &CheckKey| {
        let (reply, _answer) = oneshot::channel();
        let request = Request::LookAgain { checks: vec![key.clone()] };
        assert!(!request.is_change(), "everybody may ask");
        let asked = TalkEvent::Asked { request, who: "nobody".to_owned(), reply };
        let at = Now { boot_ms: began.boot_ms + after_ms, ..began.clone() };
        let mut follows = requests.on(asked, &supervisor.view(), &at);
        assert!(matches!(follows.pop(), Some(Follow::Answer { .. })), "{follows:?}");
        follows.into_iter().map(|follow| format!("{follow:?}")).collect::<Vec<_>>()
    };
    let by = |ms: u64| vec![format!("{:?}", Follow::Check(CheckEvent::By(key.clone(), began.boot_ms + ms)))];
    assert_eq!(due(&supervisor, 5, &key), by(5), "it was not looked at yet");
    let (seen, began_ms) = (Observations::new(), began.boot_ms);
    supervisor.check_runner.checks.all[0].last = Some(Looked { seen, judgement, began_ms, took_ms: 1 });
    assert_eq!(due(&supervisor, 200, &key), by(1_000));
    assert_eq!(due(&supervisor, 3_000, &key), by(3_000));
    let other = CheckKey { target: TargetName::new("other").unwrap(), ..key.clone() };
    assert_eq!(due(&supervisor, 3_000, &other), Vec::<String>::new(), "there is no such check");
}

#[test]
fn what_changes_the_agent_is_on_record_before_the_agent_hears_of_it_and_what_reads_leaves_no_record() {
    let (_root, supervisor) = supervisor(Mode::Standalone);
    let mut requests = RequestHandler::new(std::path::Path::new("/"));
    for change in [true, false] {
        let request = Request::AgentCall { command: "{}".to_owned(), change };
        let (reply, _answer) = oneshot::channel();
        let asked = TalkEvent::Asked { request, who: "root".to_owned(), reply };
        let mut follows = requests.on(asked, &supervisor.view(), &now());
        assert!(matches!(follows.pop(), Some(Follow::Talk(TalkEvent::CallAgent { .. }))));
        assert_eq!(follows.len(), usize::from(change), "{follows:?}");
        assert!(follows.iter().all(|follow| matches!(follow, Follow::Write(..))), "{follows:?}");
    }
}
