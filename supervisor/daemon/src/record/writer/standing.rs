//! What a ledger that was just opened is good for: the state is read from it, and what waited meanwhile follows in its
//! place. Acts on nothing.
use std::ops::ControlFlow;

use tracing::{error, warn};
use wbd_engine::state::State;
use wbd_ledger::{Filter, LedgerError, Reader, Standing};
use wbd_model::entry::{Body, Entry, Intent, Subject};
use wbd_model::time::Now;

use super::{LedgerWriter, MOST_RECORDS, unwritten};

impl LedgerWriter {
    /// What stands before the first bad record is sound: a pause in it still holds, a debit in it still counts.
    pub(super) fn replay_until(&mut self, bad: u64) {
        let mut state = State::default();
        // A file that cannot be read at all tells nothing, and the state stays empty.
        let _ = self.ledger.each(&Filter::default(), |entry| {
            if entry.seq >= bad {
                return ControlFlow::Break(());
            }
            state.apply(&entry);
            ControlFlow::Continue(())
        });
        // Numbers that the rest of the file may have used are not used again; none is above its record's.
        let last = Reader::open(&wbd_ledger::state_dir(&self.root)).and_then(|reader| reader.head());
        let last = last.ok().flatten().map_or(0, |(seq, _)| seq).min(state.seq + MOST_RECORDS);
        state.next_incident = state.next_incident.max(last + 1);
        state.next_action = state.next_action.max(last + 1);
        self.state = state;
    }

    /// Reads the state where the ledger is sound; else says why it is not.
    pub(super) fn take_standing(&mut self) {
        let before = std::mem::take(&mut self.degraded);
        self.degraded = match self.ledger.standing() {
            Standing::Sound => match self.replay() {
                Ok(last) => {
                    self.on_disk = None;
                    self.drop_written(last.as_ref());
                    String::new()
                }
                Err(error) => error.to_string(),
            },
            Standing::Foreign => "the ledger was begun on another host".to_owned(),
            Standing::Broken(bad) => format!(
                "the ledger does not verify at record {}: {}; set it aside: wbdctl ledger rotate --reason <why>",
                bad.seq, bad.what
            ),
            Standing::Unusable(why) => format!("the ledger cannot be used: {why}"),
        };
        if self.degraded.is_empty() {
            // The chain holds them all, and what is written from now on is known by itself.
            self.anchors.heads.clear();
            self.note_written();
            self.flush();
        } else {
            self.part_from_disk();
            if self.degraded != before {
                error!(
                    WBD_CODE = "WBD-DEGRADED",
                    "{}; wbd checks and does nothing but restart the agent twice at most", self.degraded
                );
            }
        }
    }

    /// Reads the state; gives the last record.
    fn replay(&mut self) -> Result<Option<Entry>, LedgerError> {
        let mut state = State::default();
        let mut last = None;
        self.ledger.each(&Filter::default(), |entry| {
            state.apply(&entry);
            last = Some(entry);
            ControlFlow::Continue(())
        })?;
        let own: Vec<Intent> = self.waiting.iter().filter_map(|(_, _, body)| reserved(body).cloned()).collect();
        let is_open = |id| state.incidents.get(&id).is_some_and(|incident| !incident.is_closed());
        match self.ledger.adopt_reserve(&wbd_probes::clock::now(), &own, is_open) {
            Ok(adopted) => adopted.iter().for_each(|entry| state.apply(entry)),
            Err(error) => {
                self.begin_with_reserve(state);
                return Err(error);
            }
        }
        self.state = state;
        Ok(last)
    }

    /// The disk is still full at a start: what the ledger and the reserve hold counts all the same. Later on the
    /// state in memory knows more.
    fn begin_with_reserve(&mut self, mut state: State) {
        if self.state != State::default() {
            return;
        }
        self.on_disk = Some(Box::new(state.clone()));
        for used in self.ledger.reserved() {
            let (prev, hash) = (String::new(), String::new());
            let body = Body::Intent(Box::new(used.intent));
            state.apply(&Entry { seq: state.seq, at: used.at, subject: used.subject, body, prev, hash });
        }
        self.state = state;
    }

    /// A write that was answered by an error may have reached the file all the same; it is not written twice.
    fn drop_written(&mut self, last: Option<&Entry>) {
        let (Some(last), Some((at, subject, body))) = (last, self.waiting.front()) else { return };
        if last.at == *at && last.subject == *subject && last.body == *body {
            self.waiting.pop_front();
        }
    }

    fn flush(&mut self) {
        while let Some((at, subject, body)) = self.waiting.pop_front() {
            match self.append_waiting(&at, &subject, &body) {
                Ok(Some(entry)) => {
                    self.state.apply(&entry);
                    self.note_written();
                }
                Ok(None) => {}
                Err(error) => {
                    self.waiting.push_front((at, subject, body));
                    self.degrade(&error);
                    // What waits still counts, an operator's pause above all.
                    for (at, subject, body) in &self.waiting {
                        self.state.apply(&unwritten(&self.state, at, subject, body));
                    }
                    return;
                }
            }
        }
        self.ledger.refill_reserve(&wbd_probes::clock::now());
        if self.lost > 0 {
            warn!(
                WBD_CODE = "WBD-DEGRADED",
                "records that were lost while the ledger could not be written: {}", self.lost
            );
            self.lost = 0;
        }
    }

    /// What was taken from the reserve meanwhile has its place among the other records, behind the opening of its
    /// incident.
    fn append_waiting(&mut self, at: &Now, subject: &Subject, body: &Body) -> Result<Option<Entry>, LedgerError> {
        let mut subject = subject.clone();
        let Some(intent) = reserved(body) else {
            return self.ledger.append(at, subject, body.clone()).map(Some);
        };
        // Its opening was one record too many to wait.
        if subject.incident.is_some_and(|id| !self.state.incidents.contains_key(&id)) {
            subject.incident = None;
        }
        self.ledger.append_reserved(at, subject, intent.clone())
    }
}

/// A restart from the reserve, among the records that wait.
fn reserved(body: &Body) -> Option<&Intent> {
    if let Body::Intent(intent) = body { Some(intent) } else { None }
}
