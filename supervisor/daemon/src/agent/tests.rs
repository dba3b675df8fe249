//! The agent's owner on its own: an end is told once, with who asked, and never an old one for a new one; a job that is
//! not ours is an administrator's word.
use std::fs;

use tempfile::TempDir;
use tokio::sync::mpsc;
use wbd_model::entry::{Body, Entry, Exit, ExitHow, Subject};
use wbd_model::observation::{Fact, Value};
use wbd_probes::clock::now;

use super::exits::{UNTOLD, unknown};
use super::*;
use crate::follow::agent_target;
use wbd_model::action::AgentStop;

/// A process id that no process has.
const GONE: u32 = 4_194_305;

/// The owner, and the state that its records lead to.
struct Rig {
    root: TempDir,
    agent: Agent,
    state: State,
}

impl Rig {
    fn new(mode: Mode) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run/wbd")).unwrap();
        let (events, _) = mpsc::channel(8);
        let agent = Agent::new(root.path(), mode, ProbeRunner::new(root.path().to_path_buf()), events);
        let mut rig = Self { root, agent, state: State::default() };
        rig.write(&now(), Subject::default(), Body::Started { version: String::new(), mode: mode.as_str().to_owned() });
        rig
    }

    fn write(&mut self, at: &Now, subject: Subject, body: Body) {
        let (prev, hash) = (String::new(), String::new());
        self.state.apply(&Entry { seq: self.state.seq + 1, at: at.clone(), subject, body, prev, hash });
    }

    /// What follows, its records written.
    fn on_at(&mut self, event: AgentEvent, at: &Now) -> Vec<Follow> {
        let follows = self.agent.on(event, &self.state, at);
        for follow in &follows {
            if let Follow::Write(subject, body) = follow {
                self.write(at, subject.clone(), Body::clone(body));
            }
        }
        follows
    }

    fn on(&mut self, event: AgentEvent) -> Vec<Follow> {
        self.on_at(event, &now())
    }

    fn begins(&mut self, action: Action, process: Option<u32>) {
        assert_eq!(self.on(AgentEvent::ActionBegins { action, process }), []);
    }

    fn ends(&mut self, outcome: Outcome, job: Option<u32>) {
        self.on(AgentEvent::ActionEnded { outcome, job, spawned: None });
    }

    fn exits(&self) -> Vec<(i64, ExitHow, bool, &str)> {
        let exits = self.state.exits.iter();
        exits.map(|(_, _, exit)| (exit.pid, exit.how, exit.asked, exit.by.as_str())).collect()
    }

    fn health(&self, pid: u32) {
        let text = format!(
            r#"{{"schema":1,"version":"0","pid":{pid},"start_ticks":18446744073709551615,"state":"active","generation":1,
            "settings":{{"source":"current","problem":null}},"targets":[],"was":{{"required":[],"found":[],"unsupported":[],"unreadable":0}},
            "watches":{{"used":0,"needed":0,"missing":0,"scanning":false,"failed_at":"none","errno":null,"uncovered":[]}},
            "fds_open":1,"errors":[],"heartbeat_ms":1,"written_at":1}}"#,
        );
        let path = paths::health(self.root.path());
        fs::write(&path, text).unwrap();
        assert!(health::read(&path).is_ok());
    }

    fn last_exit(&self, field: &str) -> Fact {
        self.agent.last_exit(&agent_target().unwrap(), &self.state, &now()).fact(field)
    }

    fn is_noted(&self) -> bool {
        paths::stop_note(self.root.path()).exists()
    }
}

fn exit(pid: u32, how: ExitHow) -> Exit {
    Exit { how, code: 9, ..unknown(pid) }
}

fn known(value: &str) -> Fact {
    Fact::Known(Value::Text(value.to_owned()))
}

#[test]
fn an_end_is_recorded_before_the_agent_is_looked_at_again() {
    let mut rig = Rig::new(Mode::Standalone);
    let follows = rig.on(AgentEvent::Exit(exit(5, ExitHow::Signal)));
    assert_eq!(follows, [Follow::of_agent(Body::Exit(exit(5, ExitHow::Signal))), Follow::Check(CheckEvent::Agent)]);
    // Twin: told twice, nothing is new.
    assert_eq!(rig.on(AgentEvent::Exit(exit(5, ExitHow::Signal))), []);
}

#[test]
fn an_end_is_recorded_once_and_a_cause_that_comes_later_is_added() {
    let mut rig = Rig::new(Mode::Standalone);
    for told in
        [unknown(5), unknown(5), exit(5, ExitHow::Signal), exit(5, ExitHow::Exit), unknown(5), exit(6, ExitHow::Signal)]
    {
        rig.on(AgentEvent::Exit(told));
    }
    let wanted = [(5, ExitHow::Unknown, false, ""), (5, ExitHow::Signal, false, ""), (6, ExitHow::Signal, false, "")];
    assert_eq!(rig.exits(), wanted);
}

