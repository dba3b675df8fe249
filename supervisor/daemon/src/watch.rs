//! Waits on the agent's process by pidfd, so that its end is seen at once and a reused pid never is.
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use wbd_model::entry::{Exit, ExitHow};

use crate::event::Event;

/// The process that is watched now.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pid: Option<u32>,
    task: Option<JoinHandle<()>>,
}

impl Watch {
    /// The watched process, if one is.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Watches this process from now on; watching it already is fine.
    pub(crate) fn follow(&mut self, pid: u32, events: &Sender<Event>) {
        if self.pid == Some(pid) && self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.forget();
        // Gone already: the next look at the process says so.
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
        let Ok(fd) = pidfd_open(raw, PidfdFlags::empty()) else { return };
        #[expect(deprecated, reason = "an OwnedFd keeps its descriptor; what takes its place is unsafe to call")]
        let Ok(fd) = AsyncFd::new(fd) else { return };
        let events = events.clone();
        self.pid = Some(pid);
        self.task = Some(tokio::spawn(async move {
            if fd.readable().await.is_ok() {
                let exit = reap(&fd, pid);
                // The loop is stopping when nobody listens.
                let _ = events.send(Event::Gone { pid, exit }).await;
            }
        }));
    }

    /// Stops watching.
    pub(crate) fn forget(&mut self) {
        self.pid = None;
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// How our own child ended; `None` for a process that is somebody else's child.
fn reap(fd: &AsyncFd<std::os::fd::OwnedFd>, pid: u32) -> Option<Exit> {
    use std::os::fd::AsFd;
    let status = waitid(WaitId::PidFd(fd.get_ref().as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok()??;
    let (how, code) = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (ExitHow::Exit, i64::from(code)),
        (None, Some(signal)) => (ExitHow::Signal, i64::from(signal)),
        (None, None) => (ExitHow::Unknown, -1),
    };
    Some(Exit { pid: i64::from(pid), how, code, asked: false, by: String::new() })
}
