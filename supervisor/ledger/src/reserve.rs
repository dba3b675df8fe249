//! Restarts set aside beforehand for a host whose ledger cannot be used: fixed slots, already on disk. Nothing else may come from it.
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wbd_model::action::Action;
use wbd_model::entry::{Body, Entry, Intent, Outcome, Subject};
use wbd_model::time::Now;

use crate::error::LedgerError;
use crate::files;
use crate::recorded::Recorded;

/// How many restarts of the agent are kept for the time without a ledger.
pub const RESERVE_SLOTS: usize = 2;
const SLOT_BYTES: usize = 16 << 10;
const FILE_BYTES: usize = RESERVE_SLOTS * SLOT_BYTES;

/// A restart done from the reserve and not yet in the ledger. It counts in every budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedIntent {
    /// When it was recorded.
    pub at: Now,
    /// What it was for.
    pub subject: Subject,
    /// The restart.
    pub intent: Intent,
}

/// What stands in the reserve of a state folder; for counting debits while the ledger cannot be read.
#[must_use]
pub fn reserved(state_dir: &Path) -> Vec<ReservedIntent> {
    let Ok(bytes) = read(state_dir) else {
        return Vec::new();
    };
    bytes.chunks(SLOT_BYTES).filter_map(decode).collect()
}

/// What the chain takes in: each restart with its outcome unknown, without those it holds (`known`) already.
/// They count from the moment they are taken in: later than they were done, so never too few in a window.
pub(crate) fn adoption(used: Vec<ReservedIntent>, known: &[Intent]) -> Vec<(Subject, Body)> {
    used.into_iter()
        .filter(|used| !known.contains(&used.intent))
        .flat_map(|ReservedIntent { at, subject, intent }| {
            let outcome = Body::Outcome {
                action: intent.action_id,
                result: Outcome::Unknown,
                detail: format!(
                    "from the reserve at {} ms of boot {}, while the ledger could not be used",
                    at.boot_ms, at.boot.0
                ),
                took_ms: 0,
            };
            [(subject.clone(), Body::Intent(Box::new(intent))), (subject, outcome)]
        })
        .collect()
}

/// The slots of one state folder; its owner holds the ledger's lock.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    file: Option<File>,
    free: Vec<usize>,
}

impl Reserve {
    pub(crate) fn open(state_dir: &Path) -> Self {
        let path = files::reserve(state_dir);
        let Ok(bytes) = read(state_dir) else {
            return Self { path, file: None, free: Vec::new() };
        };
        // A slot that was begun and torn is spent: better one restart too few than one too many.
        let free = (0..RESERVE_SLOTS)
            .filter(|slot| bytes[slot * SLOT_BYTES..][..SLOT_BYTES].iter().all(|byte| *byte == 0))
            .collect();
        let file = File::options().read(true).write(true).open(&path).ok();
        Self { path, file, free }
    }

    /// Sets it up where there is none; a file that holds restarts is left alone.
    pub(crate) fn make(&mut self, state_dir: &Path) {
        if self.file.is_none() {
            self.refill(state_dir);
        }
    }

    /// Empties all slots. A reserve that cannot be made is no reserve: nothing to report but `left() == 0`.
    pub(crate) fn refill(&mut self, state_dir: &Path) {
        let path = files::reserve(state_dir);
        let fresh = files::beside(&path, ".new");
        let made =
            File::options().write(true).create(true).truncate(true).mode(0o640).open(&fresh).and_then(|mut file| {
                file.write_all(&vec![0; FILE_BYTES])?;
                file.sync_all()?;
                fs::rename(&fresh, &path)?;
                files::sync_dir(state_dir)
            });
        if made.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        *self = Self::open(state_dir);
    }

    pub(crate) fn left(&self) -> usize {
        if self.file.is_some() { self.free.len() } else { 0 }
    }

    pub(crate) fn take(&mut self, at: &Now, subject: Subject, mut intent: Intent) -> Result<Recorded, LedgerError> {
        match intent.action {
            Action::AgentStart {} | Action::AgentRestart {} => {}
            Action::SysctlSet { .. }
            | Action::SysctlRestore { .. }
            | Action::AgentReload {}
            | Action::AgentStop { .. }
            | Action::UnitRestart { .. }
            | Action::CommandRun { .. } => {
                return Err(LedgerError::Reserve { why: "it is for restarts of the agent only" });
            }
        }
        let used_up = LedgerError::Reserve { why: "it is used up, or could not be set aside" };
        let Some(file) = &self.file else {
            return Err(used_up);
        };
        let Some(slot) = self.free.pop() else {
            return Err(used_up);
        };
        // Observations are for people; the restart fits without them.
        intent.before.clear();
        let reserved = ReservedIntent { at: at.clone(), subject, intent };
        let bytes = encode(&reserved)?;
        let offset = u64::try_from(slot * SLOT_BYTES).unwrap_or(u64::MAX);
        file.write_all_at(&bytes, offset)
            .and_then(|()| file.sync_data())
            .map_err(|source| LedgerError::io("record in reserve of", &self.path, source))?;
        let ReservedIntent { at, subject, intent } = reserved;
        let body = Body::Intent(Box::new(intent.clone()));
        let entry = Entry { seq: 0, at, subject, body, prev: String::new(), hash: String::new() };
        Ok(Recorded::new(entry, intent))
    }
}

fn read(state_dir: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; FILE_BYTES];
    File::open(files::reserve(state_dir))?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn encode(reserved: &ReservedIntent) -> Result<Vec<u8>, LedgerError> {
    let text = serde_json::to_string(reserved).map_err(|source| LedgerError::Encode { source })?;
    let bytes = format!("{}\n{text}\n", files::hex(&Sha256::digest(&text))).into_bytes();
    if bytes.len() > SLOT_BYTES {
        return Err(LedgerError::TooLarge { bytes: bytes.len(), max: SLOT_BYTES });
    }
    Ok(bytes)
}

/// `None` for an empty slot and for a torn one: its write never returned, so nothing was done.
fn decode(slot: &[u8]) -> Option<ReservedIntent> {
    let mut lines = slot.split(|byte| *byte == b'\n');
    let (hash, text) = (lines.next()?, lines.next()?);
    if hash != files::hex(&Sha256::digest(text)).as_bytes() {
        return None;
    }
    serde_json::from_slice(text).ok()
}
