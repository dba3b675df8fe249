//! Every documented failure, for `wbdctl explain`.
use serde::{Deserialize, Serialize};

use crate::name::Code;

/// One documented failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its stable code.
    pub code: Code,
    /// The product it belongs to.
    pub product: String,
    /// A claim that is true while the failure holds.
    pub title: String,
    /// What must be done about it.
    pub response: Respond,
    /// Where it can be seen.
    pub seen: Seen,
    /// What happens, what is hurt, how it is told from look-alikes.
    pub means: String,
    /// What else is to be said of what wbd does about it; its actions follow from the playbooks.
    pub does: String,
    /// Steps for a person.
    pub guide: Vec<String>,
    /// The public document it follows.
    pub source: String,
}

/// What must be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Respond {
    /// wbd acts by itself, verifies and records.
    Heal,
    /// wbd prepares the act and waits for an operator's approval.
    Approve,
    /// The operator gets the exact steps.
    Guide,
    /// It looks like a fault and is none.
    Expected,
    /// The request itself is wrong.
    Refuse,
}

/// Where a failure can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// On this host, by probes.
    Host,
    /// In forwarded log lines of another machine.
    Log,
    /// Only in the vendor's console or on another system.
    Told,
}
