//! What the supervisor saw over weeks, as it is kept for rehearsals: nouns only, and no judgement of any of it.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::observation::Fact;
use crate::probe::Probe;
use crate::sample::{Sample, SegmentId};
use crate::time::Now;

/// One life of the supervisor: outside of every run nobody looked, and nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its number in the record, rising.
    pub id: i64,
    /// When it began to look.
    pub begun: Now,
    /// Until when it certainly looked (milliseconds of that boot).
    pub until_ms: u64,
}

/// Facts of one answer that differ from what was recorded of the same question before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The run it was seen in: an index into [`Observed::runs`].
    pub run: usize,
    /// When (milliseconds of that run's boot).
    pub at_ms: u64,
    /// The question: an index into [`Observed::questions`].
    pub question: usize,
    /// These are all facts of the answer, and not only those that changed.
    pub whole: bool,
    /// The facts by field.
    pub facts: BTreeMap<String, Fact>,
}

/// Everything that was recorded besides the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Lives of the supervisor, oldest first.
    pub runs: Vec<Run>,
    /// The questions that were asked.
    pub questions: Vec<Probe>,
    /// What the answers were, in the order in which they came.
    pub changes: Vec<Change>,
    /// File descriptors of each watched process, one series for each of its lives.
    pub series: Vec<(SegmentId, Vec<Sample>)>,
}

impl Run {
    /// The wall clock at a moment of this run, as it stood when the run began.
    #[must_use]
    pub fn wall_ms(&self, at_ms: u64) -> i64 {
        let ran = at_ms.saturating_sub(self.begun.boot_ms);
        self.begun.wall_ms.saturating_add_unsigned(ran)
    }

    /// A moment of this run.
    #[must_use]
    pub fn moment(&self, at_ms: u64) -> Now {
        Now { boot: self.begun.boot.clone(), boot_ms: at_ms, wall_ms: self.wall_ms(at_ms) }
    }
}
