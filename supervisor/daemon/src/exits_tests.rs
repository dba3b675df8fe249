//! Ends of the agent as they are recorded, on a supervisor that does not run: told once, with who asked, and never an old one for a new one.
use std::fs;

use tempfile::TempDir;
use tokio::sync::mpsc;
use wbd_actions::{Alone, Hands, Reach, Report};
use wbd_model::action::{Action, AgentStop};
use wbd_model::entry::Outcome;
use wbd_model::incident::ActionId;

use super::*;
use crate::deed::Deed;
use crate::jobs::{Effect, EndedJob};
use crate::load;
use crate::memory::Memory;
use crate::supervisor::Parts;

/// A process id that no process has.
const GONE: u32 = 4_194_305;

pub(crate) fn supervisor(mode: Mode) -> (TempDir, Supervisor) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_path_buf();
    for below in ["run/wbd", "var/lib/wbd"] {
        fs::create_dir_all(root.join(below)).unwrap();
    }
    let reach = Reach::Alone(Alone { root: root.clone(), agent: root.join("agent"), args: Vec::new() });
    let (loaded, memory) = (load::load(&root).unwrap(), Memory::open(&root).unwrap());
    let hands = Hands::new(reach);
    let (events, _) = mpsc::channel(8);
    (folder, Supervisor::new(Parts { root, mode, loaded, memory, hands, samples: None }, events))
}

fn exit(pid: u32, how: ExitHow) -> Exit {
    Exit { how, code: 9, ..unknown(pid) }
}

fn ends(supervisor: &Supervisor) -> Vec<(i64, ExitHow, bool, &str)> {
    let exits = supervisor.memory.state.exits.iter();
    exits.map(|(_, _, exit)| (exit.pid, exit.how, exit.asked, exit.by.as_str())).collect()
}

fn health(supervisor: &Supervisor, pid: u32) {
    let text = format!(
        r#"{{"schema":1,"version":"0","pid":{pid},"start_ticks":18446744073709551615,"state":"active","generation":1,
        "settings":{{"source":"current","problem":null}},"targets":[],"was":{{"required":[],"found":[],"unsupported":[],"unreadable":0}},
        "watches":{{"used":0,"needed":0,"missing":0,"scanning":false,"failed_at":"none","errno":null,"uncovered":[]}},
        "fds_open":1,"errors":[],"heartbeat_ms":1,"written_at":1}}"#,
    );
    let path = paths::health(&supervisor.root);
    fs::write(&path, text).unwrap();
    assert!(health::read(&path).is_ok());
}

fn is_seen(supervisor: &Supervisor) -> (Fact, Fact) {
    let seen = supervisor.last_exit(&agent_target().unwrap(), &now());
    (seen.fact("seen"), seen.fact("how"))
}

#[test]
fn an_end_is_recorded_once_and_a_cause_that_comes_later_is_added() {
    let (_root, mut supervisor) = supervisor(Mode::Standalone);
    supervisor.record_exit(unknown(5));
    supervisor.record_exit(unknown(5));
    supervisor.record_exit(exit(5, ExitHow::Signal));
    supervisor.record_exit(exit(5, ExitHow::Exit));
    supervisor.record_exit(unknown(5));
    supervisor.record_exit(exit(6, ExitHow::Signal));
    let wanted = [(5, ExitHow::Unknown, false, ""), (5, ExitHow::Signal, false, ""), (6, ExitHow::Signal, false, "")];
    assert_eq!(ends(&supervisor), wanted);
}

#[test]
fn only_a_deed_that_ends_this_very_process_has_asked_for_its_end() {
    let restart = || Action::AgentRestart {};
    for (action, agent, asked) in [
        (restart(), Some(5), true),
        (restart(), None, true),
        // Started by the restart, and dead at once: that is a failure.
        (restart(), Some(4), false),
        (Action::AgentStop(AgentStop { who: "root".to_owned() }), Some(5), true),
        (Action::AgentStart {}, Some(5), false),
        (Action::AgentReload {}, Some(5), false),
    ] {
        let (_root, mut supervisor) = supervisor(Mode::Standalone);
        let name = action.name();
        supervisor.deed = Some(Deed::Acting { action, agent });
        supervisor.record_exit(exit(5, ExitHow::Signal));
        assert_eq!(ends(&supervisor)[0].2, asked, "{name} {agent:?}");
    }
}

#[test]
fn an_end_after_an_administrators_stop_was_asked_for_by_name() {
    let (_root, mut supervisor) = supervisor(Mode::Standalone);
    let stop = |at_ms| stop::StopNote { who: "somebody".to_owned(), uid: 0, at_ms, reason: String::new() };
    let path = paths::stop_note(&supervisor.root);
    stop::write(&path, &stop(now().boot_ms + 60_000)).unwrap();
    supervisor.record_exit(exit(5, ExitHow::Exit));
    stop::write(&path, &stop(now().boot_ms)).unwrap();
    supervisor.record_exit(exit(6, ExitHow::Exit));
    assert_eq!(ends(&supervisor), [(5, ExitHow::Exit, false, ""), (6, ExitHow::Exit, true, "somebody")]);
}

