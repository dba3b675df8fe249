//! The owner of the ledger, of the state that is replayed from it, and of the look at its disk: every record is on disk
//! before it counts. While the ledger cannot be used, records wait in memory and nothing but a few restarts from the
//! reserve can be done (I17).
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::sync::mpsc::Sender;
use tracing::{error, info, warn};
use wbd_engine::guard::Permit;
use wbd_engine::replay::snapshot;
use wbd_engine::state::State;
use wbd_ledger::{Anchor, Anchors, Filter, Ledger, LedgerError, Recorded, Rotation, Snapshot, Standing};
use wbd_model::action::Undo;
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::incident::ActionId;
use wbd_model::settings::HostBudget;
use wbd_model::time::Now;

use super::disk::DiskWatch;
use crate::event::{Event, RecordEvent};

/// Records between two anchors in the journal.
const ANCHOR_EVERY: u64 = 16;
/// A record takes milliseconds.
const SLOW_MS: u128 = 1_000;
/// A ledger that could not be written is tried again this often (a full disk may have room again) ...
const RETRY_MS: u64 = 2_000;
/// ... and one that does not verify this often: each try walks the whole chain, and a person has to act first.
const RETRY_BROKEN_MS: u64 = 60_000;
/// More records than a file of full size holds.
const MOST_RECORDS: u64 = 1 << 20;
/// Records that wait while the ledger cannot be written; further ones are only counted.
const WAITING: usize = 512;

/// The ledger and the state that is replayed from it.
#[derive(Debug)]
pub(crate) struct LedgerWriter {
    ledger: Ledger,
    root: PathBuf,
    /// A fold of the ledger, and of the records that wait for it.
    pub(crate) state: State,
    /// The same without the records that wait, while any do.
    on_disk: Option<Box<State>>,
    /// Why nothing can be written, and therefore nothing done; empty if all is well.
    pub(crate) degraded: String,
    /// The newest head that the journal has seen.
    anchor: Option<Anchor>,
    /// All that the journal vouched for at the start; without its heads once the chain was seen to hold them.
    anchors: Anchors,
    /// The last record that we know to be on disk: a file that ends before it, or without it, is not ours.
    written: Option<Anchor>,
    news: Vec<Entry>,
    waiting: VecDeque<(Now, Subject, Body)>,
    lost: u64,
    /// The disk was seen not to take writes; nothing is tried before it was seen to take them again.
    is_disk_bad: bool,
    /// The look at that disk, once somebody listens.
    disk: Option<DiskWatch>,
    /// When a ledger that cannot be used is tried again.
    retry_ms: u64,
}

impl LedgerWriter {
    /// Opens the ledger of a root. One that does not verify is left as it is: then the supervisor only looks.
    ///
    /// # Errors
    /// Another supervisor works on this state folder, or the folder cannot be used at all.
    pub(crate) fn open(root: &Path) -> Result<Self, LedgerError> {
        let host = wbd_ledger::host_id(root);
        // Before the loop begins, which waits for nothing but the ledger.
        let anchors = wbd_ledger::anchors(root);
        if let Some(why) = &anchors.unread {
            warn!(
                WBD_CODE = "WBD-LEDGER",
                "the journal cannot be read ({why}); whether records are missing at the end of the ledger is not known"
            );
        }
        let ledger = Ledger::open(&wbd_ledger::state_dir(root), host.as_deref(), &anchors)?;
        let mut writer = Self {
            ledger,
            root: root.to_owned(),
            state: State::default(),
            on_disk: None,
            degraded: String::new(),
            anchor: anchors.newest().cloned(),
            anchors,
            written: None,
            news: Vec::new(),
            waiting: VecDeque::new(),
            lost: 0,
            is_disk_bad: false,
            disk: None,
            retry_ms: 0,
        };
        writer.ledger.mark_reserve_in(&root.join("run/wbd"));
        match writer.ledger.standing() {
            Standing::Broken(bad) => writer.replay_until(bad.seq),
            Standing::Foreign => {
                // The journal here has seen none of its records; their own chain is what counts.
                writer.replay_until(writer.ledger.verification().problem.as_ref().map_or(u64::MAX, |bad| bad.seq));
                writer.state = std::mem::take(&mut writer.state).of_another_host();
            }
            Standing::Sound | Standing::Unusable(_) => {}
        }
        writer.take_standing();
        Ok(writer)
    }

    /// Its disk is looked at from now on; the answers come as events.
    pub(crate) fn watch_disk(&mut self, events: Sender<Event>) {
        self.disk = Some(DiskWatch::new(&self.root, events));
    }

