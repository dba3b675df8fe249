//! Requests to the daemon and its answers, plain and serialisable; the transport is not here.
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::{Change, Class};
use crate::check::{CheckKey, Verdict};
use crate::hold::HoldRow;
use crate::incident::{ActionId, IncidentId, Phase, Refusal};
use crate::name::{Code, PlaybookName, ProfileName, TargetName};
use crate::plan::Plan;
use crate::report::Report;
use crate::settings::Healing;
use crate::waiver::Waiver;

/// Bus name of the interface on the control socket (zbus peer-to-peer).
pub const INTERFACE: &str = "wbd.Control1";
/// Object path on the control socket.
pub const OBJECT: &str = "/wbd/control";
/// Socket path under the root.
pub const SOCKET: &str = "run/wbd/control.sock";
/// Group whose members may ask for changes.
pub const ADMIN_GROUP: &str = "wbd-admin";

/// A request: the method `Call(s) -> s` carries it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// How the daemon is and what is due next.
    Status {},
    /// Its latest report.
    Report {},
    /// Look at these checks again soon; each at most once a second. [`Status::checks`] tells when it was done.
    LookAgain {
        /// Which.
        checks: Vec<CheckKey>,
    },
    /// Open incidents and the last closed ones.
    Incidents {},
    /// The waiting rung of an incident, with what it would change.
    Preview {
        /// Which.
        incident: IncidentId,
    },
    /// What the fix of a failing check would change, whether it has an incident or not.
    PreviewFix {
        /// The check.
        key: CheckKey,
    },
    /// Approve the waiting rung.
    Approve {
        /// Which.
        incident: IncidentId,
        /// Digest of what was shown, from the answer to `Preview`: the approval is of that and nothing else.
        #[serde(default)]
        shown: Option<String>,
    },
    /// Deny the waiting rung.
    Deny {
        /// Which.
        incident: IncidentId,
    },
    /// Stop healing.
    Pause {
        /// Why.
        why: String,
        /// For how long; `None`: until `resume`.
        for_ms: Option<u64>,
        /// Only actions of this class and above.
        from_class: Class,
    },
    /// Lift a pause, and every suspension. A hold file stays until it is removed.
    Resume {},
    /// Take a check out of judgement for a time, or end that early.
    Waive {
        /// The failure.
        code: Code,
        /// Whose; `None`: of every target.
        target: Option<TargetName>,
        /// Why.
        why: String,
        /// Unix time in milliseconds until which; `None`: end it now.
        until_wall_ms: Option<i64>,
    },
    /// Take an action back.
    Undo {
        /// Which.
        action: ActionId,
    },
    /// Read playbooks and settings again; the old set stays if anything is broken.
    Reload {},
    /// Run a playbook's next rung now, under the same guards.
    RunPlaybook {
        /// Which.
        playbook: PlaybookName,
        /// On which target; `None` where there is only one.
        target: Option<TargetName>,
        /// Asking is no operator's approval: only the time is not waited for that the failure has to last.
        #[serde(default, rename = "without_word")]
        without_approval: bool,
    },
    /// Check a product no more until it runs again.
    ForgetProduct {
        /// Which.
        name: ProfileName,
    },
    /// Start, stop or reload the agent by hand.
    Agent {
        /// Which.
        verb: AgentVerb,
    },
    /// Pass a command to the agent (JSON of the agent's own command interface).
    AgentCall {
        /// The command.
        command: String,
        /// It changes the agent (everything but `status`).
        change: bool,
    },
    /// Run the site's program of `on_escalation` with a made-up incident.
    TestEscalation {},
    /// Set a bad ledger aside and start a new one that names the old head.
    RotateLedger {
        /// Why.
        reason: String,
    },
}

