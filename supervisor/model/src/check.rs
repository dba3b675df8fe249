//! A check's key and its verdict. Judging itself is the engine's.
use serde::{Deserialize, Serialize};

use crate::name::{Code, TargetName};

/// One (code, target): at most one open incident stands for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckKey {
    /// The documented failure.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
}

impl std::fmt::Display for CheckKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.code, self.target)
    }
}

/// What a check says. `Unknown` is neither healthy nor sick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Seen, and fine.
    Pass,
    /// Does not apply here.
    Skip,
    /// Could not be seen.
    Unknown,
    /// Shown, never acted on.
    Warn,
    /// A failure.
    Fail,
}

impl Verdict {
    /// The word in JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}
