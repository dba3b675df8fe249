//! Escalations that the site's program has not told a person of: a fold of the ledger, and when the next try is
//! due. Runs nothing.
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::time::Now;

/// Escalations that may wait; with more of them the oldest is dropped and counted.
pub const MOST: usize = 64;
/// Tries of one: with the pauses between them about 43 minutes. Then it only stays visible.
pub const TRIES: u32 = 10;
const FIRST_PAUSE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 30 * 60_000;

/// One escalation that nobody was notified of yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Untold {
    /// What it is about.
    pub about: Subject,
    /// When it was written.
    pub at: Now,
    /// Why a person is needed.
    pub reason: String,
    /// Steps for the person.
    pub guide: Vec<String>,
    /// Tries that failed.
    pub tries: u32,
    /// When the last one failed.
    pub last: Option<Now>,
    /// Why it failed.
    pub detail: String,
}

impl Untold {
    /// Several may be written in one moment, but not of one incident.
    fn is(&self, at: &Now, about: &Subject) -> bool {
        self.at == *at && self.about == *about
    }

    /// No further try is made.
    #[must_use]
    pub const fn is_given_up(&self) -> bool {
        self.tries >= TRIES
    }

    /// When the next try is due, milliseconds of this boot; 0: at once. `None`: never.
    #[must_use]
    pub fn due_ms(&self, now: &Now) -> Option<u64> {
        if self.is_given_up() {
            return None;
        }
        let last = self.last.as_ref().filter(|last| last.boot == now.boot);
        Some(last.map_or(0, |last| last.boot_ms.saturating_add(pause_ms(self.tries))))
    }
}

/// The pause after so many failed tries.
fn pause_ms(tries: u32) -> u64 {
    let doublings = tries.saturating_sub(1).min(16);
    (FIRST_PAUSE_MS << doublings).min(LONGEST_PAUSE_MS)
}

/// Who tells, and what waits to be told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct EscalationQueue {
    /// Program and arguments; empty: no program tells, and so nothing waits for it.
    pub program: Vec<String>,
    /// The oldest first.
    pub untold: VecDeque<Untold>,
    /// Escalations that were dropped untold because too many waited.
    pub dropped: u64,
}

impl EscalationQueue {
    /// Adds one record.
    pub fn apply(&mut self, entry: &Entry) {
        if let Body::Escalated { reason, guide } = &entry.body {
            if !self.program.is_empty() {
                self.add(entry, reason, guide);
            }
        } else if let Body::Notified { of, ok: true, .. } = &entry.body {
            self.untold.retain(|untold| !untold.is(of, &entry.subject));
        } else if let Body::Notified { of, ok: false, detail, tries } = &entry.body {
            for untold in self.untold.iter_mut().filter(|untold| untold.is(of, &entry.subject)) {
                untold.tries = *tries;
                untold.last = Some(entry.at.clone());
                untold.detail.clone_from(detail);
            }
        } else if let Body::Notifier { program } = &entry.body {
            self.change(program);
        } else if let Body::Resumed { .. } = &entry.body {
            // A person is here: what could not be told need not be told any more.
            self.untold.retain(|untold| !untold.is_given_up());
            self.dropped = 0;
        }
    }

    fn add(&mut self, entry: &Entry, reason: &str, guide: &[String]) {
        if self.untold.len() >= MOST {
            self.untold.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.untold.push_back(Untold {
            about: entry.subject.clone(),
            at: entry.at.clone(),
            reason: reason.to_owned(),
            guide: guide.to_vec(),
            tries: 0,
            last: None,
            detail: String::new(),
        });
    }

    /// Another program has not failed yet; without one nothing waits.
    fn change(&mut self, program: &[String]) {
        self.program = program.to_vec();
        if program.is_empty() {
            self.untold.clear();
            self.dropped = 0;
        }
        for untold in &mut self.untold {
            untold.tries = 0;
            untold.last = None;
        }
    }

    /// What was given up is forgotten once it needs no person any more.
    pub(crate) fn forget(&mut self, needs_person: impl Fn(&Subject) -> bool) {
        if self.untold.iter().any(Untold::is_given_up) {
            self.untold.retain(|untold| !untold.is_given_up() || needs_person(&untold.about));
        }
    }

    /// The one to be told next and when, milliseconds of this boot.
    #[must_use]
    pub fn next(&self, now: &Now) -> Option<(u64, &Untold)> {
        let due = self.untold.iter().filter_map(|untold| Some((untold.due_ms(now)?, untold)));
        due.min_by_key(|(due_ms, _)| *due_ms)
    }

    /// Those that a try failed for: the ones that an operator should see.
    pub fn failing(&self) -> impl Iterator<Item = &Untold> {
        self.untold.iter().filter(|untold| untold.tries > 0)
    }
}

#[cfg(test)]
#[path = "escalations_tests.rs"]
mod tests;
