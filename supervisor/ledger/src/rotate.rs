//! Sets a ledger aside and begins the next one, which names the old head. Decides not whether that is wise.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::time::Now;

use crate::anchor::Anchor;
use crate::error::LedgerError;
use crate::lock::Lock;
use crate::record::{self, Head};
use crate::{files, store};

const MAX_NAMES: u32 = 100;

/// What a new ledger must know of the old one, so that it is no new budget and no number is used twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Debits still counting, as moments of this boot in milliseconds.
    pub debits_ms: Vec<u64>,
    /// The next incident number.
    pub next_incident: u64,
    /// The next action's number.
    pub next_action: u64,
    /// Everything else, as the engine packs it ([`wbd_engine::replay::snapshot::pack`]).
    pub state: Option<Box<serde_json::Value>>,
}

/// Why, by whom, and what is carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Why.
    pub reason: String,
    /// Who.
    pub who: String,
    /// What the new ledger begins with.
    pub snapshot: Snapshot,
    /// The newest head the journal has seen. It is the old head if the file cannot tell or ends before it: the new file
    /// then begins behind every anchor of the old one.
    pub anchor: Option<Anchor>,
}

/// Does it while no supervisor runs; returns the new ledger's first record. `host` as in [`crate::Ledger::open`].
///
/// # Errors
/// [`LedgerError`]: a supervisor runs, there is no ledger, disk full, not permitted; the old one then stands as before.
pub fn rotate(state_dir: &Path, host: Option<&str>, at: &Now, rotation: &Rotation) -> Result<Entry, LedgerError> {
    let path = files::database(state_dir);
    if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Err(LedgerError::NotThere { path });
    }
    let _lock = Lock::take(state_dir)?;
    set_aside(&path, host, at, rotation, store::open_writer(&path).ok())
}

/// `old` is the old ledger's connection, if it could be opened. The caller holds the lock.
pub(crate) fn set_aside(
    path: &Path,
    host: Option<&str>,
    at: &Now,
    rotation: &Rotation,
    old: Option<Connection>,
) -> Result<Entry, LedgerError> {
    let head = old_head(old, rotation.anchor.as_ref());
    let aside = link_aside(path, at)?;
    let begun = begin(path, host, at, rotation, &head, &aside);
    if begun.is_err() {
        // The old name still stands; only the second name goes.
        let _ = fs::remove_file(&aside);
    }
    begun
}

/// Reads the head and folds the write-ahead file into the one file, as far as either is possible.
fn old_head(old: Option<Connection>, anchor: Option<&Anchor>) -> Head {
    let mut head = Head::none();
    if let Some(connection) = old {
        head = store::head(&connection).ok().flatten().unwrap_or(head);
        // A reader may hold it up; then the write-ahead file moves along below.
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    match anchor {
        Some(anchor) if anchor.seq > head.seq => Head { seq: anchor.seq, hash: anchor.hash.clone() },
        Some(_) | None => head,
    }
}

/// Gives the file its second name; a link, unlike a rename, never overwrites.
fn link_aside(path: &Path, at: &Now) -> Result<PathBuf, LedgerError> {
    for attempt in 0..MAX_NAMES {
        let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        let aside = path.with_file_name(format!("ledger-{}{suffix}.db", at.wall_ms));
        match fs::hard_link(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(LedgerError::io("set aside", path, error)),
        }
    }
    Err(LedgerError::io("set aside", path, io::ErrorKind::AlreadyExists.into()))
}

fn begin(
    path: &Path,
    host: Option<&str>,
    at: &Now,
    rotation: &Rotation,
    head: &Head,
    aside: &Path,
) -> Result<Entry, LedgerError> {
    let Rotation { reason, who, snapshot, anchor: _ } = rotation;
    let body = Body::Rotated {
        old_head: head.hash.clone(),
        old_seq: head.seq,
        file: aside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        reason: reason.clone(),
        who: who.clone(),
        debits_ms: snapshot.debits_ms.clone(),
        next_incident: snapshot.next_incident,
        next_action: snapshot.next_action,
        state: snapshot.state.clone(),
    };
    let (entry, row) = record::follow(head, at, Subject::default(), body)?;
    store::create(path, host, Some(&row))?;
    // The write-ahead file goes first: beside the new file it would be taken for the new file's own.
    move_helper(path, aside, "-wal")?;
    move_helper(path, aside, "-journal")?;
    match fs::remove_file(files::beside(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(LedgerError::io("remove index of", path, error));
        }
        Ok(()) | Err(_) => {}
    }
    store::put_in_place(path)?;
    Ok(entry)
}

fn move_helper(path: &Path, aside: &Path, suffix: &str) -> Result<(), LedgerError> {
    let helper = files::beside(path, suffix);
    match fs::rename(&helper, files::beside(aside, suffix)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LedgerError::io("set aside", &helper, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
