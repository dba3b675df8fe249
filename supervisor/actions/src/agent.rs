//! Starts, stops and reloads the agent where there is no service manager. Does not reap it: its parent, the daemon, does.
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use std::os::unix::process::CommandExt as _;

use rustix::process::Signal;
use wbd_model::entry::Outcome;

use crate::done::Done;
use crate::process::{Process, ProcessRef};
use crate::program::SEARCH_PATH;

/// How long it may take to end by itself; its unit grants the same order of time.
const TERM_WAIT: Duration = Duration::from_secs(3);
/// After SIGKILL only the kernel is in the way.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// The process is as it was, or it is gone: nothing in between is reported as done.
pub(crate) async fn stop(current: Option<ProcessRef>) -> Result<String, Done> {
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

pub(crate) fn start(current: Option<ProcessRef>, program: &Path, args: &[OsString]) -> Done {
    match current.map(Process::open) {
        Some(Ok(Some(process))) => {
            return Done::new(Outcome::Aborted, format!("already so: the agent runs as process {}", process.pid));
        }
        Some(Err(error)) => return Done::new(Outcome::Failed, format!("cannot tell whether the agent runs: {error}")),
        Some(Ok(None)) | None => {}
    }
    spawn(program, args)
}

/// `unwanted`: why it is not started again, if somebody stopped it while it was ending.
pub(crate) async fn restart(
    current: Option<ProcessRef>,
    program: &Path,
    args: &[OsString],
    unwanted: impl Fn() -> Option<Done>,
) -> Done {
    match stop(current).await {
        Ok(ended) => unwanted().unwrap_or_else(|| spawn(program, args)).after(&ended),
        Err(done) => done,
    }
}

pub(crate) fn reload(current: Option<ProcessRef>) -> Done {
    let gone = || Done::new(Outcome::Failed, "no agent runs to be reloaded");
    let Some(current) = current else { return gone() };
    match Process::open(current).and_then(|process| process.map(|process| process.signal(Signal::HUP)).transpose()) {
        Ok(Some(true)) => Done::new(Outcome::Done, format!("process {} was told to reload", current.pid)),
        Ok(Some(false) | None) => gone(),
        Err(error) => Done::new(Outcome::Failed, format!("cannot signal process {}: {error}", current.pid)),
    }
}

fn spawn(program: &Path, args: &[OsString]) -> Done {
    let spawned = Command::new(program)
        .args(args)
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
        Err(error) => Done::new(Outcome::Failed, format!("cannot start {}: {error}", program.display())),
    }
}
