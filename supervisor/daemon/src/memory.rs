//! The ledger as the loop uses it: every record is on disk before it counts. While the ledger cannot be
//! used, records wait in memory and nothing but a few restarts from the reserve can be done (I17).
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tracing::{error, info, warn};
use wbd_engine::guard::Permit;
use wbd_engine::replay::{Hold, State};
use wbd_ledger::{Anchor, Carry, Filter, Ledger, LedgerError, Recorded, Rotation, Standing};
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::time::Now;

/// Records between two anchors in the journal.
const ANCHOR_EVERY: u64 = 16;
/// Records that wait while the ledger cannot be written; further ones are only counted.
const WAITING: usize = 512;

/// The ledger and the state that is replayed from it.
#[derive(Debug)]
pub(crate) struct Memory {
    ledger: Ledger,
    root: PathBuf,
    /// A fold of the ledger, and of the records that wait for it.
    pub(crate) state: State,
    /// Why nothing can be written, and therefore nothing done; empty if all is well.
    pub(crate) degraded: String,
    /// The head that the journal has seen last.
    anchor: Option<Anchor>,
    news: Vec<Entry>,
    waiting: VecDeque<(Now, Subject, Body)>,
    lost: u64,
}

impl Memory {
    /// Opens the ledger of a root. One that does not verify is left as it is: then the supervisor only looks.
    ///
    /// # Errors
    /// Another supervisor works on this state folder, or the folder cannot be used at all.
    pub(crate) fn open(root: &Path) -> Result<Self, LedgerError> {
        let host = wbd_ledger::host_id(root);
        let anchor = wbd_ledger::last_anchor(root);
        let ledger = Ledger::open(&wbd_ledger::state_dir(root), host.as_deref(), anchor.as_ref())?;
        let mut memory = Self {
            ledger,
            root: root.to_owned(),
            state: State::default(),
            degraded: String::new(),
            anchor,
            news: Vec::new(),
            waiting: VecDeque::new(),
            lost: 0,
        };
        memory.take_standing();
        Ok(memory)
    }

    /// Reads the state where the ledger is sound; else says why it is not.
    fn take_standing(&mut self) {
        self.degraded = match self.ledger.standing() {
            Standing::Sound => match self.replay() {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            },
            Standing::Foreign => "the ledger was begun on another host".to_owned(),
            Standing::Broken(bad) => format!("the ledger does not verify at record {}: {}", bad.seq, bad.what),
            Standing::Unusable(why) => format!("the ledger cannot be used: {why}"),
        };
        if self.degraded.is_empty() {
            self.flush();
        } else {
            error!(reason = self.degraded, "looking only: nothing but a few restarts can be done");
        }
    }

    fn replay(&mut self) -> Result<(), LedgerError> {
        let mut state = State::default();
        self.ledger.each(&Filter::default(), |entry| {
            state.apply(&entry);
            ControlFlow::Continue(())
        })?;
        for entry in self.ledger.adopt_reserve(&wbd_probes::clock::now())? {
            state.apply(&entry);
        }
        self.state = state;
        Ok(())
    }

    fn flush(&mut self) {
        while let Some((at, subject, body)) = self.waiting.pop_front() {
            match self.ledger.append(&at, subject.clone(), body.clone()) {
                Ok(entry) => self.state.apply(&entry),
                Err(error) => {
                    self.waiting.push_front((at, subject, body));
                    self.degrade(&error);
                    return;
                }
            }
        }
        if self.lost > 0 {
            warn!(lost = self.lost, "records were lost while the ledger could not be written");
            self.lost = 0;
        }
    }

    fn degrade(&mut self, error: &LedgerError) {
        error!(%error, "the ledger cannot be written: looking only");
        self.degraded = error.to_string();
    }

