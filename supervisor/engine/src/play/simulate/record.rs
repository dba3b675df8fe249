//! What a rehearsal is made of: the checks, and a host's own record. Reads nothing itself.
use std::collections::{BTreeMap, BTreeSet};

use wbd_model::check::CheckKey;
use wbd_model::entry::Entry;
use wbd_model::observed::Observed;
use wbd_model::probe::Probe;
use wbd_model::profile::{Leak, ProcessSelector};
use wbd_model::settings::Settings;

use crate::playbook::Bound;

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

    pub(super) fn keys(&self) -> BTreeSet<&CheckKey> {
        self.bounds.iter().map(|bound| &bound.key).collect()
    }
}

/// Installed checks that may explain a rehearsed one, directly or through another.
pub(super) fn causes<'a>(bounds: &'a [Bound], installed: &'a [Bound]) -> impl Iterator<Item = &'a Bound> {
    installed.iter().filter(|cause| !cause.explains.is_empty() && !bounds.iter().any(|bound| bound.key == cause.key))
}
