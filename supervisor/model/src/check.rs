//! A check's key and its verdict. Judging itself is the engine's.
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::catalogue;
use crate::name::{Code, TargetName};

/// One (code, target): at most one open incident stands for it. Two keys are one where they name one failure of one
/// target, be it by the neutral code or a vendor's: an incident outlives the product whose name it had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckKey {
    /// The documented failure.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
}

impl CheckKey {
    fn failure(&self) -> (&str, &TargetName) {
        (catalogue::neutral(&self.code), &self.target)
    }
}

impl PartialEq for CheckKey {
    fn eq(&self, other: &Self) -> bool {
        self.failure() == other.failure()
    }
}

impl Eq for CheckKey {}

impl Ord for CheckKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.failure().cmp(&other.failure())
    }
}

impl PartialOrd for CheckKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for CheckKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.failure().hash(state);
    }
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    fn key(code: &str, target: &str) -> CheckKey {
        CheckKey { code: Code::new(code).unwrap(), target: TargetName::new(target).unwrap() }
    }

    #[test]
    fn a_failure_of_a_target_is_one_key_by_whichever_code_it_is_named() {
        let old = key("AEGIS-DNS", "host");
        let known = BTreeSet::from([old.clone()]);
        let hashed = HashSet::from([old]);
        for (code, target, wanted) in [
            ("AEGIS-DNS", "host", true),
            ("NET-DNS", "host", true),
            ("NET-DNS", "aegis", false),
            ("NET-NAME", "host", false),
            ("WBD-6007", "host", false),
        ] {
            let key = key(code, target);
            assert_eq!((known.contains(&key), hashed.contains(&key)), (wanted, wanted), "{key}");
        }
        assert_eq!(key("NET-DNS", "host").to_string(), "NET-DNS on host", "it is shown as it is written");
    }
}
