//! The ledger's records: everything that was decided, done, seen to end or asked by hand.
use serde::{Deserialize, Serialize};

use crate::action::{Action, Change, Class, Undo};
use crate::hold::HostBusy;
use crate::incident::{ActionId, Closing, Guard, IncidentId, Refusal};
use crate::name::{Code, PlaybookName, TargetName};
use crate::observation::Observations;
use crate::plan::Shown;
use crate::time::{Now, utc};

/// One record as it stands on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the chain, from 1, gapless.
    pub seq: u64,
    /// When it was written.
    pub at: Now,
    /// What it is about.
    pub subject: Subject,
    /// What it says.
    pub body: Body,
    /// Hash of the record before; of the old head after a rotation; 64 zeros at the very first.
    pub prev: String,
    /// SHA-256 over `prev` and the record's stored text, lower-case hex.
    pub hash: String,
}

/// What a record is about; a record of the supervisor itself has no subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Subject {
    /// The incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// The playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookName>,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The supervisor began to look.
    Started {
        /// Its version.
        version: String,
        /// `systemd` or `standalone`.
        mode: String,
    },
    /// A failure was held long enough: an incident.
    Opened {
        /// Digest of the playbook.
        digest: String,
        /// The case that was true.
        case: String,
        /// What was seen.
        evidence: Vec<String>,
        /// The observations behind it.
        before: Observations,
    },
    /// It is a consequence of another incident.
    Suppressed {
        /// The cause.
        by: IncidentId,
    },
    /// Its cause is closed and it persists.
    Unsuppressed {},
    /// An action is about to be done. Nothing is ever done without this record on disk.
    Intent(Box<Intent>),
    /// What became of an action.
    Outcome {
        /// The action.
        action: ActionId,
        /// Done, failed, aborted or unknown.
        result: Outcome,
        /// In words.
        detail: String,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// What the same probes said afterwards.
    Verdict {
        /// Whether the cure is proven.
        passed: bool,
        /// What was seen.
        evidence: Vec<String>,
        /// Milliseconds from the incident's opening to this verdict.
        after_ms: u64,
    },
    /// The incident ended.
    Closed {
        /// How.
        how: Closing,
    },
    /// A guard said no (written when the answer changes, not at each asking).
    Refused(Refusal),
    /// A person is needed; the guide as it was shown.
    Escalated {
        /// Why the machine stops here.
        reason: String,
        /// Steps for the person.
        guide: Vec<String>,
    },
    /// The site's own program was run to notify a person of an escalation.
    #[serde(rename = "told")]
    Notified {
        /// When that escalation was written.
        of: Now,
        /// It ended with 0.
        ok: bool,
        /// What became of it, in words.
        detail: String,
        /// Which try it was, from 1.
        tries: u32,
    },
    /// From now on this program notifies people of escalations.
    #[serde(rename = "teller")]
    Notifier {
        /// Program and arguments; empty: none, escalations stand in journal and lists only.
        program: Vec<String>,
    },
    /// An operator approved the waiting rung.
    Approved {
        /// Who.
        who: String,
        /// What was shown, and is alone what may be done; `None`: whatever the playbook leads to (asked for by
        /// hand, and records of before).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<Box<Shown>>,
    },
    /// An operator denied the waiting rung.
    Denied {
        /// Who.
        who: String,
    },
    /// A failure that had been handed over is seen to be gone.
    Cleared {},
    /// Done by hand through wbd; costs no budget.
    Manual {
        /// What: `agent.stop`, `undo`, `playbook.run`, ...
        what: String,
        /// Who.
        who: String,
        /// Its parameters in words.
        params: String,
    },
    /// An operator's stop for all healing.
    Hold {
        /// Who.
        who: String,
        /// Why.
        why: String,
        /// Unix time in milliseconds until which it holds; `None`: until `resume`.
        until_wall_ms: Option<i64>,
        /// Only actions of this class and above are held.
        from_class: Class,
        /// The file whose existence holds, or the name of what the host is busy with; `None`: a pause. Each is lifted by
        /// itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// The host is busy; `None`: a person's word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        busy: Option<HostBusy>,
    },
    /// The stop is lifted.
    Lifted {
        /// Who.
        who: String,
        /// The file that is gone; `None`: the pause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// An operator took a check (the subject's code and target; no target: every one) out of judgement for a time.
    Waived {
        /// Who.
        who: String,
        /// Why.
        why: String,
        /// Unix time in milliseconds until which; `None`: an earlier waiver is ended.
        until_wall_ms: Option<i64>,
    },
    /// wbd itself stopped a playbook that keeps failing.
    Suspended {
        /// Why.
        reason: String,
    },
    /// An operator let it go on.
    Resumed {
        /// Who.
        who: String,
    },
    /// The one try that a suspended playbook was given is proved: it goes on.
    Rearmed {},
    /// The watched process ended.
    Exit(Exit),
    /// First record of a ledger that follows another one.
    Rotated {
        /// Hash of the old head, 64 zeros if it could not be read.
        old_head: String,
        /// Its position, 0 if it could not be read.
        old_seq: u64,
        /// Name of the file that was set aside.
        file: String,
        /// Why.
        reason: String,
        /// Who.
        who: String,
        /// Debits (moments of this boot, milliseconds) carried over, so that a new ledger is no new budget.
        debits_ms: Vec<u64>,
        /// The next incident number.
        next_incident: u64,
        /// The next action's number.
        next_action: u64,
        /// Everything else that was known, as the engine wrote it; absent in records of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Box<serde_json::Value>>,
    },
}

/// An action about to be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// Its number.
    pub action_id: ActionId,
    /// The action.
    pub action: Action,
    /// Its class.
    pub class: Class,
    /// The rung, from 0.
    pub rung: usize,
    /// The rung's name.
    pub rung_id: String,
    /// The step in the rung, from 0.
    pub step: usize,
    /// How many steps the rung has.
    pub steps: usize,
    /// All actions of the rung in order, as they were resolved when it began: its later steps are these.
    #[serde(default)]
    pub plan: Vec<Action>,
    /// It may not begin later than this moment of this boot (`CLOCK_BOOTTIME`, milliseconds).
    pub start_by_ms: u64,
    /// What it will change.
    pub changes: Vec<Change>,
    /// How it can be taken back, captured before it.
    pub undo: Option<Undo>,
    /// It takes another action back.
    pub undoes: Option<ActionId>,
    /// Asked for by hand, and not by an incident: costs no budget, unless it is [`Intent::paid`] for.
    pub by_hand: Option<String>,
    /// It costs budget although no incident asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paid: bool,
    /// An operator said "start": the administrator's stop that stood at that moment is taken back by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_back_stop: bool,
    /// The observations before the first step (`before.` in verifications).
    pub before: Observations,
}

