//! The world around the engine at one moment: true time, the host's clocks, what can be seen, the disk, the executor,
//! and what of this a supervisor knows. Events of the world itself; no decision of the supervisor.
use std::hash::{Hash, Hasher};

use wbd_engine::round::Timers;
use wbd_engine::state::{ActionRequest, State};
use wbd_model::entry::{Intent, Subject};
use wbd_model::time::{BootId, Now};

use crate::book::Book;
use crate::check::Sight;
use crate::ghost::Ghost;
use crate::mutant::Mutant;

const WALL_START_MS: i64 = 1_700_000_000_000;
/// More than the hour's window either way.
pub(crate) const CLOCK_STEP_S: i32 = 7_200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    /// Seconds of true time.
    pub(crate) true_s: u32,
    pub(crate) boot: u8,
    boot_began_s: u32,
    /// How far the wall clock is off.
    pub(crate) skew_s: i32,
}

impl Clock {
    pub(crate) fn now(&self) -> Now {
        Now {
            boot: BootId(self.boot.to_string()),
            boot_ms: u64::from(self.true_s - self.boot_began_s) * 1_000,
            wall_ms: WALL_START_MS + (i64::from(self.true_s) + i64::from(self.skew_s)) * 1_000,
        }
    }

    /// The moment as the engine is told it.
    pub(crate) fn told(&self, mutant: Option<Mutant>) -> Now {
        let mut now = self.now();
        if mutant == Some(Mutant::WallClockWindow) {
            now.boot_ms = u64::try_from(now.wall_ms).unwrap();
        }
        now
    }
}

/// An intent that the executor was given.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct ActionRun {
    pub(crate) incident: wbd_model::incident::IncidentId,
    pub(crate) intent: Intent,
    /// True time of the intent.
    pub(crate) intended_s: u32,
    pub(crate) begun: bool,
    /// Its supervisor died: nobody waits for the reply.
    pub(crate) orphan: bool,
}

/// How much of each bound is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Spent {
    pub(crate) ticks: [u8; 3],
    pub(crate) intents: u8,
    pub(crate) crashes: u8,
    pub(crate) reboots: u8,
    pub(crate) clock_steps: u8,
    pub(crate) disk: u8,
    pub(crate) shows: u8,
    pub(crate) decisions: u8,
    pub(crate) rotations: u8,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) sights: Vec<Sight>,
    pub(crate) disk_full: bool,
    pub(crate) limit: i64,
    pub(crate) book: Book,
    pub(crate) timers: Timers,
    /// Asked for by the last turn: to be looked at once more, then done.
    pub(crate) want: Option<Box<ActionRequest>>,
    pub(crate) running: Vec<ActionRun>,
    pub(crate) spent: Spent,
    pub(crate) ghost: Ghost,
    /// What was seen at the last turn: only a mutant relies on it.
    pub(crate) stale: Vec<Sight>,
}

impl World {
    pub(crate) fn new(sights: &[Sight], state: State) -> Self {
        Self {
            clock: Clock { true_s: 0, boot: 1, boot_began_s: 0, skew_s: 0 },
            sights: sights.to_vec(),
            disk_full: false,
            limit: 8_192,
            book: Book::of(state),
            timers: Timers::default(),
            want: None,
            running: Vec::new(),
            spent: Spent::default(),
            ghost: Ghost::default(),
            stale: Vec::new(),
        }
    }

    pub(crate) fn passes(&mut self, seconds: u32, mutant: Option<Mutant>) {
        self.clock.true_s += seconds;
        if mutant != Some(Mutant::NoStartDeadline) {
            let now_ms = self.clock.told(mutant).boot_ms;
            self.running.retain(|run| !run.orphan || now_ms <= run.intent.start_by_ms);
        }
    }

    /// The supervisor dies and is started again. A request that was sent and not begun may still be begun.
    pub(crate) fn crashes(&mut self, mutant: Option<Mutant>, orphans: bool) {
        self.timers = Timers::default();
        self.want = None;
        if mutant == Some(Mutant::RedoOnResume) {
            self.running.iter_mut().for_each(|run| run.begun = false);
            self.timers.in_flight = self.running.first().map(|run| run.intent.action_id);
        } else {
            self.running.retain(|run| orphans && !run.begun);
            self.running.iter_mut().for_each(|run| run.orphan = true);
        }
        if mutant == Some(Mutant::VolatileHold) {
            self.book.tamper(|state| state.hold = None);
        }
        self.book.reopen(mutant, &self.clock.told(mutant));
        self.ghost.forget_unwritten(&self.book);
    }

    pub(crate) fn reboots(&mut self, mutant: Option<Mutant>) {
        self.clock.boot += 1;
        self.clock.boot_began_s = self.clock.true_s;
        if mutant == Some(Mutant::ForgetsTrip) {
            self.book.tamper(|state| {
                state.suspended.clear();
                state.failures.clear();
            });
        }
        self.running.clear();
        self.crashes(mutant, false);
    }

    pub(crate) fn subject(&self, check: &crate::check::Check) -> Option<Subject> {
        let incident = self.book.state.open_for(&check.snapshot.key)?;
        Some(Subject {
            incident: Some(incident.id),
            code: Some(incident.key.code.clone()),
            target: Some(incident.key.target.clone()),
            playbook: Some(incident.playbook.clone()),
        })
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.clock, &self.sights, self.disk_full, self.limit, self.spent, &self.stale).hash(hasher);
        (&self.book, &self.timers, &self.running, &self.ghost).hash(hasher);
        if let Some(want) = &self.want {
            (want.incident, &want.plan, want.step, want.undoes, &want.action).hash(hasher);
        }
    }
}
