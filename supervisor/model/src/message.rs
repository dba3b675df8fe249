//! How each kind of record stands in the journal: its MESSAGE_ID, which the catalogue explains, and its priority.
use crate::entry::{Body, Outcome};
use crate::incident::{Closing, Guard};

/// The MESSAGE_ID of the ledger's head in the journal.
pub const ANCHOR: &str = "fb9c4bfe407b413399ea65e038274537";

/// A priority of syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A person has to act.
    Error,
    /// A person should know.
    Warning,
    /// wbd or an operator did something.
    Notice,
    /// Nothing happened to the host.
    Info,
    /// For whoever looks for a fault of wbd.
    Debug,
}

impl Priority {
    /// As the journal writes it.
    #[must_use]
    pub const fn digit(self) -> &'static str {
        match self {
            Self::Error => "3",
            Self::Warning => "4",
            Self::Notice => "5",
            Self::Info => "6",
            Self::Debug => "7",
        }
    }
}

impl Body {
    /// The journal's MESSAGE_ID of this kind of record.
    #[must_use]
    pub const fn message_id(&self) -> &'static str {
        match self {
            Self::Started { .. } => "9ff847b8475e4a08b16c558c81f7504f",
            Self::Opened { .. } => "8623a338852c4e009d650028b6f6784b",
            Self::Suppressed { .. } => "e3ec2f14b71144b7b546ad0f2977e043",
            Self::Unsuppressed {} => "d71f7198b0b34903b9a3625b4ce23d31",
            Self::Intent(_) => "0716b4d31c16405eabad6fc0089f72af",
            Self::Outcome { .. } => "78b6c3e3345c4fac94f56125414ca16a",
            Self::Verdict { .. } => "57a650084d264e48ba8fb5edf1d3d627",
            Self::Closed { .. } => "c5fa1ede1092469488a456cb5ebd774d",
            Self::Refused(_) => "3ee507660680469cb881132bb43c1faa",
            // The one that older versions entered too: whoever waits for it goes on finding it.
            Self::Escalated { .. } => "5f0a1f1dd2c14a4f9a1e5b6c7d8e9f01",
            Self::Notified { .. } => "39edb3a5aea243f7af030a08ced4cee5",
            Self::Notifier { .. } => "24e768ae120b4cfa91e08a6741d6df49",
            Self::Approved { .. } => "8fe86c9b4919480dbe4f3de61676f643",
            Self::Denied { .. } => "7a7bb17770f44dd987875976f9bf13d4",
            Self::Cleared {} => "5fe3ad7e43644a42b4215eea3fd1a8bf",
            Self::Manual { .. } => "590e41add705434ba7a4e2b858128bdc",
            Self::Hold { .. } => "a4734444c1e94842a2e7659a0544a34f",
            Self::Lifted { .. } => "26e5759847fa467a89eedc28efa1960e",
            Self::Waived { .. } => "cf07a7d31361467e9e3f823e41ab7fad",
            Self::Suspended { .. } => "34e0be234c874f78ae5ce55c5b65af20",
            Self::Resumed { .. } => "816348a91cd848ecbeae2dc76734e098",
            Self::Rearmed {} => "3924b39b08264692ac68fbe6828215af",
            Self::Exit(_) => "bfd4b01eceb848beb10b99199b239e07",
            Self::Rotated { .. } => "9c754e8edf94434d9c6001709ae71896",
        }
    }

    /// Its priority: `journalctl -p warning` shows what a person should know, `-p err` where one has to act.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        match self {
            Self::Escalated { .. } | Self::Suspended { .. } => Priority::Error,
            Self::Refused(refusal) => refused(refusal.guard),
            Self::Opened { .. }
            | Self::Outcome { result: Outcome::Failed | Outcome::Unknown, .. }
            | Self::Verdict { passed: false, .. }
            | Self::Closed { how: Closing::HandedOver }
            | Self::Notified { ok: false, .. }
            | Self::Hold { busy: None, .. } => Priority::Warning,
            Self::Exit(exit) if !exit.asked => Priority::Warning,
            Self::Started { .. }
            | Self::Intent(_)
            | Self::Outcome { result: Outcome::Done | Outcome::Aborted, .. }
            | Self::Verdict { passed: true, .. }
            | Self::Closed {
                how: Closing::Healed | Closing::SelfHealed | Closing::Subsumed | Closing::Noise | Closing::Waived,
            }
            | Self::Approved { .. }
            | Self::Denied { .. }
            // An upgrade or a boot: routine, and it ends by itself.
            | Self::Hold { busy: Some(_), .. }
            | Self::Cleared {}
            | Self::Manual { .. }
            | Self::Lifted { .. }
            | Self::Waived { .. }
            | Self::Resumed { .. }
            | Self::Rearmed {}
            | Self::Exit(_)
            | Self::Rotated { .. } => Priority::Notice,
            Self::Suppressed { .. }
            | Self::Unsuppressed {}
            | Self::Notified { ok: true, .. }
            | Self::Notifier { .. } => Priority::Info,
        }
    }
}

/// What a refusal means to whoever reads the journal: wbd acts later by itself, or not before somebody did something.
const fn refused(guard: Guard) -> Priority {
    match guard {
        Guard::Hold
        | Guard::Mode
        | Guard::Approval
        | Guard::HostBudget
        | Guard::Attempts
        | Guard::Suspended
        | Guard::Ledger
        | Guard::Reach => Priority::Warning,
        Guard::Denied | Guard::Backoff | Guard::Conflict | Guard::Window | Guard::Unseen => Priority::Notice,
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
