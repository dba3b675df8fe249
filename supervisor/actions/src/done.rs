//! What became of an action. Does nothing.
use wbd_model::entry::Outcome;

/// What became of it, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
    pub(crate) spawned: Option<u32>,
    pub(crate) job: Option<u32>,
}

impl Done {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), spawned: None, job: None }
    }

    pub(crate) fn after(mut self, what: &str) -> Self {
        self.detail = format!("{what}; {}", self.detail);
        self
    }
}
