//! Since when something is seen without a break: what need not survive a crash. Decides nothing.
use std::collections::BTreeMap;

use wbd_model::check::{CheckKey, Verdict};
use wbd_model::incident::{ActionId, IncidentId};

use crate::judge::snapshot::CheckSnapshot;

/// What need not survive a crash: since when something is seen without a break.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Timers {
    pub(super) failing: BTreeMap<CheckKey, (String, u64)>,
    pub(super) passing: BTreeMap<CheckKey, u64>,
    pub(super) proven: BTreeMap<IncidentId, u64>,
    pub(super) proving: BTreeMap<IncidentId, u64>,
    pub(super) absent: BTreeMap<IncidentId, u64>,
    /// The action that this process is doing right now.
    pub in_flight: Option<ActionId>,
    /// An operator asked for this check's playbook now: the hold time is waived.
    pub asked: Option<CheckKey>,
}

impl Timers {
    /// Since when (milliseconds of this boot) a check fails with the same case.
    #[must_use]
    pub fn failing_since(&self, key: &CheckKey) -> Option<u64> {
        self.failing.get(key).map(|(_, since)| *since)
    }

    pub(super) fn note(&mut self, snapshot: &CheckSnapshot, now_ms: u64) {
        match (snapshot.verdict, &snapshot.case) {
            (Verdict::Fail, Some(case)) => {
                self.passing.remove(&snapshot.key);
                let entry = self.failing.entry(snapshot.key.clone()).or_insert_with(|| (case.clone(), now_ms));
                if entry.0 != *case {
                    *entry = (case.clone(), now_ms);
                }
            }
            (Verdict::Pass | Verdict::Warn | Verdict::Skip, _) => {
                self.failing.remove(&snapshot.key);
                self.passing.entry(snapshot.key.clone()).or_insert(now_ms);
            }
            // Not seen: neither goes on failing nor begins to pass.
            (Verdict::Unknown | Verdict::Fail, _) => {
                self.passing.remove(&snapshot.key);
                self.failing.remove(&snapshot.key);
            }
        }
    }

    pub(super) fn passed_for(&self, key: &CheckKey, now_ms: u64) -> Option<u64> {
        self.passing.get(key).map(|since| now_ms.saturating_sub(*since))
    }
}