impl Intent {
    /// What stands before who asked for it where no incident did.
    #[must_use]
    pub const fn asked(&self) -> &'static str {
        if self.paid { "paid for, asked by" } else { "by hand" }
    }
}

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done.
    Done,
    /// Tried, and the host said no.
    Failed,
    /// Not begun (too late, or nothing to do).
    Aborted,
    /// A crash or a lost reply: not known.
    Unknown,
}

impl Outcome {
    /// The word in JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// The end of a watched process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exit {
    /// Its process id.
    pub pid: i64,
    /// exit, signal, oom, oom-limit, oom-host or unknown.
    pub how: ExitHow,
    /// Exit code or signal number; -1 when none is known.
    pub code: i64,
    /// An administrator or wbd asked for it.
    pub asked: bool,
    /// Who or what did, in words; empty if nobody.
    pub by: String,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitHow {
    /// It returned.
    Exit,
    /// A signal.
    Signal,
    /// Killed for want of memory; whose, the kernel does not tell here.
    Oom,
    /// Killed at the memory limit of its control group, or of one around it.
    #[serde(rename = "oom-limit")]
    OomLimit,
    /// Killed because the host had no memory left.
    #[serde(rename = "oom-host")]
    OomHost,
    /// Nobody could tell.
    Unknown,
}

impl ExitHow {
    /// The word in observations and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Oom => "oom",
            Self::OomLimit => "oom-limit",
            Self::OomHost => "oom-host",
            Self::Unknown => "unknown",
        }
    }
}

