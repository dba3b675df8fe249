//! What the supervisor knows: a fold of the ledger and of nothing else. Plain data; how records change it is
//! `replay`'s, what it allows is `guard`'s.
pub mod escalations;
mod incident;
mod pairs;
mod request;
mod suspension;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use wbd_model::action::{Action, Class, Undo};
use wbd_model::check::CheckKey;
use wbd_model::entry::{Exit, ExitHow};
use wbd_model::hold::HostBusy;
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::name::{PlaybookName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::time::{BootId, Now};
use wbd_model::waiver::Waiver;

use escalations::EscalationQueue;
pub use incident::Incident;
pub use request::{ActionRequest, Captured};
pub use suspension::{Suspension, Trial};

/// I3: an action may not begin later than this after its intent. Long enough for a busy disk, short
/// enough that the budget's window is not stretched by much.
pub const START_DEADLINE_MS: u64 = 5_000;
/// A debit is forgotten after this long: the longest window (a day) and the start deadline.
pub const DEBIT_LIFE_MS: u64 = 86_400_000 + START_DEADLINE_MS;

/// One disruptive action that was permitted, on the clock of the newest boot seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Debit {
    /// Milliseconds of the newest boot; see [`State::apply`] for those of earlier ones.
    pub at_ms: u64,
    /// Whose share of the budget it is of.
    #[serde(default)]
    pub payer: Payer,
}

/// Whose share of the budget an action is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// wbd's own agent's.
    Agent,
    /// Everything else's: of the product, or of the host.
    Product(TargetName),
    /// A record of an older version does not say it. It counts among everything else's, and as no product's.
    #[default]
    Unknown,
}

impl Payer {
    /// What an action does says whether it is of the agent's share; the playbook's name does not.
    #[must_use]
    pub fn of(action: &Action, target: Option<&TargetName>) -> Self {
        match target {
            _ if action.on_agent().concerns() => Self::Agent,
            Some(target) => Self::Product(TargetName::new(target.product()).unwrap_or_else(|_| target.clone())),
            None => Self::Unknown,
        }
    }
}

/// An attempt of a playbook on a target, for its own budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The playbook.
    pub playbook: PlaybookName,
    /// The target.
    pub target: TargetName,
    /// Milliseconds of the newest boot; see [`State::apply`] for those of earlier ones.
    pub at_ms: u64,
}

/// An operator's stop, or what the host is busy with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Unix milliseconds until which it holds; `None`: until `resume`.
    pub until_wall_ms: Option<i64>,
    /// Actions of this class and above are held.
    pub from_class: Class,
    /// In this boot it ends at this moment of it (milliseconds) and at no other, whatever the wall clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_boot: Option<(BootId, u64)>,
    /// The host is busy; `None`: a person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<HostBusy>,
}

/// Everything that decides what may be done next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The newest boot seen.
    pub boot: Option<BootId>,
    /// Incidents, open ones and the last closed ones.
    pub incidents: BTreeMap<IncidentId, Incident>,
    /// The open one of each (code, target).
    #[serde(with = "pairs")]
    pub open: BTreeMap<CheckKey, IncidentId>,
    /// Handed over, and the failure not yet seen gone: not opened again meanwhile.
    pub latched: BTreeSet<CheckKey>,
    /// Those of them that an operator denied: `resume` does not open them again.
    pub denied: BTreeSet<CheckKey>,
    /// Disruptive actions within the longest window.
    pub debits: Vec<Debit>,
    /// Attempts within the longest window.
    pub attempts: Vec<Attempt>,
    /// The operator's stop, if one stands.
    pub hold: Option<Hold>,
    /// Hold files that were seen, by path, and what the host was busy with, by name; each stands until it is seen gone.
    pub file_holds: BTreeMap<String, Hold>,
    /// What operators waived, the ones that are over included.
    pub waivers: Vec<Waiver>,
    /// Playbooks that wbd itself stopped.
    pub suspended: BTreeMap<PlaybookName, Suspension>,
    /// Failed verifications in a row, by playbook.
    pub failures: BTreeMap<PlaybookName, u32>,
    /// The supervisor that wrote last is stand-alone: no service manager tells it of ends.
    pub alone: bool,
    /// Exits of watched processes in this boot, oldest first.
    pub exits: VecDeque<(TargetName, u64, Exit)>,
    /// A life of the agent is on record in this boot: it was to be started, or seen to end.
    pub agent_lived: bool,
    /// When the last such record was written, milliseconds of its boot.
    pub lived_ms: u64,
    /// Actions that can be taken back, oldest first.
    pub undoable: VecDeque<(ActionId, Undo)>,
    /// Actions by hand whose outcome is not written yet.
    pub unresolved: BTreeSet<ActionId>,
    /// Escalations that a person was not told of yet.
    #[serde(rename = "telling")]
    pub escalations: EscalationQueue,
    /// Next incident number.
    pub next_incident: u64,
    /// Next action's number.
    pub next_action: u64,
    /// Last record.
    pub seq: u64,
}