#[test]
fn only_an_action_that_ends_this_very_process_has_asked_for_its_end() {
    let restart = || Action::AgentRestart {};
    for (action, process, asked) in [
        (restart(), Some(5), true),
        (restart(), None, true),
        // Started by the restart, and dead at once: that is a failure.
        (restart(), Some(4), false),
        (Action::AgentStop(AgentStop { who: "root".to_owned() }), Some(5), true),
        (Action::AgentStart {}, Some(5), false),
        (Action::AgentReload {}, Some(5), false),
    ] {
        let mut rig = Rig::new(Mode::Standalone);
        let name = action.name();
        rig.begins(action, process);
        rig.on(AgentEvent::Exit(exit(5, ExitHow::Signal)));
        assert_eq!(rig.exits()[0].2, asked, "{name} {process:?}");
    }
}

#[test]
fn an_end_that_is_told_after_the_action_is_still_its_own_until_the_next_one() {
    let mut rig = Rig::new(Mode::Systemd);
    rig.begins(Action::AgentRestart {}, Some(5));
    rig.ends(Outcome::Done, Some(1));
    rig.on(AgentEvent::Exit(exit(5, ExitHow::Signal)));
    rig.begins(Action::AgentRestart {}, Some(6));
    rig.ends(Outcome::Done, Some(2));
    rig.begins(Action::AgentReload {}, Some(7));
    rig.ends(Outcome::Done, Some(3));
    rig.on(AgentEvent::Exit(exit(6, ExitHow::Signal)));
    assert_eq!(rig.exits().iter().map(|(_, _, asked, _)| *asked).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn an_end_after_an_administrators_stop_was_asked_for_by_name() {
    let mut rig = Rig::new(Mode::Standalone);
    let stop = |rig: &Rig, at_ms| notes::note_stop(rig.root.path(), "somebody", at_ms, "").unwrap();
    stop(&rig, now().boot_ms + 60_000);
    rig.on(AgentEvent::Exit(exit(5, ExitHow::Exit)));
    stop(&rig, now().boot_ms);
    rig.on(AgentEvent::Exit(exit(6, ExitHow::Exit)));
    assert_eq!(rig.exits(), [(5, ExitHow::Exit, false, ""), (6, ExitHow::Exit, true, "somebody")]);
}

#[test]
fn what_the_bus_does_not_tell_in_time_is_written_as_unknown() {
    let mut rig = Rig::new(Mode::Systemd);
    for pid in [5, 6] {
        assert_eq!(rig.on(AgentEvent::Gone { pid, exit: None }), [Follow::Check(CheckEvent::Agent)]);
    }
    rig.on(AgentEvent::Exit(exit(6, ExitHow::Oom)));
    rig.on(AgentEvent::TimePassed);
    assert_eq!(rig.exits(), [(6, ExitHow::Oom, false, "")], "the bus still has time");
    let later = now();
    assert!(rig.agent.next_ms().is_some_and(|at_ms| at_ms <= later.boot_ms + BUS_TELLS_MS), "it is waited for");
    rig.on_at(AgentEvent::TimePassed, &Now { boot_ms: later.boot_ms + BUS_TELLS_MS, ..later });
    assert_eq!(rig.exits()[1..], [(5, ExitHow::Unknown, false, "")]);
    assert_eq!(rig.agent.next_ms(), None);
    for pid in 100..200 {
        rig.on(AgentEvent::Gone { pid, exit: None });
    }
    assert!(rig.agent.untold.len() <= UNTOLD, "what waits is bounded");
}

#[test]
fn alone_the_parent_knows_how_it_ended_at_once() {
    let mut rig = Rig::new(Mode::Standalone);
    rig.on(AgentEvent::Gone { pid: 5, exit: Some(exit(5, ExitHow::Exit)) });
    rig.on(AgentEvent::Gone { pid: 6, exit: None });
    assert_eq!(rig.exits(), [(5, ExitHow::Exit, false, ""), (6, ExitHow::Unknown, false, "")]);
}

#[test]
fn of_an_end_that_the_service_manager_did_not_tell_of_nobody_knows_who_asked() {
    for (mode, is_known) in [(Mode::Systemd, false), (Mode::Standalone, true)] {
        let mut rig = Rig::new(mode);
        rig.on(AgentEvent::Exit(unknown(5)));
        assert_eq!(matches!(rig.last_exit("asked"), Fact::Known(_)), is_known, "{mode:?}");
        rig.on(AgentEvent::Exit(exit(5, ExitHow::Exit)));
        assert_eq!(rig.last_exit("asked"), Fact::Known(Value::Bool(false)), "told later");
    }
}

#[test]
fn an_older_end_says_nothing_about_a_process_whose_end_was_missed() {
    let mut rig = Rig::new(Mode::Standalone);
    let seen = |rig: &Rig| (rig.last_exit("seen"), rig.last_exit("how"));
    let bool = |value| Fact::Known(Value::Bool(value));
    rig.on(AgentEvent::Exit(exit(5, ExitHow::Signal)));
    assert_eq!(seen(&rig), (bool(true), known("signal")), "no document, no other word");
    rig.health(GONE);
    assert_eq!(seen(&rig), (bool(false), known("none")));
    rig.on(AgentEvent::Exit(exit(GONE, ExitHow::Exit)));
    assert_eq!(seen(&rig), (bool(true), known("exit")));
    rig.health(5);
    assert_eq!(seen(&rig).0, bool(true), "one that died before its first document");
}

#[test]
fn alone_the_agent_is_to_be_started_unless_somebody_stopped_it() {
    let rig = Rig::new(Mode::Standalone);
    assert!(rig.agent.is_to_be_started());
    notes::note_stop(rig.root.path(), "somebody", now().boot_ms, "").unwrap();
    assert!(!rig.agent.is_to_be_started());
    assert!(!Rig::new(Mode::Systemd).agent.is_to_be_started(), "that is systemd's");
}

/// Beside the note of a stop, this action is being done.
fn acting(action: Action) -> Rig {
    let mut rig = Rig::new(Mode::Systemd);
    let follows = rig.on(AgentEvent::StoppedByHand { ran: true });
    assert_eq!(follows.len(), 2, "{follows:?}");
    rig.begins(action, Some(5));
    rig
}

const RAN: EndedJob = EndedJob { id: 7, effect: Effect::Runs(Some("agent.restart")) };

#[test]
fn a_job_of_ours_whose_number_nobody_knows_is_not_taken_for_an_administrators() {
    for (told_first, outcome, job, is_ours) in [
        (true, Outcome::Done, None, true),
        (false, Outcome::Done, None, true),
        (false, Outcome::Failed, None, true),
        (true, Outcome::Done, Some(7), true),
        // Twins: nothing was asked for; ours is another one.
        (true, Outcome::Aborted, None, false),
        (false, Outcome::Done, Some(6), false),
    ] {
        let mut rig = acting(Action::AgentRestart {});
        if told_first {
            rig.on(AgentEvent::JobEnded(RAN));
        }
        rig.ends(outcome, job);
        if !told_first {
            rig.on(AgentEvent::JobEnded(RAN));
        }
        assert_eq!(rig.is_noted(), is_ours, "{told_first} {outcome:?} {job:?}");
        rig.on(AgentEvent::JobEnded(EndedJob { id: 8, ..RAN }));
        assert!(!rig.is_noted(), "one job is ours, the next is an administrator's");
    }
}

#[test]
fn a_stop_beside_an_action_that_starts_the_agent_is_noted_before_that_action_ends() {
    let stopped = EndedJob { id: 9, effect: Effect::Stopped { ran: true } };
    for (action, at_once) in [
        (Action::AgentStart {}, true),
        (Action::AgentRestart {}, true),
        // It may be this very stop.
        (Action::AgentStop(AgentStop { who: "root".to_owned() }), false),
    ] {
        let mut rig = Rig::new(Mode::Systemd);
        let name = action.name();
        rig.begins(action, Some(5));
        rig.on(AgentEvent::JobEnded(stopped));
        assert_eq!(rig.is_noted(), at_once, "{name}");
    }
}

#[test]
fn what_nobody_told_of_is_an_administrators_unless_an_action_may_have_been_it() {
    let mut rig = Rig::new(Mode::Systemd);
    rig.begins(Action::AgentStop(AgentStop { who: "root".to_owned() }), Some(5));
    assert_eq!(rig.on(AgentEvent::StoppedByHand { ran: true }), []);
    assert!(!rig.is_noted());
    rig.ends(Outcome::Done, Some(1));
    rig.on(AgentEvent::StoppedByHand { ran: true });
    assert!(rig.is_noted());
    rig.begins(Action::AgentStart {}, None);
    rig.on(AgentEvent::StartedByHand);
    assert!(rig.is_noted(), "it is the action's");
    rig.ends(Outcome::Done, Some(2));
    rig.on(AgentEvent::StartedByHand);
    assert!(!rig.is_noted());
}
