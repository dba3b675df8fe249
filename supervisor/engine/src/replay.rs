//! The supervisor's state: a fold of the ledger and of nothing else.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use wbd_model::action::{Action, Class, Undo};
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Exit};
use wbd_model::incident::{ActionId, Closing, IncidentId, Phase};
use wbd_model::name::{PlaybookName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::time::{BootId, Now};
use wbd_model::waiver::Waiver;

use crate::breaker::{self, Suspension};
use crate::carry;
use crate::incident::Incident;
use crate::telling::Telling;
use crate::{hold, waiver};

/// Closed incidents that stay in memory for `incidents list`; the ledger keeps them all.
const CLOSED_KEPT: usize = 50;
/// Exits of this boot that stay in memory.
const EXITS_KEPT: usize = 64;
/// Undoable deeds that stay in memory; older ones are found by asking the ledger.
const UNDO_KEPT: usize = 64;
/// A debit is forgotten after this long: the longest window (a day) and the start deadline.
pub const DEBIT_LIFE_MS: u64 = 86_400_000 + crate::guard::START_DEADLINE_MS;

/// One disruptive deed that was permitted, on the clock of the newest boot seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Debit {
    /// Milliseconds of the newest boot; see [`State::apply`] for those of earlier ones.
    pub at_ms: u64,
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

/// An operator's stop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Unix milliseconds until which it holds; `None`: until `resume`.
    pub until_wall_ms: Option<i64>,
    /// Deeds of this class and above are held.
    pub from_class: Class,
    /// In this boot it ends at this moment of it (milliseconds) and at no other, whatever the wall clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_boot: Option<(BootId, u64)>,
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
    #[serde(with = "carry::pairs")]
    pub open: BTreeMap<CheckKey, IncidentId>,
    /// Handed over, and the failure not yet seen gone: not opened again meanwhile.
    pub latched: BTreeSet<CheckKey>,
    /// Those of them that an operator said no to: `resume` does not open them again.
    pub denied: BTreeSet<CheckKey>,
    /// Disruptive deeds within the longest window.
    pub debits: Vec<Debit>,
    /// Attempts within the longest window.
    pub attempts: Vec<Attempt>,
    /// The operator's stop, if one stands.
    pub hold: Option<Hold>,
    /// Hold files that were seen, by path; each stands until it is seen gone.
    pub file_holds: BTreeMap<String, Hold>,
    /// What operators waived, the ones that are over included.
    pub waivers: Vec<Waiver>,
    /// Playbooks that wbd itself stopped.
    pub suspended: BTreeMap<PlaybookName, Suspension>,
    /// Failed verifications in a row, by playbook.
    pub failures: BTreeMap<PlaybookName, u32>,
    /// Exits of watched processes in this boot, oldest first.
    pub exits: VecDeque<(TargetName, u64, Exit)>,
    /// A life of the agent is on record in this boot: it was to be started, or seen to end.
    pub agent_lived: bool,
    /// When the last such record was written, milliseconds of its boot.
    pub lived_ms: u64,
    /// Deeds that can be taken back, oldest first.
    pub undoable: VecDeque<(ActionId, Undo)>,
    /// Deeds by hand whose outcome is not written yet.
    pub unresolved: BTreeSet<ActionId>,
    /// Escalations that a person was not told of yet.
    pub telling: Telling,
    /// Next incident number.
    pub next_incident: u64,
    /// Next deed's number.
    pub next_action: u64,
    /// Last record.
    pub seq: u64,
}

/// Folds a whole ledger.
pub fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> State {
    let mut state = State::default();
    for entry in entries {
        state.apply(entry);
    }
    state
}

impl State {
    /// Adds one record. Debits and attempts of another boot than its own count as made at this boot's start, or at their own
    /// moment where this boot has lasted for so long: two names may be one boot, seen from a service and from a shell.
    pub fn apply(&mut self, entry: &Entry) {
        self.enter_boot(&entry.at);
        self.forget_old(entry.at.boot_ms);
        self.seq = entry.seq;
        self.next_incident = self.next_incident.max(1);
        self.next_action = self.next_action.max(1);
        self.apply_host_wide(entry);
        self.apply_to_incident(entry);
        self.forget_untold();
    }

    /// What could not be told stays visible for as long as it needs a person.
    fn forget_untold(&mut self) {
        let (incidents, latched) = (&self.incidents, &self.latched);
        self.telling.forget(|about| {
            let open = about.incident.and_then(|id| incidents.get(&id)).is_some_and(|incident| !incident.is_closed());
            let (code, target) = (about.code.clone(), about.target.clone());
            let key = code.zip(target).map(|(code, target)| CheckKey { code, target });
            open || key.is_some_and(|key| latched.contains(&key))
        });
    }

