//! What a record can tell of: a thing that happened, its moment, and the runs of the supervisor. Plain data.
use wbd_model::entry::Entry;
use wbd_model::observation::Observation;
use wbd_model::observed::Change;
use wbd_model::probe::Probe;
use wbd_model::time::Now;

/// One thing that happened.
#[derive(Debug)]
pub(super) enum TimelineEvent<'a> {
    /// The supervisor began to look; it knew nothing.
    Begun,
    /// A record of the ledger.
    Entry(&'a Entry),
    /// An answer that was kept.
    Seen(&'a Change),
    /// An answer that a record of the ledger quotes, and whether it quotes all of it.
    Quoted(Probe, Observation, bool),
    /// What the ledger quoted is over.
    Over(Vec<Probe>),
    /// A sample: series, and how many of its samples there are by now.
    Sampled(usize, usize),
    /// The last moment at which it certainly looked.
    Ended,
}

impl TimelineEvent<'_> {
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Begun => 0,
            Self::Entry(_) => 1,
            Self::Over(_) => 2,
            Self::Quoted(..) => 3,
            Self::Seen(_) => 4,
            Self::Sampled(..) => 5,
            Self::Ended => 6,
        }
    }
}

/// When and what.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub(super) boot: usize,
    pub(super) at: Now,
    pub(super) what: TimelineEvent<'a>,
}

/// One run of the supervisor, from the ledger and from what was kept beside it.
#[derive(Debug, Clone)]
pub(super) struct SupervisorRun {
    pub(super) begun: Now,
    pub(super) until_ms: u64,
}

impl SupervisorRun {
    pub(super) fn moment(&self, at_ms: u64) -> Now {
        let back = self.begun.boot_ms.saturating_sub(at_ms);
        let wall_ms = self.begun.wall_ms.saturating_add_unsigned(at_ms.saturating_sub(self.begun.boot_ms));
        Now { boot: self.begun.boot.clone(), boot_ms: at_ms, wall_ms: wall_ms.saturating_sub_unsigned(back) }
    }
}
