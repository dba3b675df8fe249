//! A finding through time: its identity and its states. Transitions are the engine's.
use serde::{Deserialize, Serialize};

/// Number of an incident on this host, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub u64);

impl std::fmt::Display for IncidentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "I{}", self.0)
    }
}

/// Number of an action on this host, from 1. One id has at most one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(pub u64);

impl std::fmt::Display for ActionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "A{}", self.0)
    }
}

/// Where an incident stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A consequence of another incident; picked up again if it outlives that one.
    Suppressed {
        /// The cause.
        by: IncidentId,
    },
    /// The next step waits for the guards.
    Gated {
        /// Which guard holds it, if one was asked already.
        held: Option<Refusal>,
    },
    /// An intent is on disk; the action is being done.
    Acting {
        /// The action.
        action: ActionId,
    },
    /// Whether the action was done is not known (crash, lost reply): look first, never repeat blindly.
    Indeterminate {
        /// The action.
        action: ActionId,
    },
    /// The last step is done; the verification looks until its deadline.
    Verifying,
    /// The captured state is being put back.
    RollingBack {
        /// The restoring action.
        action: ActionId,
    },
    /// Verified; watched a little longer before it is closed.
    Probation,
    /// Ended.
    Closed {
        /// How.
        how: Closing,
    },
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// An action of ours cured it, and that was verified.
    Healed,
    /// It went away before anything was done.
    SelfHealed,
    /// It was a consequence, and went with its cause.
    Subsumed,
    /// Nothing more may or can be done here; a person was notified.
    HandedOver,
    /// The product or the playbook is no longer there.
    Noise,
    /// An operator waived the check.
    Waived,
}

impl Closing {
    /// The word in JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::SelfHealed => "self-healed",
            Self::Subsumed => "subsumed",
            Self::HandedOver => "handed-over",
            Self::Noise => "noise",
            Self::Waived => "waived",
        }
    }
}

/// Which guard said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// An operator's pause, hold file or waiver.
    Hold,
    /// `healing: observe`.
    Mode,
    /// The action needs an operator's approval.
    Approval,
    /// An operator said no.
    Denied,
    /// The host's budget for disruptive actions is spent.
    HostBudget,
    /// The playbook's own attempts are spent.
    Attempts,
    /// Too soon after the last attempt.
    Backoff,
    /// Another action on the same thing is under way.
    Conflict,
    /// The playbook is suspended.
    Suspended,
    /// Outside its window.
    Window,
    /// The ledger cannot be written or does not verify.
    Ledger,
    /// What the action would change cannot be told now; looked at once more.
    Unseen,
    /// It changes the machine, and a stand-alone supervisor only what lies below its root.
    Reach,
}

impl Guard {
    /// The word in JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Mode => "mode",
            Self::Approval => "approval",
            Self::Denied => "denied",
            Self::HostBudget => "host-budget",
            Self::Attempts => "attempts",
            Self::Backoff => "backoff",
            Self::Conflict => "conflict",
            Self::Suspended => "suspended",
            Self::Window => "window",
            Self::Ledger => "ledger",
            Self::Unseen => "unseen",
            Self::Reach => "reach",
        }
    }
}

/// A guard's no: which one, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// Which guard.
    pub guard: Guard,
    /// Why, in words.
    pub reason: String,
    /// Until which moment of this boot (milliseconds of `CLOCK_BOOTTIME`); `None`: until somebody acts.
    pub until_ms: Option<u64>,
}