    fn apply_to_incident(&mut self, entry: &Entry) {
        let Some(id) = entry.subject.incident else { return };
        self.next_incident = self.next_incident.max(id.0 + 1);
        // It may come long after the end, and must not latch again what was seen to be gone.
        if matches!(entry.body, Body::Told { .. }) {
            return;
        }
        if let Body::Opened { .. } = &entry.body {
            if let Some(incident) = Incident::opened(id, entry) {
                // Latched and opened all the same: an operator asked for it by hand.
                self.denied.remove(&incident.key);
                self.open.insert(incident.key.clone(), id);
                self.incidents.insert(id, incident);
            }
            return;
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.apply(entry);
        if let Phase::Closed { how } = incident.phase {
            let key = incident.key.clone();
            if self.open.get(&key) == Some(&id) {
                self.open.remove(&key);
            }
            if how == Closing::HandedOver {
                if incident.denied.is_some() {
                    self.denied.insert(key.clone());
                }
                self.latched.insert(key);
            }
            self.forget_closed();
        }
    }

    /// The record is of a boot with another name. It may be the same boot all the same, and a debit must not grow older by
    /// that: only a clock that went back proves another one.
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

    fn forget_old(&mut self, boot_ms: u64) {
        self.debits.retain(|debit| boot_ms.saturating_sub(debit.at_ms) <= DEBIT_LIFE_MS);
        self.attempts.retain(|attempt| boot_ms.saturating_sub(attempt.at_ms) <= DEBIT_LIFE_MS);
    }

    fn forget_closed(&mut self) {
        let closed: Vec<IncidentId> =
            self.incidents.values().filter(|incident| incident.is_closed()).map(|incident| incident.id).collect();
        for id in closed.iter().take(closed.len().saturating_sub(CLOSED_KEPT)) {
            self.incidents.remove(id);
        }
    }

    fn apply_host_wide(&mut self, entry: &Entry) {
        let subject = &entry.subject;
        self.telling.apply(entry);
        breaker::apply(self, entry);
        match &entry.body {
            Body::Intent(intent) => {
                self.next_action = self.next_action.max(intent.action_id.0 + 1);
                if let Some(undone) = intent.undoes {
                    self.undoable.retain(|(id, _)| *id != undone);
                }
                if let Some(undo) = &intent.undo {
                    self.undoable.push_back((intent.action_id, undo.clone()));
                    if self.undoable.len() > UNDO_KEPT {
                        self.undoable.pop_front();
                    }
                }
                if matches!(intent.action, Action::AgentStart {} | Action::AgentRestart {}) {
                    self.note_life(entry);
                }
                let by_hand = intent.by_hand.is_some();
                if by_hand {
                    self.unresolved.insert(intent.action_id);
                }
                if intent.paid || !by_hand {
                    self.debit(entry, intent.class, intent.step == 0 && intent.undoes.is_none());
                }
            }
            Body::Outcome { action, .. } => {
                self.unresolved.remove(action);
            }
            Body::Verdict { passed, .. } => {
                if let Some(playbook) = &subject.playbook {
                    if *passed {
                        self.failures.remove(playbook);
                    } else {
                        let count = self.failures.entry(playbook.clone()).or_default();
                        *count = count.saturating_add(1);
                    }
                }
            }
            Body::Cleared {} => {
                if let (Some(code), Some(target)) = (&subject.code, &subject.target) {
                    self.seen_gone(&CheckKey { code: code.clone(), target: target.clone() });
                }
            }
            Body::Hold { .. } | Body::Lifted { .. } => hold::apply(self, entry),
            Body::Waived { .. } => waiver::apply(self, entry),
            Body::Resumed { .. } => {
                self.suspended.clear();
                self.failures.clear();
                self.latched.retain(|key| self.denied.contains(key));
            }
            Body::Exit(exit) => self.ended(entry, exit),
            Body::Rotated { debits_ms, next_incident, next_action, state, .. } => {
                self.take_over(entry, state.as_deref(), debits_ms);
                self.next_incident = self.next_incident.max(*next_incident).max(1);
                self.next_action = self.next_action.max(*next_action).max(1);
            }
            Body::Started { .. }
            | Body::Opened { .. }
            | Body::Suppressed { .. }
            | Body::Unsuppressed {}
            | Body::Closed { .. }
            | Body::Refused(_)
            | Body::Escalated { .. }
            | Body::Told { .. }
            | Body::Teller { .. }
            | Body::Approved { .. }
            | Body::Denied { .. }
            | Body::Suspended { .. }
            | Body::Rearmed {}
            | Body::Manual { .. } => {}
        }
    }

    /// A failure that had been handed over is gone: the next one is another question.
    pub(crate) fn seen_gone(&mut self, key: &CheckKey) {
        self.latched.remove(key);
        self.denied.remove(key);
    }

    /// Whether something was handed over that a `resume` lets wbd try again.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.latched.iter().any(|key| !self.denied.contains(key))
    }

    /// What the ledger before this one knew, as of now.
    fn take_over(&mut self, entry: &Entry, packed: Option<&serde_json::Value>, debits_ms: &[u64]) {
        if let Some(packed) = packed {
            *self = Self { seq: self.seq, ..carry::unpack(packed) };
            self.enter_boot(&entry.at);
        }
        // A record of an older version, or a state that cannot be read: the debits stand beside it.
        if self.debits.len() < debits_ms.len() {
            self.debits = debits_ms.iter().map(|at_ms| Debit { at_ms: *at_ms }).collect();
        }
        self.forget_old(entry.at.boot_ms);
    }

    fn note_life(&mut self, entry: &Entry) {
        self.agent_lived = true;
        self.lived_ms = entry.at.boot_ms;
    }

    /// A watched process ended.
    fn ended(&mut self, entry: &Entry, exit: &Exit) {
        let Some(target) = &entry.subject.target else { return };
        self.note_life(entry);
        self.exits.push_back((target.clone(), entry.at.boot_ms, exit.clone()));
        if self.exits.len() > EXITS_KEPT {
            self.exits.pop_front();
        }
    }

    fn debit(&mut self, entry: &Entry, class: Class, begins_attempt: bool) {
        if class >= Class::A2 {
            self.debits.push(Debit { at_ms: entry.at.boot_ms });
        }
        if let (true, Some(playbook), Some(target)) = (begins_attempt, &entry.subject.playbook, &entry.subject.target) {
            self.attempts.push(Attempt { playbook: playbook.clone(), target: target.clone(), at_ms: entry.at.boot_ms });
        }
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

    /// Answer to `exit.last` for a target: exits of this boot, seen by the supervisor. `gone` is the process that wrote the
    /// last health document, where it does not run any more: if its own end is not on record (nobody looked, the ledger
    /// could not be written), an older end says nothing about it.
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
