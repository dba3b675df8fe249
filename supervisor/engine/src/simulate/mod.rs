//! What playbooks would have done on a host's own record: its ledger, its samples and what its checks saw. The ring
//! decides as in life, on the record's clock. Reads nothing itself, and claims nothing that was not recorded.
mod drive;
mod knowledge;
mod ledger;
mod tale;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};

use wbd_model::check::CheckKey;
use wbd_model::entry::Entry;
use wbd_model::observed::Observed;
use wbd_model::probe::Probe;
use wbd_model::profile::{Leak, ProcessSelector};
use wbd_model::settings::Settings;

use crate::playbook::Bound;

pub use tale::{Budget, CheckTale, Event, Tale, Totals};

/// Events that are told one by one; all are counted.
pub const MOST_EVENTS: usize = 20_000;

/// What a rehearsal is made of.
#[derive(Debug)]
pub struct Record<'a> {
    /// The checks of the playbooks to be rehearsed.
    pub bounds: &'a [Bound],
    /// The checks as they are installed: causes of others, and whose observations the ledger holds.
    pub installed: &'a [Bound],
    /// By process: the name its samples are kept under, and when it may be restarted.
    pub leaks: &'a BTreeMap<ProcessSelector, (String, Leak)>,
    /// Modes, ceilings and budgets.
    pub settings: &'a Settings,
    /// The whole ledger, oldest first.
    pub entries: &'a [Entry],
    /// What was recorded beside it.
    pub observed: &'a Observed,
    /// Nothing is decided before this moment, Unix milliseconds.
    pub from_wall_ms: i64,
    /// The local zone's offset from UTC, seconds.
    pub offset_s: i32,
}

impl Record<'_> {
    /// The questions that a rehearsal of these checks needs answers to.
    #[must_use]
    pub fn questions(bounds: &[Bound], installed: &[Bound]) -> BTreeSet<Probe> {
        bounds.iter().chain(causes(bounds, installed)).flat_map(|bound| bound.probes.values().cloned()).collect()
    }

    fn keys(&self) -> BTreeSet<&CheckKey> {
        self.bounds.iter().map(|bound| &bound.key).collect()
    }
}

/// Installed checks that may explain a rehearsed one, directly or through another.
fn causes<'a>(bounds: &'a [Bound], installed: &'a [Bound]) -> impl Iterator<Item = &'a Bound> {
    installed.iter().filter(|cause| !cause.explains.is_empty() && !bounds.iter().any(|bound| bound.key == cause.key))
}

/// Rehearses.
///
/// # Errors
/// A turn does not come to rest, which is a bug of the engine.
pub fn simulate(record: &Record<'_>) -> Result<Tale, String> {
    let timeline = timeline::build(record);
    drive::drive(record, &timeline)
}

#[cfg(test)]
mod tests;