impl State {
    /// The record is of a boot with another name. It may be the same boot all the same, and a debit must not grow older
    /// by that: only a clock that went back proves another one.
    pub(crate) fn enter_boot(&mut self, at: &Now) {
        if self.boot.as_ref() == Some(&at.boot) {
            return;
        }
        self.boot = Some(at.boot.clone());
        for debit in &mut self.debits {
            debit.at_ms = seen_from(at, debit.at_ms);
        }
        for attempt in &mut self.attempts {
            attempt.at_ms = seen_from(at, attempt.at_ms);
        }
        for suspension in self.suspended.values_mut() {
            suspension.at_ms = seen_from(at, suspension.at_ms);
        }
        self.exits.clear();
        self.agent_lived &= self.lived_ms <= at.boot_ms;
    }

    /// Whether something was handed over that a `resume` lets wbd try again.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.latched.iter().any(|key| !self.denied.contains(key))
    }

    /// Age of a moment of the newest boot as seen from `now`; of another boot's as [`State::apply`] says.
    #[must_use]
    pub fn age_ms(&self, at_ms: u64, now: &Now) -> u64 {
        let at_ms = if self.boot.as_ref() == Some(&now.boot) { at_ms } else { seen_from(now, at_ms) };
        now.boot_ms.saturating_sub(at_ms)
    }

    /// Whether a life of the agent is on record in the boot of `now`.
    pub(crate) fn has_agent_lived(&self, now: &Now) -> bool {
        self.agent_lived && (self.boot.as_ref() == Some(&now.boot) || self.lived_ms <= now.boot_ms)
    }

    /// The incident that is open for a check.
    #[must_use]
    pub fn open_for(&self, key: &CheckKey) -> Option<&Incident> {
        self.open.get(key).and_then(|id| self.incidents.get(id))
    }

    /// Answer to `exit.last` for a target: exits of this boot, seen by the supervisor. `gone` is the process that wrote
    /// the last health document, where it does not run any more: if its own end is not on record (nobody looked, the
    /// ledger could not be written), an older end says nothing about it. Daemon, doctor and rehearsal have it from here
    /// alone.
    #[must_use]
    pub fn exit_observation(&self, target: &TargetName, now: &Now, gone: Option<u32>) -> Observation {
        const RECENT_MS: u64 = 600_000;
        let mut seen = Observation::default();
        let here = self.boot.as_ref() == Some(&now.boot);
        let exits = || self.exits.iter().filter(|(whose, _, _)| here && whose == target);
        let recent = exits().filter(|(_, at_ms, exit)| !exit.asked && now.boot_ms.saturating_sub(*at_ms) <= RECENT_MS);
        seen.know("recent", i64::try_from(recent.count()).unwrap_or(i64::MAX));
        let is_missed = gone.is_some_and(|pid| !exits().any(|(_, _, exit)| exit.pid == i64::from(pid)));
        match exits().next_back().filter(|_| !is_missed) {
            Some((_, _, exit)) => {
                seen.know("seen", true)
                    .know("how", exit.how.as_str())
                    .know("code", exit.code)
                    .know("asked", exit.asked);
                if exit.how == ExitHow::Unknown && !self.alone {
                    // It may have been an administrator's stop.
                    seen.miss("asked", "the service manager has not told how it ended");
                }
            }
            None => {
                seen.know("seen", false).know("how", "none").know("code", -1).know("asked", false);
            }
        }
        seen
    }
}

/// A moment of a boot with another name: its own, unless this clock has not come to it, which proves an earlier boot.
fn seen_from(now: &Now, at_ms: u64) -> u64 {
    if at_ms <= now.boot_ms { at_ms } else { 0 }
}