impl Request {
    /// Whether it changes anything (root and the group wbd-admin only).
    #[must_use]
    pub const fn is_change(&self) -> bool {
        match self {
            Self::Status {}
            | Self::Report {}
            | Self::LookAgain { .. }
            | Self::Incidents {}
            | Self::Preview { .. }
            | Self::PreviewFix { .. } => false,
            Self::AgentCall { change, .. } => *change,
            Self::Approve { .. }
            | Self::Deny { .. }
            | Self::Pause { .. }
            | Self::Resume {}
            | Self::Waive { .. }
            | Self::Undo { .. }
            | Self::Reload {}
            | Self::RunPlaybook { .. }
            | Self::ForgetProduct { .. }
            | Self::Agent { .. }
            | Self::TestEscalation {}
            | Self::RotateLedger { .. } => true,
        }
    }
}

impl Request {
    /// Whether only root may ask for it: it takes something out of wbd's sight.
    #[must_use]
    pub const fn is_roots(&self) -> bool {
        matches!(self, Self::ForgetProduct { .. })
    }
}

/// What to do with the agent by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentVerb {
    /// Start it.
    Start,
    /// Stop it, if it runs, and start it.
    Restart,
    /// Stop it; an administrator's stop is respected.
    Stop,
    /// Make it read its settings again.
    Reload,
}

/// The daemon's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Done, in words.
    Done {
        /// What was done.
        message: String,
        /// Checks whose incidents tell what comes of it; empty where nothing more comes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        about: Vec<CheckKey>,
    },
    /// Refused: by a guard, or because it makes no sense now.
    Refused {
        /// Why, and until when.
        message: String,
    },
    /// Not permitted for this peer.
    NotPermitted {
        /// What would be needed.
        message: String,
    },
    /// The configuration or a playbook is broken; the old set stays.
    Broken {
        /// Every problem, a line each.
        problems: Vec<String>,
    },
    /// Answer to `Status`.
    Status(Box<Status>),
    /// Answer to `Report`; `None` before the first look.
    Report(Option<Box<Report>>),
    /// Answer to `Incidents`.
    Incidents(Vec<IncidentRow>),
    /// Answer to `AgentCall`: JSON of the agent's own reply.
    Agent {
        /// The reply.
        reply: String,
    },
    /// Answer to `TestEscalation`.
    Escalation(EscalationTest),
    /// Answer to `Preview`.
    Preview {
        /// The plan.
        plan: Plan,
        /// What it would change.
        changes: Vec<Change>,
        /// Digest of both; an approval names it.
        #[serde(default)]
        digest: String,
        /// What the guards say to it at this moment; `None`: an older supervisor does not tell.
        #[serde(default)]
        offer: Option<Box<Offer>>,
    },
}

/// What became of the site's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationTest {
    /// The program and its arguments.
    pub program: Vec<String>,
    /// It ended with 0.
    pub ok: bool,
    /// How it ended and what it said, or why it was not run.
    pub detail: String,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
}

/// What the guards say to a plan at one moment, so that nothing is offered that they would refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The incident that waits to do it; `None`: none is open.
    pub incident: Option<IncidentId>,
    /// To wbd, which would do it by itself; `None`: nothing stands against it.
    pub by_itself: Option<Refusal>,
    /// To an operator who approves it or runs its playbook; `None`: nothing stands against it.
    pub by_hand: Option<Refusal>,
}

/// How the supervisor was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Units over D-Bus.
    Systemd,
    /// Parent of the agent; no systemd, no bus, no root needed.
    Standalone,
}

