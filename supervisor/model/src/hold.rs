//! What keeps actions back: a person's word (a pause, or a file), or what the host itself is busy with. Whether it does is
//! the engine's.
use serde::{Deserialize, Serialize};

use crate::action::Class;
use crate::name::{ProfileName, TargetName};

/// Files under the root whose existence holds every action: the administrator's own, and one that a reboot takes away.
pub const HOLD_FILES: [&str; 2] = ["etc/wbd/hold", "run/wbd/hold"];

/// What the host is busy with while nothing is healed. It is seen and no person's word, and it ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Busy {
    /// A package manager changes packages; which ones it does not tell.
    Packages,
    /// A vendor's installer changes this product.
    Installer(ProfileName),
    /// The service manager starts the host and has not reached its target.
    Boot,
    /// The service manager shuts the host down.
    Shutdown,
}

impl Busy {
    /// The name under which it stands beside hold files.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Packages => "packages".to_owned(),
            Self::Installer(profile) => format!("installer of {profile}"),
            Self::Boot => "boot".to_owned(),
            Self::Shutdown => "shutdown".to_owned(),
        }
    }

    /// Whether it keeps actions for this target back.
    #[must_use]
    pub fn concerns(&self, target: &TargetName) -> bool {
        match self {
            Self::Packages | Self::Boot | Self::Shutdown => true,
            Self::Installer(profile) => target.as_str().split('/').next() == Some(profile.as_str()),
        }
    }
}

/// What the host is busy with, as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostBusy {
    /// With what.
    pub with: Busy,
    /// For so long that a person should look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
}

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
    /// The file that holds, or the name of what the host is busy with; `None`: a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The host is busy; `None`: a person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<HostBusy>,
}
