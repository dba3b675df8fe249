//! The agent as every action on it meets it: its unit, or our child where there is no service manager. Decides nothing.
//! It does not reap the agent: its parent, the daemon, does.
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use std::os::unix::process::CommandExt as _;

use rustix::process::Signal;
use wbd_model::entry::Outcome;
use wbd_model::text::chain;

use crate::done::Done;
use crate::execution::Execution;
use crate::notes;
use crate::preview::Preview;
use crate::process::{Process, ProcessRef};
use crate::program::SEARCH_PATH;
use crate::reach::{Alone, Reach};
use crate::units::Job;

/// How long it may take to end by itself; its unit grants the same order of time.
const TERM_WAIT: Duration = Duration::from_secs(3);
/// After SIGKILL only the kernel is in the way.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// What a job on it changes.
pub(crate) fn preview(reach: &Reach, job: Job) -> Preview {
    match reach {
        Reach::Machine(machine) => Preview::of_job(machine.agent_unit(), job),
        Reach::Alone(alone) => Preview::of_job(&alone.agent.display().to_string(), job),
    }
}

/// Where an operator asked for it by hand, the stop that stood then is taken back; why that cannot be done.
pub(crate) fn take_stop_back(execution: &Execution<'_>) -> Option<Done> {
    if !execution.intent.takes_back_stop {
        return None;
    }
    let error = notes::take_stop_back(execution.reach.root(), execution.recorded_ms).err()?;
    Some(Done::new(Outcome::Failed, format!("not begun: the stop cannot be taken back: {}", chain(&error))))
}

/// Why it must not be started: an administrator stopped it meanwhile, or that cannot be told.
pub(crate) fn unwanted(root: &Path) -> Option<Done> {
    let said = match notes::stop_noted(root) {
        Ok(None) => return None,
        Ok(Some(note)) => format!("not started: it was stopped meanwhile by {}", note.who),
        Err(error) => format!("not started: whether it was stopped meanwhile cannot be told: {error}"),
    };
    Some(Done::new(Outcome::Aborted, said))
}

/// The process is as it was, or it is gone (in words): nothing in between is reported as done.
pub(crate) async fn end(current: Option<ProcessRef>) -> Result<String, Done> {
    let failed = |text: String| Done::new(Outcome::Failed, text);
    let Some(current) = current else { return Ok("no agent ran".to_owned()) };
    let opened =
        Process::open(current).map_err(|error| failed(format!("cannot reach process {}: {error}", current.pid)))?;
    let Some(process) = opened else { return Ok(format!("process {} was gone", current.pid)) };
    let send = |signal| {
        process.signal(signal).map_err(|error| failed(format!("cannot signal process {}: {error}", process.pid)))
    };
    // A stopped process gets the first only with the second.
    send(Signal::TERM)?;
    send(Signal::CONT)?;
    if process.ends_within(TERM_WAIT).await {
        return Ok(format!("process {} ended", process.pid));
    }
    send(Signal::KILL)?;
    if process.ends_within(KILL_WAIT).await {
        return Ok(format!("process {} did not end in {} s and was killed", process.pid, TERM_WAIT.as_secs()));
    }
    let text =
        format!("process {} does not die, the kernel holds it (state D); look at its disks, or reboot", process.pid);
    Err(Done::new(Outcome::Unknown, text))
}

/// Starts its program as our child.
pub(crate) fn spawn(alone: &Alone) -> Done {
    let spawned = Command::new(&alone.agent)
        .args(&alone.args)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    match spawned {
        Ok(child) => {
            Done { spawned: Some(child.id()), ..Done::new(Outcome::Done, format!("started as process {}", child.id())) }
        }
        Err(error) => Done::new(Outcome::Failed, format!("cannot start {}: {error}", alone.agent.display())),
    }
}
