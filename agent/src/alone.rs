//! The verbs on a host without systemd, or under a root of its own: the agent puts itself into the background, under its lock.

use crate::clock;
use crate::failure::{Exit, Failure};
use crate::lock::{self, Holder, Lock};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wbd_agent_api::{State, health, paths};

/// A started agent has said how it is by then.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// A stopping agent is given so long before it is ended.
const TERM_DEADLINE: Duration = Duration::from_secs(10);
/// The kernel ends a process by then, unless it is stuck in the kernel itself.
const KILL_DEADLINE: Duration = Duration::from_secs(5);
/// How often a condition is looked at again.
const AGAIN: Duration = Duration::from_millis(20);

/// Starts the agent unless it runs. `extra` are arguments for it beside `--foreground` and `--root`.
pub(crate) fn start(root: &Path, extra: &[String]) -> Result<(), Failure> {
    let until = Instant::now() + START_DEADLINE;
    while is_running(root)? {
        if !is_stopping(root) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Failure::new(Exit::TryAgain, "the old agent is still stopping; try again, or use -s stop"));
        }
        std::thread::sleep(AGAIN);
    }
    let mut child = spawn(root, extra).map_err(|error| Failure::io("cannot start the agent", &error))?;
    wait_for_health(root, &mut child, until)
}

fn spawn(root: &Path, extra: &[String]) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--foreground", "--new-session", "--root"])
        .arg(root)
        .args(extra)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn wait_for_health(root: &Path, child: &mut Child, until: Instant) -> Result<(), Failure> {
    let path = paths::health(root);
    while Instant::now() < until {
        // The exit first: a document of an earlier process with the same pid must not count.
        if let Some(status) = child.try_wait().map_err(|error| Failure::io("cannot wait for the agent", &error))? {
            let is = |exit: Exit| status.code() == Some(i32::from(exit.code()));
            if is(Exit::TryAgain) {
                // Another start was faster: there is one agent, which is what was asked for.
                return Ok(());
            }
            let exit = [Exit::Settings, Exit::NotPermitted].into_iter().find(|exit| is(*exit)).unwrap_or(Exit::Failed);
            let message = format!("the agent ended at once ({status}); run it with --foreground to see why");
            return Err(Failure::new(exit, message));
        }
        let ticks = clock::start_ticks(child.id());
        if health::read(&path).is_ok_and(|told| told.pid == child.id() && Some(told.start_ticks) == ticks) {
            return Ok(());
        }
        std::thread::sleep(AGAIN);
    }
    let message =
        format!("the agent (pid {}) wrote no health document within {} s", child.id(), START_DEADLINE.as_secs());
    Err(Failure::new(Exit::Failed, message))
}

/// Ends the agent if it runs, and waits until it is gone.
pub(crate) fn stop(root: &Path) -> Result<(), Failure> {
    let Some(holder) = running(root)? else {
        return Ok(());
    };
    let failed = |what: &str, error: rustix::io::Errno| {
        Failure::io(format!("cannot {what} the agent (pid {})", holder.pid), &error.into())
    };
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else {
        return Err(Failure::new(Exit::Failed, "the lock names no process"));
    };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(failed("reach", error)),
    };
    // The handle is on whoever has the pid now; only then is it sure that this is still the agent.
    if !holder.exists() {
        return Ok(());
    }
    for (signal, patience) in [(Signal::TERM, TERM_DEADLINE), (Signal::KILL, KILL_DEADLINE)] {
        match pidfd_send_signal(&process, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(failed("signal", error)),
        }
        if is_gone_within(&process, patience) {
            return Ok(());
        }
    }
    Err(Failure::new(
        Exit::Failed,
        format!("the agent (pid {}) does not end even by SIGKILL; a device may hold it", holder.pid),
    ))
}

fn is_gone_within(process: &OwnedFd, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) => return false,
            Ok(_) => return true,
            // Interrupted: the time that is left, again.
            Err(_) => {}
        }
    }
}

/// Someone holds the lock.
fn is_running(root: &Path) -> Result<bool, Failure> {
    Ok(match take(root)? {
        Lock::Ours(_) => false,
        Lock::Held(_) => true,
    })
}

/// Who holds the lock. A holder that has not signed yet is about to.
fn running(root: &Path) -> Result<Option<Holder>, Failure> {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        match take(root)? {
            Lock::Ours(_) => return Ok(None),
            Lock::Held(Some(holder)) => return Ok(Some(holder)),
            Lock::Held(None) if Instant::now() < until => std::thread::sleep(AGAIN),
            Lock::Held(None) => {
                return Err(Failure::new(Exit::TryAgain, "the agent's lock is held by nobody known; try again"));
            }
        }
    }
}

fn take(root: &Path) -> Result<Lock, Failure> {
    let path = paths::lock(root);
    lock::take(&path).map_err(|error| Failure::io(format!("cannot look at lock {}", path.display()), &error))
}

fn is_stopping(root: &Path) -> bool {
    health::read(&paths::health(root)).is_ok_and(|told| told.state == State::Stopping)
}