/// How a person takes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A cure was proved.
    Good,
    /// It is no news.
    Plain,
    /// Something was not done.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Body {
    /// Every kind.
    pub const KINDS: [&str; 24] = [
        "started",
        "opened",
        "suppressed",
        "unsuppressed",
        "intent",
        "outcome",
        "verdict",
        "closed",
        "refused",
        "escalated",
        "told",
        "teller",
        "approved",
        "denied",
        "cleared",
        "manual",
        "hold",
        "lifted",
        "waived",
        "suspended",
        "resumed",
        "rearmed",
        "exit",
        "rotated",
    ];

    /// The kind in JSON and on the screen.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Opened { .. } => "opened",
            Self::Suppressed { .. } => "suppressed",
            Self::Unsuppressed {} => "unsuppressed",
            Self::Intent(_) => "intent",
            Self::Outcome { .. } => "outcome",
            Self::Verdict { .. } => "verdict",
            Self::Closed { .. } => "closed",
            Self::Refused(_) => "refused",
            Self::Escalated { .. } => "escalated",
            Self::Notified { .. } => "told",
            Self::Notifier { .. } => "teller",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Cleared {} => "cleared",
            Self::Manual { .. } => "manual",
            Self::Hold { .. } => "hold",
            Self::Lifted { .. } => "lifted",
            Self::Waived { .. } => "waived",
            Self::Suspended { .. } => "suspended",
            Self::Resumed { .. } => "resumed",
            Self::Rearmed {} => "rearmed",
            Self::Exit(_) => "exit",
            Self::Rotated { .. } => "rotated",
        }
    }

    /// How a person takes it.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        match self {
            Self::Verdict { passed: true, .. } => Weight::Good,
            Self::Opened { .. }
            | Self::Escalated { .. }
            | Self::Verdict { passed: false, .. }
            | Self::Suspended { .. } => Weight::Bad,
            Self::Refused(_) | Self::Hold { .. } | Self::Denied { .. } | Self::Notified { ok: false, .. } => {
                Weight::Warning
            }
            Self::Started { .. }
            | Self::Suppressed { .. }
            | Self::Unsuppressed {}
            | Self::Intent(_)
            | Self::Outcome { .. }
            | Self::Closed { .. }
            | Self::Notified { ok: true, .. }
            | Self::Notifier { .. }
            | Self::Approved { .. }
            | Self::Cleared {}
            | Self::Manual { .. }
            | Self::Lifted { .. }
            | Self::Waived { .. }
            | Self::Resumed { .. }
            | Self::Rearmed {}
            | Self::Exit(_)
            | Self::Rotated { .. } => Weight::Plain,
        }
    }

    /// Whether the bytes must be on disk before the supervisor goes on.
    #[must_use]
    pub const fn is_intent(&self) -> bool {
        matches!(self, Self::Intent(_))
    }
}

impl Entry {
    /// The record as `ledger -o json` shows it (schema 1: keys are only ever added).
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let intent = if let Body::Intent(intent) = &self.body { Some(intent) } else { None };
        let outcome_of = if let Body::Outcome { action, .. } = &self.body { Some(*action) } else { None };
        let action = intent.map(|intent| intent.action_id).or(outcome_of);
        serde_json::json!({
            "seq": self.seq,
            "time": self.at.wall_ms,
            "boot": self.at.boot.0,
            "boot_ms": self.at.boot_ms,
            "kind": self.body.kind(),
            "incident": self.subject.incident.map(|id| id.to_string()),
            "code": self.subject.code,
            "target": self.subject.target,
            "playbook": self.subject.playbook,
            "rung": intent.map(|intent| intent.rung_id.as_str()),
            "action": intent.map(|intent| intent.action.name()),
            "action_id": action.map(|id| id.to_string()),
            "params": intent.and_then(|intent| serde_json::to_value(&intent.action).ok()),
            "class": intent.map(|intent| intent.class),
            "result": self.body.result(),
            "evidence": self.body.evidence(),
            "hash": self.hash,
            "prev": self.prev,
        })
    }
}

