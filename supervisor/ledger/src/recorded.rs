//! A permitted action whose intent is on disk: the only thing that can act. Made by the ledger alone.
use wbd_model::entry::{Entry, Intent, Subject};

/// Cannot be cloned or made outside this crate: one intent on disk, at most one action.
#[derive(Debug)]
#[must_use = "an intent without an action or an outcome leaves its incident open"]
pub struct Recorded {
    entry: Entry,
    intent: Intent,
}

impl Recorded {
    pub(crate) fn new(entry: Entry, intent: Intent) -> Self {
        Self { entry, intent }
    }

    /// What the action is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.entry.subject
    }

    /// The action.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// The record on disk. `seq` 0 and an empty hash: it stands in the reserve, not yet in the chain.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Gives the action away; used by the executor as it does it.
    #[must_use]
    pub fn into_intent(self) -> (Subject, Intent) {
        (self.entry.subject, self.intent)
    }
}