impl Mode {
    /// Its name in records, in status and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Standalone => "standalone",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the daemon is. What is fine has no text here; in JSON it stands as an empty one, as it did from the first
/// version on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`crate::report::SCHEMA`].
    pub schema: u32,
    /// Version.
    pub version: String,
    /// How it was started.
    pub mode: Mode,
    /// Process id.
    pub pid: u32,
    /// Milliseconds since it started.
    pub up_ms: u64,
    /// What it may do.
    pub healing: Healing,
    /// Products on this host with a stricter mode of their own.
    #[serde(default)]
    pub healing_of: BTreeMap<String, Healing>,
    /// Who paused it and why.
    #[serde(with = "empty_text")]
    pub hold: Option<String>,
    /// The same in parts: the pause and each hold file.
    #[serde(default)]
    pub holds: Vec<HoldRow>,
    /// Checks that an operator waived, those whose time is over included.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
    /// Why it only observes although it should heal (ledger trouble).
    #[serde(with = "empty_text")]
    pub degraded: Option<String>,
    /// Playbooks that wbd itself suspended.
    pub suspended: Vec<PlaybookName>,
    /// The same in words, a line each: why, and when it is tried once more.
    #[serde(default)]
    pub suspensions: Vec<String>,
    /// Playbooks loaded.
    pub playbooks: usize,
    /// Profiles found on this host.
    pub profiles: Vec<String>,
    /// Last record of the ledger.
    pub ledger_seq: u64,
    /// Why the journal could not be read at the start, so that a ledger whose end was cut off is not told from a whole
    /// one; `None`: it was read.
    #[serde(default, with = "empty_text")]
    pub journal_unread: Option<String>,
    /// Disruptive actions left in this hour.
    pub budget_left_hour: u32,
    /// Disruptive actions left in this day.
    pub budget_left_day: u32,
    /// So many of those in this hour are left to everything else than wbd's own agent; `None`: an older supervisor.
    #[serde(default)]
    pub budget_left_hour_others: Option<u32>,
    /// The same of those in this day.
    #[serde(default)]
    pub budget_left_day_others: Option<u32>,
    /// Open incidents.
    pub open: Vec<IncidentRow>,
    /// Failures that were handed over to a person and not seen gone since: no incident is opened for them, and one that
    /// an operator asked for once more is not among them.
    #[serde(default)]
    pub handed_over: Vec<CheckKey>,
    /// What is due next, a line each, soonest first.
    pub next: Vec<String>,
    /// Escalations that a person was not told of yet, the oldest first.
    #[serde(default)]
    pub untold: Vec<UntoldRow>,
    /// Further ones that were dropped untold because too many waited.
    #[serde(default)]
    pub untold_dropped: u64,
    /// When each check was looked at last; one without a row was not checked yet.
    #[serde(default)]
    pub checks: Vec<CheckedRow>,
    /// wbd's own agent; `None`: an older supervisor does not tell.
    #[serde(default)]
    pub agent: Option<AgentRow>,
    /// Every product that there is a profile for.
    #[serde(default)]
    pub products: Vec<ProductRow>,
}

/// wbd's own agent as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    /// Its process; `None`: none runs.
    pub pid: Option<u32>,
    /// Milliseconds since that process gave its last sign of life; `None`: it gave none.
    pub silent_ms: Option<u64>,
    /// Who stopped it, where an administrator's stop stands.
    pub stopped_by: Option<String>,
}

/// One product that there is a profile for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRow {
    /// The profile's name.
    pub name: ProfileName,
    /// Whether it is on this host.
    pub state: ProductState,
    /// Unix time in milliseconds at which it was seen here first; `None`: it was not.
    pub since: Option<i64>,
    /// Its processes, a line each; else why it is not checked. Empty where there is nothing to say.
    pub detail: Vec<String>,
}

/// Whether a product is on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductState {
    /// It is, and is checked.
    Here,
    /// It is, and an administrator does not want it checked.
    Forgotten,
    /// That cannot be told.
    Unknown,
    /// It is not.
    Absent,
}

impl ProductState {
    /// The word in JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Forgotten => "forgotten",
            Self::Unknown => "unknown",
            Self::Absent => "absent",
        }
    }
}

/// The last complete look of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedRow {
    /// The failure.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
    /// What it says.
    pub verdict: Verdict,
    /// Milliseconds since that look began.
    pub age_ms: u64,
}

