//! What keeps actions back because a person said so: a pause, or a file. Whether it does is the engine's.
use serde::{Deserialize, Serialize};

use crate::action::Class;

/// Files under the root whose existence holds every action: the administrator's own, and one that a reboot takes away.
pub const HOLD_FILES: [&str; 2] = ["etc/wbd/hold", "run/wbd/hold"];

/// A hold as status and doctor show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// Who.
    pub who: String,
    /// Why; may be empty where a file says nothing.
    pub why: String,
    /// Only actions of this class and above are held.
    pub from_class: Class,
    /// Unix time in milliseconds at which it ends by itself; `None`: when somebody lifts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_wall_ms: Option<i64>,
    /// The file that holds; `None`: a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}