#[test]
fn what_the_bus_does_not_tell_in_time_is_written_as_unknown() {
    let (_root, mut supervisor) = supervisor(Mode::Systemd);
    supervisor.gone(5, None);
    supervisor.gone(6, None);
    supervisor.record_exit(exit(6, ExitHow::Oom));
    supervisor.tell_untold(&now());
    assert_eq!(ends(&supervisor), [(6, ExitHow::Oom, false, "")], "the bus still has time");
    let later = now();
    supervisor.tell_untold(&Now { boot_ms: later.boot_ms + BUS_TELLS_MS, ..later });
    assert_eq!(ends(&supervisor)[1..], [(5, ExitHow::Unknown, false, "")]);
    for pid in 100..200 {
        supervisor.gone(pid, None);
    }
    assert!(supervisor.untold.len() <= UNTOLD, "what waits is bounded");
}

#[test]
fn of_an_end_that_the_service_manager_did_not_tell_of_nobody_knows_who_asked() {
    for (mode, is_known) in [(Mode::Systemd, false), (Mode::Standalone, true)] {
        let (_root, mut supervisor) = supervisor(mode);
        let asked = |supervisor: &Supervisor| supervisor.last_exit(&agent_target().unwrap(), &now()).fact("asked");
        supervisor.record_exit(unknown(5));
        assert_eq!(matches!(asked(&supervisor), Fact::Known(_)), is_known, "{mode:?}");
        supervisor.record_exit(exit(5, ExitHow::Exit));
        assert_eq!(asked(&supervisor), Fact::Known(Value::Bool(false)), "told later");
    }
}

#[test]
fn an_older_end_says_nothing_about_a_process_whose_end_was_missed() {
    let (_root, mut supervisor) = supervisor(Mode::Standalone);
    let known = |value: &str| Fact::Known(Value::Text(value.to_owned()));
    supervisor.record_exit(exit(5, ExitHow::Signal));
    assert_eq!(is_seen(&supervisor), (Fact::Known(Value::Bool(true)), known("signal")), "no document, no other word");
    health(&supervisor, GONE);
    assert_eq!(is_seen(&supervisor), (Fact::Known(Value::Bool(false)), known("none")));
    supervisor.record_exit(exit(GONE, ExitHow::Exit));
    assert_eq!(is_seen(&supervisor), (Fact::Known(Value::Bool(true)), known("exit")));
    health(&supervisor, 5);
    assert_eq!(is_seen(&supervisor).0, Fact::Known(Value::Bool(true)), "one that died before its first document");
}

/// A supervisor that does this deed, beside the note of a stop.
fn acting(action: Action) -> (TempDir, Supervisor) {
    let (root, mut supervisor) = supervisor(Mode::Systemd);
    supervisor.note_stop(true);
    supervisor.deed = Some(Deed::Acting { action, agent: Some(5) });
    (root, supervisor)
}

fn deed_ends(supervisor: &mut Supervisor, outcome: Outcome, job: Option<u32>) {
    let report = Report { action: ActionId(1), outcome, detail: String::new(), spawned: None, job, took_ms: 1 };
    supervisor.acted(Subject::default(), report, None);
}

fn is_noted(supervisor: &Supervisor) -> bool {
    paths::stop_note(&supervisor.root).exists()
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
        let (_root, mut supervisor) = acting(Action::AgentRestart {});
        if told_first {
            supervisor.job_ended(RAN);
        }
        deed_ends(&mut supervisor, outcome, job);
        if !told_first {
            supervisor.job_ended(RAN);
        }
        assert_eq!(is_noted(&supervisor), is_ours, "{told_first} {outcome:?} {job:?}");
        supervisor.job_ended(EndedJob { id: 8, ..RAN });
        assert!(!is_noted(&supervisor), "one job is ours, the next is an administrator's");
    }
}

#[test]
fn a_stop_beside_a_deed_that_starts_the_agent_is_noted_before_that_deed_ends() {
    let stopped = EndedJob { id: 9, effect: Effect::Stopped { ran: true } };
    for (action, at_once) in [
        (Action::AgentStart {}, true),
        (Action::AgentRestart {}, true),
        // It may be this very stop.
        (Action::AgentStop(AgentStop { who: "root".to_owned() }), false),
    ] {
        let (_root, mut supervisor) = supervisor(Mode::Systemd);
        let name = action.name();
        supervisor.deed = Some(Deed::Acting { action, agent: Some(5) });
        supervisor.job_ended(stopped);
        assert_eq!(is_noted(&supervisor), at_once, "{name}");
    }
}