/// An escalation that waits to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UntoldRow {
    /// How it is told.
    pub by: NotifyBy,
    /// The incident.
    pub incident: Option<IncidentId>,
    /// The failure.
    pub code: Option<Code>,
    /// Whose.
    pub target: Option<TargetName>,
    /// Unix time in milliseconds at which a person was needed.
    pub since: i64,
    /// Why.
    pub reason: String,
    /// Tries that failed.
    pub tries: u32,
    /// Why the last one failed; empty before the first one ended.
    pub detail: String,
    /// No further try is made.
    pub given_up: bool,
}

/// How a person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyBy {
    /// The site's `on_escalation`.
    Program,
    /// An entry in the journal.
    Journal,
}

impl NotifyBy {
    /// The word in JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Journal => "journal",
        }
    }
}

/// One incident in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRow {
    /// Number.
    pub id: IncidentId,
    /// The failure.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
    /// The playbook.
    pub playbook: PlaybookName,
    /// The case.
    pub case: String,
    /// Where it stands.
    pub phase: Phase,
    /// Unix time in milliseconds at which it was opened.
    pub opened: i64,
    /// Unix time in milliseconds of its last record.
    pub changed: i64,
    /// Actions done for it.
    pub acts: u32,
    /// Which guard holds it.
    pub held: Option<Refusal>,
    /// Steps for a person, once it was handed over.
    pub guide: Vec<String>,
    /// Why a person was notified last: the guard's own words where one refused for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The healing mode, and which products have a stricter one.
#[must_use]
pub fn healing_words(general: Healing, of_products: &BTreeMap<String, Healing>) -> String {
    let own = of_products.iter().map(|(name, healing)| format!("; {} for {name}", healing.as_str()));
    own.fold(general.as_str().to_owned(), |text, own| text + &own)
}

impl IncidentRow {
    /// The failure and whose it is.
    #[must_use]
    pub fn key(&self) -> CheckKey {
        CheckKey { code: self.code.clone(), target: self.target.clone() }
    }
}

/// `None` is an empty text in JSON.
mod empty_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(text: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text.as_deref().unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
        let text = String::deserialize(from)?;
        Ok((!text.is_empty()).then_some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a supervisor of the first version says it, word for word.
    const FIRST: &str = r#"{"schema":1,"version":"0.1.0","mode":"standalone","pid":7,"up_ms":65000,"healing":"observe","hold":"","degraded":"","suspended":[],"playbooks":7,"profiles":["wbd"],"ledger_seq":12,"budget_left_hour":2,"budget_left_day":5,"open":[],"next":[]}"#;

    #[test]
    fn what_is_fine_is_an_empty_text_to_and_from_every_version() {
        let status: Status = serde_json::from_str(FIRST).unwrap();
        assert_eq!((status.mode, status.healing), (Mode::Standalone, Healing::Observe));
        assert_eq!((&status.hold, &status.degraded, &status.journal_unread), (&None, &None, &None));
        let theirs: serde_json::Value = serde_json::from_str(FIRST).unwrap();
        let ours = serde_json::to_value(&status).unwrap();
        for (key, value) in theirs.as_object().unwrap() {
            assert_eq!(ours[key], *value, "{key}");
        }
        assert_eq!(ours["journal_unread"], "");
        // Twin: what is not fine is said.
        let held: Status = serde_json::from_str(&FIRST.replace(r#""hold":"""#, r#""hold":"by root: update""#)).unwrap();
        assert_eq!(held.hold.as_deref(), Some("by root: update"));
        assert_eq!(serde_json::to_value(&held).unwrap()["hold"], "by root: update");
    }

    #[test]
    fn a_playbook_that_is_asked_for_as_before_is_asked_for_with_an_approval() {
        let request: Request = serde_json::from_str(r#"{"run_playbook":{"playbook":"dns","target":null}}"#).unwrap();
        let playbook = PlaybookName::new("dns").unwrap();
        assert_eq!(request, Request::RunPlaybook { playbook, target: None, without_approval: false });
    }
}
