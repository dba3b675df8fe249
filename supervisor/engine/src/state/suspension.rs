//! A playbook that wbd itself stopped, and its one try. When that comes the breaker says.
use serde::{Deserialize, Serialize};
use wbd_model::incident::IncidentId;

/// A playbook that wbd itself stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Suspension {
    /// Why, in words.
    pub reason: String,
    /// When it was suspended last, milliseconds of the newest boot; 0 for earlier boots.
    pub at_ms: u64,
    /// How often in a row, without a proof in between.
    pub trips: u32,
    /// The one try that follows the pause.
    pub trial: Option<Trial>,
}

/// The one try of a suspended playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// This incident has it.
    UnderWay(IncidentId),
    /// Proved; the record that re-arms the playbook is still to be written.
    Passed,
    /// Not proved; the record that suspends it again is still to be written.
    Failed,
}
