//! One process, held by a pidfd so that a reused number is never hit: signals and its end. Starts nothing.
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process as somebody saw it: the number alone may mean another one by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessRef {
    /// Its process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot ([`start_ticks`]).
    pub start_ticks: u64,
}

/// The start time of a process (`/proc/PID/stat`, field 22); `None` when there is none of that number.
#[must_use]
pub fn start_ticks(pid: u32) -> Option<u64> {
    wbd_agent_api::start_ticks(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe; an OwnedFd that nobody else holds cannot be closed underneath"
)]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// A live process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    fd: AsyncFd<OwnedFd>,
}

impl Process {
    /// `None` when exactly this process is gone.
    pub(crate) fn open(process: ProcessRef) -> io::Result<Option<Self>> {
        let ProcessRef { pid, start_ticks: ticks } = process;
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let fd = match pidfd_open(raw, PidfdFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The handle is ours now; only then does it help to look whose it is.
        if start_ticks(pid) != Some(ticks) {
            return Ok(None);
        }
        let process = Self { pid, fd: watched(fd)? };
        Ok(if process.is_over() { None } else { Some(process) })
    }

    /// Whether it was there to get the signal.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(self.fd.get_ref(), signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it has ended within `time` (a zombie has).
    pub(crate) async fn ends_within(&self, time: Duration) -> bool {
        matches!(tokio::time::timeout(time, self.fd.readable()).await, Ok(Ok(_)))
    }

    /// The debugger that holds it stopped.
    pub(crate) fn stopped_by_tracer(&self) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_stopped = field("State:")?.starts_with(['t', 'T']);
        let tracer = field("TracerPid:")?.parse().ok().filter(|tracer| *tracer != 0)?;
        is_stopped.then_some(tracer)
    }

    fn is_over(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(self.fd.get_ref(), rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(ready) if ready > 0)
    }
}
