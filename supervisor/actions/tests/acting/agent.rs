//! The agent started, stopped and reloaded without a service manager, and an administrator's stop in between.
use super::*;

#[tokio::test]
async fn an_agent_is_started_once_as_our_child() {
    let mut host = Host::standalone("exec sleep 300");
    let report = host.act(Action::AgentStart {}, None).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    let pid = report.spawned.unwrap();
    wait_for("it was called", || host.called().contains('\n'));
    assert_eq!(host.called(), format!("--foreground --root {}\n", host.dir.path().display()));
    let again = host.act(Action::AgentStart {}, Some(reference(pid))).await;
    assert_eq!((again.outcome, again.spawned), (Outcome::Aborted, None));

    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert_eq!(reap(pid).terminating_signal(), Some(15));
    let second = report.spawned.unwrap();
    assert_ne!(pid, second);
    let stop = || Action::AgentStop(AgentStop { who: "root".to_owned() });
    let unnoted = host.act(stop(), Some(reference(second))).await;
    assert_eq!(unnoted.outcome, Outcome::Failed, "there is no folder for the note: {}", unnoted.detail);
    assert!(start_ticks(second).is_some());
    let note = host.stop_note();
    let report = host.act(stop(), Some(reference(second))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    let text = fs::read_to_string(note).unwrap();
    assert!(text.contains(r#""who":"root""#) && text.contains(r#""at_ms":20"#), "{text}");
    reap(second);
}

#[tokio::test]
async fn a_stopped_agent_that_ignores_the_request_is_killed() {
    let mut host = Host::standalone("trap '' TERM; echo deaf >> $0.ready; while :; do sleep 1; done");
    let pid = host.act(Action::AgentStart {}, None).await.spawned.unwrap();
    wait_for("it ignores SIGTERM", || host.path("opt/nbp/wbd/wbd_agent.ready").exists());
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::STOP).unwrap();
    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert!(report.detail.contains("killed"), "{}", report.detail);
    assert_eq!(reap(pid).terminating_signal(), Some(9));
    end(report.spawned.unwrap());
}

#[tokio::test]
async fn a_process_that_only_has_the_agents_number_is_not_touched() {
    let mut host = Host::standalone("exit 0");
    let mut bystander = Reaped(Command::new("/bin/sleep").arg("300").spawn().unwrap());
    let pid = bystander.0.id();
    let stale = ProcessRef { pid, start_ticks: start_ticks(pid).unwrap() - 1 };
    let report = host.act(Action::AgentReload {}, Some(stale)).await;
    assert_eq!(report.outcome, Outcome::Failed, "{}", report.detail);
    let report = host.act(Action::AgentRestart {}, Some(stale)).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    reap(report.spawned.unwrap());
    assert_eq!(bystander.0.try_wait().unwrap(), None);
}

#[tokio::test]
async fn a_reload_is_a_hangup_signal() {
    let mut host = Host::standalone("exit 0");
    let mut agent = Reaped(Command::new("/bin/sleep").arg("300").spawn().unwrap());
    let report = host.act(Action::AgentReload {}, Some(reference(agent.0.id()))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert_eq!(agent.0.wait().unwrap().signal(), Some(1));
    assert_eq!(host.act(Action::AgentReload {}, None).await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_a_failure() {
    let mut host = Host::standalone("exit 0");
    fs::remove_file(host.path("opt/nbp/wbd/wbd_agent")).unwrap();
    let report = host.act(Action::AgentStart {}, None).await;
    assert_eq!((report.outcome, report.spawned), (Outcome::Failed, None));
}

#[tokio::test]
async fn an_agent_that_is_stopped_while_it_is_restarted_stays_stopped() {
    let script = "trap 'mv $3/prepared $3/run/wbd/agent.stop.json; exit' TERM; echo > $0.ready; while [ -d $3 ]; do sleep 0.1; done";
    let mut host = Host::standalone(script);
    let note = host.stop_note();
    notes::note_stop(host.dir.path(), "somebody", boottime_ms(), "").unwrap();
    fs::rename(note, host.path("prepared")).unwrap();
    let pid = host.act(Action::AgentStart {}, None).await.spawned.unwrap();
    wait_for("it listens to SIGTERM", || host.path("opt/nbp/wbd/wbd_agent.ready").exists());
    // The stop comes while it ends for us.
    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "{}", report.detail);
    assert!(report.detail.contains("somebody"), "{}", report.detail);
    reap(pid);
}

#[tokio::test]
async fn a_stop_that_stands_or_cannot_be_told_leaves_the_agent_as_it_is() {
    let mut host = Host::standalone("while [ -d $3 ]; do sleep 0.1; done");
    let note = host.stop_note();
    notes::note_stop(host.dir.path(), "somebody", boottime_ms(), "").unwrap();
    let noted = fs::read_to_string(&note).unwrap();
    fs::remove_file(&note).unwrap();
    let pid = host.act(Action::AgentStart {}, None).await.spawned.unwrap();
    // By hand, what was said before is taken back; a stop that came after the restart was asked for is not.
    fs::write(&note, &noted).unwrap();
    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "{}", report.detail);
    for text in [noted.as_str(), "garbage"] {
        fs::write(&note, text).unwrap();
        assert!(start_ticks(pid).is_some(), "it was not touched");
        let report = host.starts_by_itself().await;
        assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "{}", report.detail);
    }
    fs::remove_file(note).unwrap();
    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!(report.outcome, Outcome::Done, "nobody stopped it: {}", report.detail);
    reap(pid);
    end(report.spawned.unwrap());
}

#[tokio::test]
async fn a_stop_that_failed_leaves_no_note_of_itself_on_an_agent_that_runs() {
    // No bus and no systemctl below this root.
    let mut host = Host::new();
    let note = host.stop_note();
    let agent = Reaped(Command::new("sleep").arg("300").spawn().unwrap());
    let stop = || Action::AgentStop(AgentStop { who: "root".to_owned() });
    let report = host.act(stop(), Some(reference(agent.0.id()))).await;
    assert_eq!(report.outcome, Outcome::Failed, "{}", report.detail);
    assert!(!note.exists(), "its next end would count as asked for");
    // Twin: what does not run is wanted stopped, whatever became of the job.
    assert_eq!(host.act(stop(), None).await.outcome, Outcome::Failed);
    assert!(note.exists());
}

#[tokio::test]
async fn only_a_start_that_an_operator_asked_for_takes_an_earlier_stop_back() {
    let mut host = Host::standalone("exit 0");
    let note = host.stop_note();
    let stopped = |host: &Host| notes::note_stop(host.dir.path(), "somebody", boottime_ms(), "").unwrap();
    stopped(&host);
    let report = host.starts_by_itself().await;
    assert_eq!((report.outcome, note.exists()), (Outcome::Aborted, true), "{}", report.detail);
    // Said at 10 ms of this boot, and stopped again since.
    let report = host.act(Action::AgentStart {}, None).await;
    assert_eq!((report.outcome, note.exists()), (Outcome::Aborted, true), "{}", report.detail);
    for unreadable in [false, true] {
        stopped(&host);
        if unreadable {
            fs::write(&note, "garbage").unwrap();
        }
        let said = now("b1", boottime_ms());
        let report = host.act_at(Action::AgentStart {}, Captured::default(), &said, &said, None).await;
        assert_eq!((report.outcome, note.exists()), (Outcome::Done, false), "{}", report.detail);
        reap(report.spawned.unwrap());
    }
}

/// Kills what the executor started and left to us.
fn end(pid: u32) {
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
    reap(pid);
}

#[tokio::test]
async fn an_agent_that_a_debugger_holds_is_not_restarted_until_it_lets_go() {
    use nix::sys::ptrace;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    let mut host = Host::standalone("exec sleep 300");
    let mut agent = Reaped(Command::new("/bin/sleep").arg("300").spawn().unwrap());
    let traced = nix::unistd::Pid::from_raw(i32::try_from(agent.0.id()).unwrap());
    ptrace::attach(traced).unwrap();
    let stops = || waitpid(traced, Some(WaitPidFlag::WNOHANG)).unwrap() != WaitStatus::StillAlive;
    wait_for("the debugger holds it", stops);
    let report = host.act(Action::AgentRestart {}, Some(reference(agent.0.id()))).await;
    assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "{}", report.detail);
    // The kernel names the thread that traces.
    let debugger = format!("a debugger (process {}) holds the agent", nix::unistd::gettid());
    assert!(report.detail.contains(&debugger), "{}", report.detail);
    assert_eq!(agent.0.try_wait().unwrap(), None);
    // Twin: one that is stopped without a debugger.
    ptrace::detach(traced, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let report = host.act(Action::AgentRestart {}, Some(reference(agent.0.id()))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert_eq!(agent.0.wait().unwrap().signal(), Some(15));
    end(report.spawned.unwrap());
}

#[tokio::test]
async fn an_agent_that_has_ended_is_gone_before_anybody_reaped_it() {
    let mut host = Host::standalone("exit 0");
    let mut agent = Reaped(Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let pid = agent.0.id();
    let current = reference(pid);
    let report = host.act(Action::AgentStart {}, Some(current)).await;
    assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "it runs: {}", report.detail);
    drop(agent.0.stdin.take());
    wait_for("it ended", || fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().is_empty());
    let report = host.act(Action::AgentReload {}, Some(current)).await;
    assert_eq!(report.outcome, Outcome::Failed, "{}", report.detail);
    let report = host.act(Action::AgentStart {}, Some(current)).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    reap(report.spawned.unwrap());
}