impl Body {
    /// The result in one word, if this kind of record has one.
    #[must_use]
    pub fn result(&self) -> Option<&'static str> {
        if let Self::Outcome { result, .. } = self {
            Some(result.as_str())
        } else if let Self::Verdict { passed, .. } = self {
            Some(if *passed { "pass" } else { "fail" })
        } else if let Self::Closed { how } = self {
            Some(how.as_str())
        } else if let Self::Refused(Refusal { guard, .. }) = self {
            Some(Guard::as_str(*guard))
        } else if let Self::Exit(exit) = self {
            Some(exit.how.as_str())
        } else if let Self::Notified { ok, .. } = self {
            Some(if *ok { "done" } else { "failed" })
        } else {
            None
        }
    }

    /// What was seen or said, in words, a line each.
    #[must_use]
    pub fn evidence(&self) -> Vec<String> {
        match self {
            Self::Started { version, mode } => vec![format!("version {version}, {mode}")],
            Self::Opened { evidence, case, .. } => {
                std::iter::once(format!("case {case}")).chain(evidence.iter().cloned()).collect()
            }
            Self::Suppressed { by } => vec![format!("a consequence of {by}")],
            Self::Unsuppressed {} | Self::Cleared {} | Self::Rearmed {} => Vec::new(),
            Self::Intent(intent) => intent
                .changes
                .iter()
                .map(change)
                .chain(intent.by_hand.iter().map(|who| format!("{}: {who}", intent.asked())))
                .chain(intent.undoes.iter().map(|id| format!("takes back {id}")))
                .collect(),
            Self::Outcome { detail, took_ms, .. } => vec![format!("{detail} ({took_ms} ms)")],
            Self::Verdict { evidence, after_ms, .. } => {
                evidence.iter().cloned().chain(std::iter::once(format!("{after_ms} ms after it was opened"))).collect()
            }
            Self::Closed { .. } => Vec::new(),
            Self::Refused(refusal) => vec![refusal.reason.clone()],
            Self::Escalated { reason, guide } => std::iter::once(reason.clone()).chain(guide.iter().cloned()).collect(),
            Self::Notified { detail, tries, .. } => vec![format!("try {tries}: {detail}")],
            Self::Notifier { program } if program.is_empty() => vec!["by no program".to_owned()],
            Self::Notifier { program } => vec![program.join(" ")],
            Self::Approved { who, shown } => {
                let changes = shown.iter().flat_map(|shown| shown.changes.iter().flatten());
                std::iter::once(format!("by {who}")).chain(changes.map(change)).collect()
            }
            Self::Denied { who } | Self::Lifted { who, .. } | Self::Resumed { who } => vec![format!("by {who}")],
            Self::Waived { who, why, until_wall_ms: Some(until) } => {
                vec![format!("by {who} until {}: {why}", utc(*until))]
            }
            Self::Waived { who, why, until_wall_ms: None } => vec![format!("ended by {who}: {why}")],
            Self::Manual { what, who, params } => vec![format!("{what} {params} by {who}")],
            Self::Hold { who, why, busy: Some(_), .. } => vec![format!("by {who}: {why}")],
            Self::Hold { who, why, from_class, until_wall_ms, .. } => {
                let until = until_wall_ms.map_or_else(String::new, |until| format!(", until {}", utc(until)));
                vec![format!("by {who}: {why} (class {from_class} and above{until})")]
            }
            Self::Suspended { reason } => vec![reason.clone()],
            Self::Exit(exit) => vec![format!(
                "process {} {} {}{}",
                exit.pid,
                exit.how.as_str(),
                exit.code,
                if exit.by.is_empty() { String::new() } else { format!(" ({})", exit.by) }
            )],
            Self::Rotated { reason, who, file, .. } => vec![format!("{reason} (by {who}); the old one is {file}")],
        }
    }
}

fn change(change: &Change) -> String {
    format!("{}: {} -> {}", change.what, change.before.as_deref().unwrap_or("?"), change.after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_record_can_be_asked_for() {
        let (_, rest) = include_str!("entry.rs").split_once("pub const fn kind(").unwrap();
        let (arms, _) = rest.split_once("/// How a person takes it.").unwrap();
        let told: Vec<&str> = arms.split('"').skip(1).step_by(2).collect();
        assert_eq!(told, Body::KINDS);
    }
}
