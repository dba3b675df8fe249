//! The class of an action: how much it disturbs.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much an action disturbs. Belongs to the action, never to the author of a playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Class {
    /// Observe.
    A0,
    /// Raise a limit, rotate, reload.
    A1,
    /// Restart the agent.
    A2,
    /// Restart another service.
    A3,
    /// Reboot, network, disk, packages: always asks.
    A4,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
