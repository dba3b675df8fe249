//! From the ledger to the supervisor's state, record by record. Decides nothing.
use wbd_model::action::Class;
use wbd_model::check::CheckKey;
use wbd_model::control::Mode;
use wbd_model::entry::{Body, Entry, Exit, Intent};
use wbd_model::incident::{Closing, IncidentId, Phase};

use super::snapshot;
use crate::guard::{breaker, hold, waiver};
use crate::state::{Attempt, DEBIT_LIFE_MS, Debit, Incident, Payer, State};

/// Closed incidents that stay in memory for `incidents list`; the ledger keeps them all.
const CLOSED_KEPT: usize = 50;
/// Exits of this boot that stay in memory.
const EXITS_KEPT: usize = 64;
/// Undoable actions that stay in memory; older ones are found by asking the ledger.
const UNDO_KEPT: usize = 64;

/// Folds a whole ledger.
pub fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> State {
    let mut state = State::default();
    for entry in entries {
        state.apply(entry);
    }
    state
}

impl State {
    /// Adds one record. Debits and attempts of another boot than its own count as made at this boot's start, or at
    /// their own moment where this boot has lasted for so long: two names may be one boot, seen from a service and from
    /// a shell.
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
        self.escalations.forget(|about| {
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
        if matches!(entry.body, Body::Notified { .. }) {
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
        self.escalations.apply(entry);
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
                if intent.action.on_agent().starts() {
                    self.note_life(entry);
                }
                let by_hand = intent.by_hand.is_some();
                if by_hand {
                    self.unresolved.insert(intent.action_id);
                }
                if intent.paid || !by_hand {
                    self.debit(entry, intent);
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
            Body::Started { mode, .. } => self.alone = *mode == Mode::Standalone.as_str(),
            Body::Opened { .. }
            | Body::Suppressed { .. }
            | Body::Unsuppressed {}
            | Body::Closed { .. }
            | Body::Refused(_)
            | Body::Escalated { .. }
            | Body::Notified { .. }
            | Body::Notifier { .. }
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

    /// What the ledger before this one knew, as of now.
    fn take_over(&mut self, entry: &Entry, packed: Option<&serde_json::Value>, debits_ms: &[u64]) {
        if let Some(packed) = packed {
            *self = Self { seq: self.seq, ..snapshot::unpack(packed) };
            self.enter_boot(&entry.at);
        }
        // A record of an older version, or a state that cannot be read: the debits stand beside it.
        if self.debits.len() < debits_ms.len() {
            self.debits = debits_ms.iter().map(|at_ms| Debit { at_ms: *at_ms, payer: Payer::Unknown }).collect();
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

    fn debit(&mut self, entry: &Entry, intent: &Intent) {
        let begins_attempt = intent.step == 0 && intent.undoes.is_none();
        if intent.class >= Class::A2 {
            let payer = Payer::of(&intent.action, entry.subject.target.as_ref());
            self.debits.push(Debit { at_ms: entry.at.boot_ms, payer });
        }
        if let (true, Some(playbook), Some(target)) = (begins_attempt, &entry.subject.playbook, &entry.subject.target) {
            self.attempts.push(Attempt { playbook: playbook.clone(), target: target.clone(), at_ms: entry.at.boot_ms });
        }
    }
}
