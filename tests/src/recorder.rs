//! The tests' own record of what happened on this machine: programs begun, processes ended, signals sent, each with its
//! true time; it knows nothing of the ledger.
//!
//! The kernel writes it (a tracefs instance of our own, on the clock that the ledger uses). Where that is not to be
//! had, `/proc` is looked at every few milliseconds instead: programs begun are then seen, signals are not, and
//! [`Recording::sees_signals`] says so.

mod event;
mod poller;
mod trace;

use std::collections::BTreeMap;

use poller::Poller;
use trace::Trace;

use crate::figures::say;

pub use event::{Event, Occurrence};

/// One process of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Its process id, as the kernel's first namespace has it.
    pub pid: u32,
    /// When it became the program, microseconds of CLOCK_BOOTTIME.
    pub from_us: u64,
    /// When it ended; `None`: not yet, or not seen.
    pub until_us: Option<u64>,
}

/// Everything that was recorded up to one moment, in order.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// What happened.
    pub events: Vec<Event>,
    /// Whether signals and ends were recorded, too.
    pub sees_signals: bool,
    /// How much earlier than it was a time may be given.
    pub early_us: u64,
    /// How much later than it was a time may be given.
    pub late_us: u64,
}

/// Records from [`Recorder::begin`] until it is dropped, and leaves nothing behind.
#[derive(Debug)]
pub enum Recorder {
    /// The kernel's own record.
    Kernel(Trace),
    /// Looks at `/proc`.
    Poller(Poller),
}

impl Recorder {
    /// Begins to record processes of programs named `wbd_agent`.
    #[must_use]
    pub fn begin() -> Self {
        match Trace::begin() {
            Ok(trace) => Self::Kernel(trace),
            Err(why) => {
                say(&format!("SKIPPED signals: the kernel's trace cannot be used ({why}); /proc is looked at instead"));
                Self::Poller(Poller::begin())
            }
        }
    }

    /// Whether it misses nothing, however short.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        matches!(self, Self::Kernel(_))
    }

    /// What was recorded so far.
    ///
    /// # Panics
    /// When something was lost.
    #[must_use]
    pub fn so_far(&self) -> Recording {
        match self {
            Self::Kernel(trace) => {
                Recording { events: trace.events(), sees_signals: true, early_us: 0, late_us: trace.late_us }
            }
            Self::Poller(poller) => {
                Recording { events: poller.events(), sees_signals: false, early_us: poller::BLUR_US, late_us: 0 }
            }
        }
    }
}

impl Recording {
    /// Every process that ran this program, in the order of their starts.
    #[must_use]
    pub fn lives(&self, program: &str) -> Vec<Life> {
        let mut lives: Vec<Life> = Vec::new();
        let mut open: BTreeMap<u32, usize> = BTreeMap::new();
        for event in &self.events {
            match &event.what {
                Occurrence::Exec { program: begun, pid } if begun == program => {
                    open.insert(*pid, lives.len());
                    lives.push(Life { pid: *pid, from_us: event.at_us, until_us: None });
                }
                Occurrence::Exit { pid } => {
                    if let Some(life) = open.remove(pid).and_then(|index| lives.get_mut(index)) {
                        life.until_us = Some(event.at_us);
                    }
                }
                Occurrence::Exec { .. } | Occurrence::Signal { .. } => {}
            }
        }
        lives
    }

    /// Signals that were asked for, to one of `lives`, from threads whose name `by` takes: moment, number, process.
    #[must_use]
    pub fn signals(&self, lives: &[Life], by: impl Fn(&str) -> bool) -> Vec<(u64, i32, u32)> {
        let to = |at_us: u64, to: u32| {
            let alive = |life: &&Life| life.from_us <= at_us && life.until_us.is_none_or(|until| at_us <= until);
            lives.iter().filter(alive).any(|life| life.pid == to)
        };
        self.events
            .iter()
            .filter(|event| by(&event.actor))
            .filter_map(|event| match event.what {
                Occurrence::Signal { number, pid, by_kernel: false } if to(event.at_us, pid) => {
                    Some((event.at_us, number, pid))
                }
                Occurrence::Signal { .. } | Occurrence::Exec { .. } | Occurrence::Exit { .. } => None,
            })
            .collect()
    }
}

/// Microseconds of CLOCK_BOOTTIME, the clock of records and ledgers.
///
/// # Panics
/// On a kernel without that clock.
#[must_use]
pub fn now_us() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).expect("a clock that is always there");
    u64::try_from(now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_us: u64, actor: &str, what: Occurrence) -> Event {
        Event { at_us, actor: actor.to_owned(), what }
    }

    #[test]
    fn a_process_lives_from_its_program_to_its_end_and_its_number_is_used_again() {
        let exec = |at, pid, program: &str| event(at, "sh", Occurrence::Exec { program: program.to_owned(), pid });
        let sent = |at, actor, number, by_kernel| event(at, actor, Occurrence::Signal { number, pid: 7, by_kernel });
        let signal = |at, actor, number| sent(at, actor, number, false);
        let events = vec![
            exec(10, 7, "/a"),
            signal(20, "healer", 15),
            signal(21, "other", 9),
            sent(22, "healer", 18, true),
            event(30, "a", Occurrence::Exit { pid: 7 }),
            signal(35, "healer", 9),
            exec(40, 7, "/b"),
            signal(45, "healer", 15),
            exec(50, 8, "/a"),
        ];
        let recording = Recording { events, sees_signals: true, early_us: 0, late_us: 0 };
        let lives = recording.lives("/a");
        let first = Life { pid: 7, from_us: 10, until_us: Some(30) };
        assert_eq!(lives, [first, Life { pid: 8, from_us: 50, until_us: None }]);
        assert_eq!(recording.signals(&lives, |actor| actor == "healer"), [(20, 15, 7)]);
    }
}
