//! Restarts set aside beforehand for a host whose ledger cannot be used: fixed slots, already on disk. Nothing else may
//! come from it.
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wbd_agent_api::Whole;
use wbd_model::entry::{Body, Entry, Intent, Outcome, Subject};
use wbd_model::incident::IncidentId;
use wbd_model::time::{BootId, Now};

use crate::error::LedgerError;
use crate::files;
use crate::recorded::Recorded;

/// How many restarts of the agent are kept for the time without a ledger.
pub const RESERVE_SLOTS: usize = 2;
const SLOT_BYTES: usize = 16 << 10;
const FILE_BYTES: usize = RESERVE_SLOTS * SLOT_BYTES;
/// A boot's name is far shorter.
const MAX_BOOT_BYTES: u64 = 256;
/// The marks' name in the folder of what lives until the next boot.
const MARKS: &str = "reserve.marks";

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
    let Ok((bytes, _)) = read(&files::reserve(state_dir)) else {
        return Vec::new();
    };
    bytes.chunks(SLOT_BYTES).filter_map(decode).collect()
}

/// What the chain takes in: each restart with its outcome unknown, without those it holds (`known`) already.
/// They count from the moment they are taken in: later than they were done, so never too few in a window. An incident
/// whose opening was lost with the memory of the process is told of in words only.
pub(crate) fn adoption(
    used: Vec<ReservedIntent>,
    known: &[Intent],
    is_open: impl Fn(IncidentId) -> bool,
) -> Vec<(Subject, Body)> {
    used.into_iter()
        .filter(|used| !known.contains(&used.intent))
        .flat_map(|ReservedIntent { at, mut subject, intent }| {
            let lost = subject.incident.filter(|id| !is_open(*id));
            if lost.is_some() {
                subject.incident = None;
            }
            let whose = lost.map_or_else(String::new, |id| format!("; for {id}, whose opening could not be recorded"));
            let outcome = Body::Outcome {
                action: intent.action_id,
                result: Outcome::Unknown,
                detail: format!(
                    "from the reserve at {} ms of boot {}, while the ledger could not be used{whose}",
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
    /// The boot in which it was set aside; empty where that is not known.
    boot: String,
    /// Slots as in the file, for a disk that takes no marks; `None`: there is no such place.
    marks: Option<PathBuf>,
}

impl Reserve {
    pub(crate) fn open(state_dir: &Path) -> Self {
        Self::open_with(state_dir, None)
    }

    fn open_with(state_dir: &Path, marks: Option<PathBuf>) -> Self {
        let path = files::reserve(state_dir);
        let Ok((bytes, boot)) = read(&path) else {
            return Self { path, file: None, free: Vec::new(), boot: String::new(), marks };
        };
        let marked = marks.as_deref().and_then(|marks| read(marks).ok()).map(|(bytes, _)| bytes);
        let is_free =
            |bytes: &[u8], slot: usize| bytes[slot * SLOT_BYTES..][..SLOT_BYTES].iter().all(|byte| *byte == 0);
        // A slot that was begun and torn is spent: better one restart too few than one too many.
        let free = (0..RESERVE_SLOTS)
            .filter(|slot| is_free(&bytes, *slot) && marked.as_ref().is_none_or(|marked| is_free(marked, *slot)))
            .collect();
        let file = File::options().read(true).write(true).open(&path).ok();
        Self { path, file, free, boot, marks }
    }

    /// From now on marks that the disk refuses are made in this folder.
    pub(crate) fn mark_in(&mut self, run_dir: &Path, state_dir: &Path) {
        *self = Self::open_with(state_dir, Some(run_dir.join(MARKS)));
    }

    /// What was taken and is not in the ledger yet.
    pub(crate) fn used(&self, state_dir: &Path) -> Vec<ReservedIntent> {
        let mut used = reserved(state_dir);
        let marked =
            self.marks.as_deref().and_then(|marks| read(marks).ok()).map(|(bytes, _)| bytes).unwrap_or_default();
        for reserved in marked.chunks(SLOT_BYTES).filter_map(decode) {
            // One that the disk refused with an error may stand there all the same.
            if !used.iter().any(|known| known.intent == reserved.intent) {
                used.push(reserved);
            }
        }
        // Slots are taken from the end. Numbers rise, also over a reboot.
        used.sort_by_key(|used| used.intent.action_id);
        used
    }

    /// Sets it up where there is none; a file that holds restarts is left alone.
    pub(crate) fn make(&mut self, state_dir: &Path) {
        if self.file.is_none() && read(&self.path).is_err() {
            self.refill(state_dir, &BootId(String::new()));
        }
    }

    /// Empties all slots, for this boot. A reserve that cannot be made is no reserve: nothing to report but `left() ==
    /// 0`.
    pub(crate) fn refill(&mut self, state_dir: &Path, boot: &BootId) {
        let path = files::reserve(state_dir);
        let bytes = [&[0; FILE_BYTES][..], boot.0.as_bytes()].concat();
        let made = Whole::at(&path, 0o640).durable().replace(&bytes);
        if let (Ok(()), Some(marks)) = (made, &self.marks) {
            // Whoever dies here finds marks of actions that the ledger holds already: those are not adopted again.
            drop(fs::remove_file(marks));
        }
        *self = Self::open_with(state_dir, self.marks.take());
    }

    pub(crate) fn left(&self) -> usize {
        // Without a place to mark what is taken nothing can be taken.
        let has_place = self.file.is_some() || (self.marks.is_some() && !self.boot.is_empty());
        if has_place { self.free.len() } else { 0 }
    }

    pub(crate) fn take(&mut self, at: &Now, subject: Subject, intent: Intent) -> Result<Recorded, LedgerError> {
        if !intent.action.on_agent().starts() {
            return Err(LedgerError::Reserve { why: "it is for restarts of the agent only" });
        }
        let mut reserved = ReservedIntent { at: at.clone(), subject, intent };
        let bytes = encode(&reserved).or_else(|_| {
            // The proof may need what was seen before; the restart fits without it.
            reserved.intent.before.clear();
            encode(&reserved)
        })?;
        let Some(slot) = self.free.pop() else {
            return Err(LedgerError::Reserve { why: "it is used up, or could not be set aside" });
        };
        let offset = u64::try_from(slot * SLOT_BYTES).unwrap_or(u64::MAX);
        self.mark(&bytes, offset, &at.boot)
            .map_err(|source| LedgerError::io("record in reserve of", &self.path, source))?;
        let ReservedIntent { at, subject, intent } = reserved;
        let body = Body::Intent(Box::new(intent.clone()));
        let entry = Entry { seq: 0, at, subject, body, prev: String::new(), hash: String::new() };
        Ok(Recorded::new(entry, intent))
    }

    /// On the disk, or where that refuses until the next boot.
    fn mark(&self, bytes: &[u8], offset: u64, boot: &BootId) -> io::Result<()> {
        let refused = match &self.file {
            Some(file) => match file.write_all_at(bytes, offset).and_then(|()| file.sync_data()) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            None => io::ErrorKind::ReadOnlyFilesystem.into(),
        };
        let Some(marks) = self.marks.as_ref().filter(|_| self.boot == boot.0) else { return Err(refused) };
        let file = File::options().write(true).create(true).truncate(false).mode(0o640).open(marks)?;
        let size = u64::try_from(FILE_BYTES).unwrap_or(u64::MAX);
        if file.metadata()?.len() < size {
            file.set_len(size)?;
        }
        file.write_all_at(bytes, offset)
    }
}

/// The slots, and the name of the boot that stands behind them.
fn read(path: &Path) -> io::Result<(Vec<u8>, String)> {
    let mut file = File::open(path)?;
    let mut bytes = vec![0; FILE_BYTES];
    file.read_exact(&mut bytes)?;
    let mut boot = String::new();
    file.take(MAX_BOOT_BYTES).read_to_string(&mut boot)?;
    Ok((bytes, boot))
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

#[cfg(test)]
mod tests {
    use wbd_model::action::Action;

    use super::*;
    use crate::tests::{intent, now, subject};

    /// What was seen before the action may take as much room as a slot has, and not a byte of the next one.
    #[test]
    fn a_restart_that_just_fits_its_slot_is_kept_whole_and_a_larger_one_without_what_was_seen_before() {
        let sized = |characters: usize| {
            let mut intent = intent(3, Action::AgentRestart {});
            let mut seen = wbd_model::observation::Observation::default();
            seen.facts.insert("x".to_owned(), wbd_model::observation::Fact::Unknown("y".repeat(characters)));
            intent.before.insert("health".to_owned(), seen);
            intent
        };
        let bytes = |intent: Intent| {
            encode(&ReservedIntent { at: now(1), subject: subject(1), intent }).map(|bytes| bytes.len())
        };
        let most = SLOT_BYTES - bytes(sized(0)).unwrap();
        assert_eq!(bytes(sized(most)).unwrap(), SLOT_BYTES);
        assert!(matches!(bytes(sized(most + 1)), Err(LedgerError::TooLarge { .. })));
        for (characters, whole) in [(most, true), (most + 1, false), (2 * SLOT_BYTES, false)] {
            let dir = tempfile::tempdir().unwrap();
            let mut reserve = Reserve::open(dir.path());
            reserve.refill(dir.path(), &now(1).boot);
            // The second slot is the first one that is taken.
            for number in 0..RESERVE_SLOTS {
                let recorded = reserve.take(&now(1), subject(1), sized(characters)).unwrap();
                assert_eq!(recorded.intent().before.is_empty(), !whole, "{characters} in slot {number}");
            }
            let kept = reserved(dir.path());
            assert_eq!(kept.len(), RESERVE_SLOTS, "{characters}");
            assert!(kept.iter().all(|kept| kept.intent.before.is_empty() != whole), "{characters}");
        }
    }
}
