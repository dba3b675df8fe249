//! Waits on the agent's process by pidfd, so that its end is seen at once and a reused pid never is.
use std::collections::BTreeSet;

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Sender;
use wbd_actions::ProcessRef;
use wbd_model::entry::{Exit, ExitHow};

use crate::event::{AgentEvent, Event};

/// The process that is watched now. One that was watched before is waited for until it ends, too: it may be
/// our child, and a child that nobody waits for stays as a zombie.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    process: Option<ProcessRef>,
    waited_for: BTreeSet<u32>,
}

impl Watch {
    /// The watched process, if one is.
    pub(crate) fn process(&self) -> Option<ProcessRef> {
        self.process
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.map(|process| process.pid)
    }

    /// Watches this process from now on; watching it already is fine.
    pub(crate) fn follow(&mut self, pid: u32, events: &Sender<Event>) {
        if self.pid() == Some(pid) {
            return;
        }
        // Gone already: the next look at the process says so.
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
        let Ok(fd) = pidfd_open(raw, PidfdFlags::empty()) else { return };
        let Some(start_ticks) = wbd_actions::start_ticks(pid) else { return };
        #[expect(deprecated, reason = "an OwnedFd keeps its descriptor; what takes its place is unsafe to call")]
        let Ok(fd) = AsyncFd::new(fd) else { return };
        self.process = Some(ProcessRef { pid, start_ticks });
        if !self.waited_for.insert(pid) {
            return;
        }
        let events = events.clone();
        tokio::spawn(async move {
            if fd.readable().await.is_ok() {
                let exit = reap(&fd, pid);
                // The loop is stopping when nobody listens.
                let _ = events.send(Event::Agent(AgentEvent::Gone { pid, exit })).await;
            }
        });
    }

    /// This process is gone. The word on an earlier one does not end the watch over its successor.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.waited_for.remove(&pid);
        self.process.take_if(|process| process.pid == pid);
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