    /// Something happened to its disk, or time has passed.
    pub(crate) fn on(&mut self, event: RecordEvent, now: &Now) {
        match event {
            RecordEvent::DiskAnswered(trouble) => {
                self.disk.iter_mut().for_each(DiskWatch::answered);
                self.disk_says(trouble);
            }
            RecordEvent::TimePassed => {
                if let Some(silence) = self.disk.as_mut().and_then(|disk| disk.ask(now.boot_ms)) {
                    self.disk_says(Some(silence));
                }
                if !self.degraded.is_empty() && now.boot_ms >= self.retry_ms {
                    self.retry();
                    self.retry_ms = now.boot_ms + self.retry_pause_ms();
                }
            }
        }
    }

    /// When there is something to do next.
    pub(crate) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        self.disk.as_ref().map(|disk| disk.next_ms(now_ms))
    }

    fn note_written(&mut self) {
        self.written = self.ledger.head().map(|(seq, hash)| Anchor { seq, hash: hash.to_owned() });
    }

    fn degrade(&mut self, error: &LedgerError) {
        error!(
            WBD_CODE = "WBD-DEGRADED",
            "the ledger cannot be written ({error}); wbd checks and does nothing but restart the agent twice at most"
        );
        self.degraded = error.to_string();
        self.part_from_disk();
    }

    /// From now on the state knows more than the disk does.
    fn part_from_disk(&mut self) {
        let state = &self.state;
        self.on_disk.get_or_insert_with(|| Box::new(state.clone()));
    }

    /// Writes a record, durable before it counts. While the ledger cannot be used it waits in memory.
    pub(crate) fn write(&mut self, now: &Now, subject: Subject, body: Body) {
        if self.degraded.is_empty() {
            let began = Instant::now();
            let appended = self.ledger.append(now, subject.clone(), body.clone());
            tell_slow(began);
            match appended {
                Ok(entry) => {
                    self.note_written();
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
        let entry = unwritten(&self.state, now, &subject, &body);
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
        let began = Instant::now();
        let number = permit.intent().action_id.0;
        let recorded = if self.degraded.is_empty() {
            self.ledger.record(permit, now).inspect_err(|error| {
                self.degraded = error.to_string();
                // It may be in the file all the same: its number is not given to another one.
                self.state.next_action = self.state.next_action.max(number + 1);
            })
        } else {
            self.ledger.record_in_reserve(permit, now)
        };
        tell_slow(began);
        if !self.degraded.is_empty() {
            self.part_from_disk();
        }
        let recorded = recorded.map_err(|error| error.to_string())?;
        let mut entry = recorded.entry().clone();
        if self.degraded.is_empty() {
            self.note_written();
        } else {
            // From the reserve: it has no place in the chain yet, and waits for it however many do.
            entry.seq = self.state.seq + 1;
            self.waiting.push_back((entry.at.clone(), entry.subject.clone(), entry.body.clone()));
        }
        self.count(entry);
        Ok(recorded)
    }

    /// How an action can be taken back, whenever it was done: the state knows the last ones, the ledger all of its
    /// file. `None`: nothing was captured for it, or it was taken back.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn undo_of(&self, id: ActionId) -> Result<Option<Undo>, LedgerError> {
        if let Some((_, undo)) = self.state.undoable.iter().find(|(action, _)| *action == id) {
            return Ok(Some(undo.clone()));
        }
        let mut found = None;
        let filter = Filter { kinds: vec!["intent".to_owned()], ..Filter::default() };
        self.ledger.each(&filter, |entry| {
            if let Body::Intent(intent) = entry.body {
                if intent.action_id == id {
                    found = intent.undo;
                } else if intent.undoes == Some(id) {
                    found = None;
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Restarts of the agent that the reserve still holds.
    pub(crate) fn reserve_left(&self) -> usize {
        self.ledger.reserve_left()
    }

    /// Something was written that `take_news` has not given yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Records written since the last call.
    pub(crate) fn take_news(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.news)
    }

    /// Tries again where the ledger could not be used (a full disk has room again).
    pub(crate) fn retry(&mut self) {
        if self.degraded.is_empty() || self.is_disk_bad {
            return;
        }
        let mut anchors = self.anchors.clone();
        anchors.heads.extend(self.written.clone());
        self.ledger.reopen(&anchors);
        self.take_standing();
        if self.degraded.is_empty() {
            info!(WBD_CODE = "WBD-DEGRADED", "the ledger can be used again; wbd heals again");
        }
    }

    /// What a look at the ledger's disk found against writing to it; `None`: nothing. A full disk is then known before
    /// the first record is lost to it.
    pub(crate) fn disk_says(&mut self, trouble: Option<String>) {
        match trouble {
            Some(why) => {
                self.is_disk_bad = true;
                // Each time: a rotation that failed meanwhile has opened it again.
                self.ledger.distrust(&why);
                if self.degraded.is_empty() {
                    self.degraded = format!("the ledger cannot be used: {why}");
                    self.part_from_disk();
                    error!(
                        WBD_CODE = "WBD-DEGRADED",
                        "{}; wbd checks and does nothing but restart the agent twice at most", self.degraded
                    );
                }
            }
            None if self.is_disk_bad => {
                self.is_disk_bad = false;
                self.retry();
            }
            None => {}
        }
    }

    /// How long to wait before the next [`Memory::retry`], milliseconds.
    fn retry_pause_ms(&self) -> u64 {
        match self.ledger.standing() {
            Standing::Sound | Standing::Unusable(_) => RETRY_MS,
            Standing::Foreign | Standing::Broken(_) => RETRY_BROKEN_MS,
        }
    }

    /// Why the journal could not be read at the start.
    pub(crate) fn anchors_unread(&self) -> Option<&str> {
        self.anchors.unread.as_deref()
    }

    /// Whether what is carried of the ledger may be all that stood in it; a new file that was never read is not.
    pub(crate) fn is_trusted(&self) -> bool {
        match self.ledger.standing() {
            Standing::Sound => true,
            Standing::Foreign => self.ledger.verification().is_sound(),
            Standing::Broken(_) => false,
            Standing::Unusable(_) => self.on_disk.as_ref().is_some_and(|state| state.seq > 0),
        }
    }

    /// Sets the ledger aside and starts a new one that names the old head. Gives what else there is to tell: of one
    /// that cannot be trusted all of `budget` counts as spent.
    ///
    /// # Errors
    /// The new file cannot be made.
    pub(crate) fn rotate(
        &mut self,
        now: &Now,
        reason: &str,
        who: &str,
        budget: HostBudget,
    ) -> Result<&'static str, LedgerError> {
        // What waits, and what the reserve holds, follows in the new file by itself.
        let mut carried = self.on_disk.as_deref().unwrap_or(&self.state).clone();
        let is_trusted = self.is_trusted();
        if !is_trusted {
            let last = self.anchor.as_ref().map_or(0, |anchor| anchor.seq);
            carried = carried.of_a_bad_ledger(now, budget, last);
        }
        let packed = snapshot::pack(&carried, snapshot::MOST_BYTES);
        let snapshot = Snapshot {
            debits_ms: carried.debits.iter().map(|debit| debit.at_ms).collect(),
            // Actions from the reserve have their numbers already.
            next_incident: carried.next_incident.max(self.state.next_incident),
            next_action: carried.next_action.max(self.state.next_action),
            state: Some(packed.map_err(|bytes| LedgerError::TooLarge { bytes, max: snapshot::MOST_BYTES })?),
        };
        let (reason, who) = (reason.to_owned(), who.to_owned());
        let seen = self.anchors.newest().into_iter().chain(self.anchor.as_ref());
        let anchor = seen.max_by_key(|head| head.seq).cloned();
        self.ledger.rotate(now, &Rotation { reason, who, snapshot, anchor })?;
        self.anchor = None;
        self.anchors.heads.clear();
        self.take_standing();
        self.anchor_head();
        Ok(if is_trusted { "" } else { snapshot::SPENT })
    }

    /// Begins a new file where this one is full or a year old.
    pub(crate) fn rotate_if_due(&mut self, now: &Now) {
        let Some(reason) = self.ledger.rotation_due(now).filter(|_| self.degraded.is_empty()) else { return };
        // A ledger that is trusted spends none.
        if let Err(error) = self.rotate(now, reason, "wbd", HostBudget::default()) {
            warn!(WBD_CODE = "WBD-LEDGER", "no new ledger could be begun: {error}");
        }
    }

    /// Anchors the head in the journal, out of reach of whoever can write the ledger's folder only. One that does not
    /// verify never is: its cut-off end would look like the end that it always had.
    pub(crate) fn anchor_head(&mut self) {
        if *self.ledger.standing() != Standing::Sound || !self.degraded.is_empty() {
            return;
        }
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

/// The loop waits for the disk at each record: a slow one makes the supervisor late, and its journal says why.
fn tell_slow(began: Instant) {
    let took_ms = began.elapsed().as_millis();
    if took_ms >= SLOW_MS {
        warn!("the disk took {took_ms} ms to write a record of the ledger");
    }
}

/// A record that is not in the chain yet.
fn unwritten(state: &State, at: &Now, subject: &Subject, body: &Body) -> Entry {
    let (at, subject, body) = (at.clone(), subject.clone(), body.clone());
    Entry { seq: state.seq + 1, at, subject, body, prev: String::new(), hash: String::new() }
}

mod standing;

#[cfg(test)]
mod schedules_tests;
#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
