//! What an action would change. Changes nothing.
use wbd_model::action::{Change, Undo};

use crate::units::Job;

/// What an action would change, and how it could be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What it changes; empty: nothing, it is already so.
    pub changes: Vec<Change>,
    /// How to take it back, from the state as it is now.
    pub undo: Option<Undo>,
}

impl Preview {
    /// Of what changes one thing and captures no way back.
    pub(crate) fn of(change: Change) -> Self {
        Self { changes: vec![change], undo: None }
    }

    /// Of a job on a unit, or on a program without one.
    pub(crate) fn of_job(what: &str, job: Job) -> Self {
        Self::of(Change { what: what.to_owned(), before: None, after: job.past().to_owned() })
    }
}
