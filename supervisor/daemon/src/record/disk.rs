//! Asks every few seconds, beside the loop, whether the ledger's disk takes writes, so that a full one is known before
//! something has to be written. A disk that does not answer is said like one that refuses. Writes no record.
use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::mpsc::Sender;
use tracing::warn;

use crate::event::{Event, RecordEvent};

/// With the time of one answer well within the five seconds after which `status` has to say it.
const EVERY_MS: u64 = 3_000;
/// A disk that takes longer for a few bytes would hold up the loop with the next record.
const SILENT_MS: u64 = 4_000;

/// The look at the disk.
#[derive(Debug)]
pub(super) struct DiskWatch {
    state_dir: PathBuf,
    events: Sender<Event>,
    /// When the look under way began (milliseconds of this boot).
    began_ms: Option<u64>,
    due_ms: u64,
}

impl DiskWatch {
    /// Of the ledger below this root; the answers come as events.
    pub(super) fn new(root: &Path, events: Sender<Event>) -> Self {
        Self { state_dir: wbd_ledger::state_dir(root), events, began_ms: None, due_ms: 0 }
    }

    /// When there is something to do next.
    pub(super) fn next_ms(&self, now_ms: u64) -> u64 {
        // One that is silent is waited for, however long it takes: there is one question at a time.
        match self.began_ms.map(|began_ms| began_ms + SILENT_MS) {
            Some(silent_ms) if silent_ms > now_ms => silent_ms,
            Some(_) => now_ms + SILENT_MS,
            None => self.due_ms,
        }
    }

    /// Asks if it is time to. Gives what there is to say against a disk that does not answer.
    pub(super) fn ask(&mut self, now_ms: u64) -> Option<String> {
        match self.began_ms {
            Some(began_ms) if now_ms >= began_ms + SILENT_MS => {
                let seconds = (now_ms - began_ms) / 1000;
                return Some(format!("its disk does not answer (for {seconds} s); look for a stuck disk"));
            }
            None if now_ms >= self.due_ms => self.begin_to_ask(now_ms),
            Some(_) | None => {}
        }
        None
    }

    fn begin_to_ask(&mut self, now_ms: u64) {
        self.due_ms = now_ms + EVERY_MS;
        let (state_dir, events) = (self.state_dir.clone(), self.events.clone());
        // A thread of its own: the probes' places may all be taken by looks that hang.
        let begun = thread::Builder::new().name("wbd-disk".to_owned()).spawn(move || {
            let trouble = wbd_ledger::takes_writes(&state_dir).err();
            let _ = events.blocking_send(Event::Record(RecordEvent::DiskAnswered(trouble)));
        });
        match begun {
            Ok(_) => self.began_ms = Some(now_ms),
            Err(error) => warn!("the disk of the ledger cannot be checked, because no thread can be started: {error}"),
        }
    }

    /// It answered.
    pub(super) fn answered(&mut self) {
        self.began_ms = None;
    }
}
