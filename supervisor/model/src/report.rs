//! What doctor and status show: a fold, never a source.
use serde::{Deserialize, Serialize};

use crate::action::{Change, Class};
use crate::check::Verdict;
use crate::hold::HoldRow;
use crate::incident::IncidentId;
use crate::name::{Code, PlaybookName, TargetName};
use crate::plan::Approval;
use crate::waiver::{Standing, Waiver};

/// The schema number of every JSON answer; it grows only when a key changes its meaning.
pub const SCHEMA: u32 = 1;

/// Doctor's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The release of wbd that looked; empty in a report of an older one.
    #[serde(default)]
    pub version: String,
    /// Host name.
    pub host: String,
    /// Unix time in milliseconds at which looking began.
    pub started: i64,
    /// How long looking took.
    pub duration_ms: u64,
    /// The whole in one word.
    pub verdict: Overall,
    /// Whether wbd's own agent detects web shells on this host; `None`: there is no agent of wbd here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    /// Causes, worst first.
    pub causes: Vec<Cause>,
    /// Every check, but for those that are waived.
    pub checks: Vec<CheckRow>,
    /// Checks of which doctor and the supervisor say different things; the worse view counts in `checks`.
    #[serde(default)]
    pub differing: Vec<Differing>,
    /// Waivers with what they cover; what is waived counts nowhere else.
    #[serde(default)]
    pub waived: Vec<WaivedRow>,
    /// Why waivers could not be read; then everything counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waivers_unread: Option<String>,
    /// What holds actions back because a person said so.
    #[serde(default)]
    pub holds: Vec<HoldRow>,
    /// What was learned from the daemon and how old that is; `None`: not reached.
    pub daemon: Option<DaemonView>,
}

/// Whether wbd's own agent detects web shells on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// In one word.
    pub state: ProtectionState,
    /// Registered targets; `None`: not known.
    pub targets: Option<u64>,
    /// Folders that are watched; `None`: not known.
    pub folders: Option<u64>,
    /// Since when it is off, as Unix time in milliseconds; `None`: not known.
    pub since: Option<i64>,
    /// Why it is not on, in words; empty where it is on.
    pub why: String,
}

/// Protection in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtectionState {
    /// The agent watches the folders of its targets.
    On,
    /// It does not.
    Off,
    /// It could not be seen.
    Unknown,
    /// wbd.yaml says that this host needs no agent of wbd.
    NotExpected,
}

/// The whole in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Nothing found.
    Ok,
    /// Warnings.
    Warn,
    /// Failures.
    Fail,
    /// Something that matters could be seen by nobody, and nothing worse was found.
    Unknown,
}

impl Overall {
    /// Doctor's exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warn => 1,
            Self::Fail => 2,
            Self::Unknown => 3,
        }
    }
}

/// One cause with what it explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The documented failure.
    pub code: Code,
    /// `fail` or `warn`.
    pub severity: Verdict,
    /// Whose.
    pub target: TargetName,
    /// What findings have in common that one cause made: `PLAYBOOK/CASE`; `None`: this one stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its name.
    pub title: String,
    /// What is claimed, with this host's values.
    pub claim: String,
    /// What was seen, by the names that playbooks use: value against limit, file:line, since when.
    pub evidence: Vec<String>,
    /// The same in words; empty where the evidence is in words already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// Codes of the failures that it makes others look like.
    pub explains: Vec<Code>,
    /// Its open incident, where the supervisor says that there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<OpenIncident>,
    /// What wbd would do.
    pub fix: Option<Fix>,
    /// What a person can do.
    pub guide: Vec<String>,
}

/// The open incident of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIncident {
    /// Which.
    pub id: IncidentId,
    /// Since when, as Unix time in milliseconds.
    pub since: i64,
    /// Where it stands, in words.
    pub stands: String,
}

impl Cause {
    /// What was seen, for people.
    #[must_use]
    pub fn in_words(&self) -> &[String] {
        if self.seen.is_empty() { &self.evidence } else { &self.seen }
    }

    /// Adds what is known beside the facts.
    pub fn add(&mut self, line: String) {
        if !self.seen.is_empty() || self.evidence.is_empty() {
            self.seen.push(line.clone());
        }
        self.evidence.push(line);
    }
}

/// A fix as doctor shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// The playbook.
    pub playbook: PlaybookName,
    /// Who has to approve.
    pub approval: Approval,
    /// Its risk.
    pub class: Class,
    /// What would be done, a line each.
    pub plan: Vec<String>,
    /// What that changes, before and after; filled where it was asked for (`--dry-run`) and the supervisor could tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Why wbd does not do it, though it knows how; then the steps for a person are what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// The command that has it done, where it takes one: the guards were asked and would not refuse it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Which guard would refuse it now, why, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRow {
    /// The documented failure it looks for.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
    /// What it says.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// How long looking took.
    pub duration_ms: u64,
    /// It is unknown although all was seen: what was seen fits no case that tells more, and is not healthy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unclear: bool,
}

/// A check of which doctor and the supervisor say different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// The documented failure.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
    /// What doctor says.
    pub here: OneView,
    /// What the supervisor says, which looked again.
    pub supervisor: OneView,
    /// How long ago it looked; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_age_ms: Option<u64>,
    /// Why it did not look again; `None`: it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<String>,
}

/// What one of the two says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneView {
    /// What it says.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
}

/// A waiver and the checks that it takes out of judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaivedRow {
    /// The waiver.
    pub waiver: Waiver,
    /// Whether it still covers anything.
    pub standing: Standing,
    /// What it covers, each with its real verdict; empty once it is over.
    pub checks: Vec<CheckRow>,
}

/// What the daemon said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonView {
    /// Its release; empty if an older one does not say.
    #[serde(default)]
    pub version: String,
    /// Age of its last look in milliseconds.
    pub age_ms: u64,
    /// Healing mode and what holds it, in words.
    pub healing: String,
}
