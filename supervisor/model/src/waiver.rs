//! A check that an operator took out of judgement for a time, and why. Who it covers, and whether it still does, is
//! the engine's.
use serde::{Deserialize, Serialize};

use crate::name::{Code, TargetName};

/// A waiver: the check is still looked at and shown, and neither counts nor is acted on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waiver {
    /// The failure.
    pub code: Code,
    /// Whose; `None`: of every target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Unix time in milliseconds at which it was given.
    pub since_wall_ms: i64,
    /// Unix time in milliseconds at which it ends by itself.
    pub until_wall_ms: i64,
}

/// Whether a waiver still covers anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It does.
    Active,
    /// It does, and ends within a week.
    Ending,
    /// It is over: what it covered counts again.
    Expired,
}

impl Standing {
    /// The word in JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ending => "ending",
            Self::Expired => "expired",
        }
    }
}

impl std::fmt::Display for Waiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{} on {target}", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}
