//! An action under way: its recorded intent, and what it may reach. Does nothing.
use std::time::Instant;

use wbd_model::entry::Intent;
use wbd_model::time::Now;

use crate::process::ProcessRef;
use crate::reach::Reach;

/// An action that is not late yet.
pub(crate) struct Execution<'a> {
    pub(crate) reach: &'a Reach,
    pub(crate) intent: &'a Intent,
    /// When its intent was recorded.
    pub(crate) recorded_ms: u64,
    pub(crate) now: &'a Now,
    /// The start deadline, for what has to wait before it can begin.
    pub(crate) start_by: Instant,
    /// The agent's process, if one is known to run.
    pub(crate) current: Option<ProcessRef>,
}
