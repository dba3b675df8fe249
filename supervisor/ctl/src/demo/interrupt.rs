//! Ctrl-C and SIGTERM as something to look at between two steps, so that the demo always cleans up. Ends nothing itself.
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::exit::Failure;

/// What an interrupted demo says.
pub(crate) const INTERRUPTED: &str = "interrupted; everything was cleaned up";

/// The signals of this process, held back and readable.
#[derive(Debug)]
pub(crate) struct Interrupt {
    signals: SignalFd,
}

impl Interrupt {
    /// Holds the signals back; must come before the first thread, which would not inherit it otherwise.
    ///
    /// # Errors
    /// The kernel gives no such descriptor.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        let unable = |error: nix::Error| Failure::failed(format!("cannot watch for Ctrl-C: {error}"));
        set.thread_block().map_err(unable)?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(unable)?;
        Ok(Self { signals })
    }

    /// Waits so long, unless a signal comes first.
    ///
    /// # Errors
    /// A signal came.
    pub(crate) fn wait(&self, length: Duration) -> Result<(), Failure> {
        let timeout = PollTimeout::try_from(length).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(nix::Error::EINTR) => Ok(()),
            Ok(_) => match self.signals.read_signal() {
                Ok(None) => Ok(()),
                Ok(Some(_)) => Err(Failure::failed(INTERRUPTED)),
                Err(error) => Err(Failure::failed(format!("cannot read signals: {error}"))),
            },
            Err(error) => Err(Failure::failed(format!("cannot wait: {error}"))),
        }
    }

    /// Asks again and again until there is an answer.
    ///
    /// # Errors
    /// The deadline passed (`what` was awaited), a signal came, or asking itself failed.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut ask: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        const STEP: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            if begun.elapsed() >= deadline {
                return Err(Failure::failed(format!("waited {} s without success: {what}", deadline.as_secs())));
            }
            self.wait(STEP)?;
        }
    }
}
