//! The ledger of the model and the state folded from it: what is on disk, what waits while the disk is full,
//! and the restarts of the reserve (I17). Decides nothing.
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use wbd_engine::replay::snapshot;
use wbd_engine::state::{Incident, State};
use wbd_model::action::Action;
use wbd_model::entry::{Body, Entry, Intent, Outcome, Subject};
use wbd_model::incident::IncidentId;
use wbd_model::time::Now;

use crate::mutant::{self, Mutant};

/// Restarts that are set aside, as shipped.
const RESERVE: usize = 2;

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    OnDisk,
    /// Only a mutant goes on with this one.
    InMemory,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Book {
    pub(crate) state: Arc<State>,
    /// What a restart would read, where that is less.
    durable: Option<Arc<State>>,
    waiting: Vec<Entry>,
    reserve: Vec<(Subject, Intent)>,
}

impl Book {
    pub(crate) fn of(state: State) -> Self {
        Self { state: Arc::new(state), durable: None, waiting: Vec::new(), reserve: Vec::new() }
    }

    pub(crate) fn degraded(&self) -> bool {
        self.durable.is_some()
    }

    /// I17: without a ledger only restarts, and only from the reserve.
    pub(crate) fn forbids(&self, action: &Action) -> bool {
        let restarts = action.on_agent().starts();
        self.degraded() && (!restarts || self.reserve.len() >= RESERVE)
    }

    pub(crate) fn append(&mut self, mutant: Option<Mutant>, disk_full: bool, entry: &Entry) {
        if disk_full || self.degraded() {
            self.degrade();
            self.waiting.push(entry.clone());
        }
        self.fold(mutant, entry);
    }

    /// Writes an intent; `None` if it cannot be made durable.
    pub(crate) fn record(&mut self, mutant: Option<Mutant>, disk_full: bool, entry: &Entry) -> Option<Record> {
        let Body::Intent(intent) = &entry.body else { return None };
        if self.degraded() && !self.forbids(&intent.action) {
            self.reserve.push((entry.subject.clone(), intent.as_ref().clone()));
            self.fold(mutant, entry);
            return Some(Record::OnDisk);
        }
        if !disk_full && !self.degraded() {
            self.fold(mutant, entry);
            return Some(Record::OnDisk);
        }
        self.degrade();
        (mutant == Some(Mutant::NoIntent)).then(|| {
            self.waiting.push(entry.clone());
            self.fold(mutant, entry);
            Record::InMemory
        })
    }

    /// The disk has room again: the reserve is taken in as of now, then what waited.
    pub(crate) fn retry(&mut self, mutant: Option<Mutant>, now: &Now) {
        let Some(durable) = self.durable.take() else { return };
        self.state = durable;
        self.adopt(mutant, now);
        self.reserve.clear();
        for entry in std::mem::take(&mut self.waiting) {
            self.fold(mutant, &entry);
        }
    }

    /// Everything volatile is lost. The restarts of the reserve are on disk and count.
    pub(crate) fn reopen(&mut self, mutant: Option<Mutant>, now: &Now) {
        self.waiting.clear();
        if mutant == Some(Mutant::EmptyStart) && !self.reserve.is_empty() {
            self.state = Arc::default();
        } else if let Some(durable) = &self.durable {
            self.state = Arc::clone(durable);
            self.adopt(mutant, now);
        }
    }

    /// A new file: what is known goes through its first record.
    pub(crate) fn rotate(&mut self, mutant: Option<Mutant>, now: &Now) {
        let mut packed = snapshot::pack(&self.state, snapshot::MOST_BYTES).unwrap();
        let mut debits_ms: Vec<u64> = self.state.debits.iter().map(|debit| debit.at_ms).collect();
        if let Some(Mutant::RotationForgets(part)) = mutant {
            packed.as_object_mut().unwrap().remove(part).unwrap();
            debits_ms.retain(|_| part != "debits");
        }
        let (next_incident, next_action) = (self.state.next_incident, self.state.next_action);
        let body = Body::Rotated {
            old_head: String::new(),
            old_seq: 0,
            file: String::new(),
            reason: String::new(),
            who: String::new(),
            debits_ms,
            next_incident,
            next_action,
            state: Some(packed),
        };
        self.state = Arc::default();
        self.fold(mutant, &entry(now, Subject::default(), body));
    }

    /// A mutant's own change of what is remembered, on disk too.
    pub(crate) fn tamper(&mut self, change: impl Fn(&mut State)) {
        change(Arc::make_mut(&mut self.state));
        self.durable.iter_mut().for_each(|durable| change(Arc::make_mut(durable)));
    }

    pub(crate) fn is_on_disk(&self, incident: IncidentId) -> bool {
        self.durable.as_ref().unwrap_or(&self.state).incidents.contains_key(&incident)
    }

    fn degrade(&mut self) {
        let state = &self.state;
        self.durable.get_or_insert_with(|| Arc::clone(state));
    }

    fn adopt(&mut self, mutant: Option<Mutant>, now: &Now) {
        for (subject, intent) in self.reserve.clone() {
            let action = intent.action_id;
            let unknown = Body::Outcome { action, result: Outcome::Unknown, detail: String::new(), took_ms: 0 };
            self.fold(mutant, &entry(now, subject.clone(), Body::Intent(Box::new(intent))));
            self.fold(mutant, &entry(now, subject, unknown));
        }
    }

    fn fold(&mut self, mutant: Option<Mutant>, entry: &Entry) {
        let state = Arc::make_mut(&mut self.state);
        mutant::apply(mutant, state, entry);
        // None of these decides anything (I13 for the wall clock); they would only tell equal states apart.
        state.seq = 0;
        if let Some(incident) = entry.subject.incident.and_then(|id| state.incidents.get_mut(&id)) {
            // Which boot it was does: what a refusal names as "until when" is of that boot.
            incident.changed.boot_ms = 0;
            without_wall(incident, 0);
        }
    }
}

impl Hash for Book {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
        self.durable.hash(hasher);
        for (subject, intent) in &self.reserve {
            (subject.incident, intent).hash(hasher);
        }
        for entry in &self.waiting {
            (entry.subject.incident, &entry.at, format!("{:?}", entry.body)).hash(hasher);
        }
    }
}

/// Sets every stored moment of the wall clock.
pub(crate) fn without_wall(incident: &mut Incident, wall_ms: i64) {
    for at in [&mut incident.opened, &mut incident.changed, &mut incident.since] {
        at.wall_ms = wall_ms;
    }
}

/// A record; the chain itself is the ledger's own matter.
pub(crate) fn entry(now: &Now, subject: Subject, body: Body) -> Entry {
    Entry { seq: 0, at: now.clone(), subject, body, prev: String::new(), hash: String::new() }
}
