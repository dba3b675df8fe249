//! A resolved proposal: what would be done, with nothing left to choose.
use serde::{Deserialize, Serialize};

use crate::action::{Action, Change, Class};
use crate::name::{Code, PlaybookName, TargetName};

/// Who has to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Nobody, within guards and budgets.
    #[default]
    Auto,
    /// An operator.
    Operator,
}

/// One rung of a playbook, resolved for one target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// The failure.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
    /// The playbook.
    pub playbook: PlaybookName,
    /// Digest of its text, so that an approval holds for exactly this one.
    pub digest: String,
    /// Which rung, from 0.
    pub rung: usize,
    /// The rung's name.
    pub rung_id: String,
    /// Who has to approve.
    pub approval: Approval,
    /// The actions in order.
    pub steps: Vec<Action>,
}

impl Plan {
    /// The most disturbing class among its steps; A0 for none.
    #[must_use]
    pub fn class(&self) -> Class {
        self.steps.iter().map(Action::class).max().unwrap_or(Class::A0)
    }
}

/// How long a rung would have to wait for its window, as it was seen at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waits {
    /// Minutes until the window opens; 0 while it is open.
    pub opens_in_min: u64,
    /// Minutes until what fails runs out at the earliest; `None`: nobody can tell.
    pub runs_out_in_min: Option<u64>,
}

/// A playbook's own budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// At most so many attempts on a target ...
    pub max: u32,
    /// ... in this time, milliseconds.
    pub per_ms: u64,
    /// Pause after the first failed attempt, milliseconds; doubles each time.
    pub backoff_from_ms: u64,
    /// Longest pause, milliseconds.
    pub backoff_to_ms: u64,
}

/// A plan as an operator was shown it, with everything that it would change: what an approval is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shown {
    /// The rung, resolved.
    pub plan: Plan,
    /// What each of its steps would change, in their order; empty for a step that changes nothing, or is done already.
    pub changes: Vec<Vec<Change>>,
}