    /// Writes a record, durable before it counts. While the ledger cannot be used it waits in memory.
    pub(crate) fn write(&mut self, now: &Now, subject: Subject, body: Body) {
        if self.degraded.is_empty() {
            match self.ledger.append(now, subject.clone(), body.clone()) {
                Ok(entry) => {
                    self.count(entry);
                    return;
                }
                Err(error) => self.degrade(&error),
            }
        }
        if self.waiting.len() < WAITING {
            self.waiting.push_back((now.clone(), subject.clone(), body.clone()));
        } else {
            self.lost += 1;
        }
        let seq = self.state.seq + 1;
        let entry = Entry { seq, at: now.clone(), subject, body, prev: String::new(), hash: String::new() };
        self.state.apply(&entry);
        self.news.push(entry);
    }

    fn count(&mut self, entry: Entry) {
        self.state.apply(&entry);
        self.news.push(entry);
        if self.state.seq >= self.anchor.as_ref().map_or(0, |anchor| anchor.seq) + ANCHOR_EVERY {
            self.anchor_head();
        }
    }

    /// Writes an intent; only what comes back can act. While the ledger cannot be used: from the reserve.
    ///
    /// # Errors
    /// In words, why nothing can be done.
    pub(crate) fn record(&mut self, now: &Now, permit: Permit) -> Result<Recorded, String> {
        let recorded = if self.degraded.is_empty() {
            self.ledger.record(permit, now).inspect_err(|error| self.degraded = error.to_string())
        } else {
            self.ledger.record_in_reserve(permit, now)
        };
        let recorded = recorded.map_err(|error| error.to_string())?;
        self.count(recorded.entry().clone());
        Ok(recorded)
    }

    /// Restarts of the agent that the reserve still holds.
    pub(crate) fn reserve_left(&self) -> usize {
        self.ledger.reserve_left()
    }

    /// Records written since the last call.
    pub(crate) fn take_news(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.news)
    }

    /// Tries again where the ledger could not be used (a full disk has room again).
    pub(crate) fn retry(&mut self) {
        if self.degraded.is_empty() {
            return;
        }
        if *self.ledger.reopen(self.anchor.as_ref()) == Standing::Sound {
            self.take_standing();
            if self.degraded.is_empty() {
                info!("the ledger can be used again");
            }
        }
    }

    /// Sets the ledger aside and starts a new one that names the old head.
    ///
    /// # Errors
    /// The new file cannot be made.
    pub(crate) fn rotate(&mut self, now: &Now, reason: &str, who: &str) -> Result<(), LedgerError> {
        let rotation = Rotation {
            reason: reason.to_owned(),
            who: who.to_owned(),
            carry: Carry {
                debits_ms: self.state.debits.iter().map(|debit| debit.at_ms).collect(),
                next_incident: self.state.next_incident,
                next_action: self.state.next_action,
            },
            anchor: self.anchor.take(),
        };
        let (hold, suspended) = (self.state.hold.clone(), self.state.suspended.clone());
        self.ledger.rotate(now, &rotation)?;
        self.take_standing();
        // A new file is no way around an operator's word.
        if let Some(Hold { who, why, until_wall_ms, from_class }) = hold {
            self.write(now, Subject::default(), Body::Hold { who, why, until_wall_ms, from_class });
        }
        for (playbook, reason) in suspended {
            let about = Subject { playbook: Some(playbook), ..Subject::default() };
            self.write(now, about, Body::Suspended { reason });
        }
        self.anchor_head();
        Ok(())
    }

    /// Begins a new file where this one is full or a year old.
    pub(crate) fn rotate_if_due(&mut self, now: &Now) {
        let Some(reason) = self.ledger.rotation_due(now).filter(|_| self.degraded.is_empty()) else { return };
        if let Err(error) = self.rotate(now, reason, "wbd") {
            warn!(%error, "the ledger is not rotated");
        }
    }

    /// Anchors the head in the journal, out of reach of whoever can write the ledger's folder only.
    pub(crate) fn anchor_head(&mut self) {
        let Some((seq, hash)) = self.ledger.head() else { return };
        if self.anchor.as_ref().is_some_and(|anchor| anchor.seq == seq) {
            return;
        }
        // Stand-alone there may be no journal; `ledger verify` then says "no anchor".
        if wbd_ledger::send_anchor(&self.root, seq, hash).is_ok() {
            self.anchor = Some(Anchor { seq, hash: hash.to_owned() });
        }
    }
}
