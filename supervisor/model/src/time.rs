//! A moment as the thinking sees it: handed in, never read here.
use serde::{Deserialize, Serialize};

/// One boot of one host, as `/proc/sys/kernel/random/boot_id` names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// Now: `CLOCK_BOOTTIME` decides, the wall clock is for people and maintenance windows only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Now {
    /// The running boot.
    pub boot: BootId,
    /// Milliseconds since that boot (`CLOCK_BOOTTIME`, counts suspend).
    pub boot_ms: u64,
    /// Unix time in milliseconds; may jump.
    pub wall_ms: i64,
}

impl Now {
    /// Milliseconds since a moment of this boot; `None` for a moment of another boot.
    #[must_use]
    pub fn since(&self, boot: &BootId, boot_ms: u64) -> Option<u64> {
        (self.boot == *boot).then(|| self.boot_ms.saturating_sub(boot_ms))
    }
}
