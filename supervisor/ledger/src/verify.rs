//! Walks the chain and names the first bad record. Repairs nothing.
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};
use wbd_model::entry::{Body, Entry};

use crate::anchor::Anchor;
use crate::error::LedgerError;
use crate::record::{self, Head, NO_HASH};
use crate::store;

/// What a walk along the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// How many records are good, from the first one on.
    pub entries: u64,
    /// The last good record: number and hash. `None` when there is none.
    pub head: Option<(u64, String)>,
    /// The first bad record.
    pub problem: Option<BadRecord>,
    /// What the journal's anchor says about the chain.
    pub anchor: AnchorState,
    /// How long the walk took, in milliseconds.
    pub took_ms: u64,
}

/// The first record that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Its number; 0 when the file as a whole cannot be read.
    pub seq: u64,
    /// What is wrong with it, in words.
    pub what: String,
}

/// The chain against the head that was written into the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorState {
    /// No anchor was given: root on this host could have rewritten everything.
    None,
    /// The chain holds exactly the anchored record.
    AnchoredAt(u64),
    /// The anchored record is not in the ledger: its end is cut off, or it is another ledger.
    Missing(u64),
    /// A record of that number is there, but it is another one.
    Differs(u64),
    /// The anchored record is older than this file: it stands in one that was set aside.
    SetAside(u64),
}

impl Verification {
    /// Nothing is wrong with it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem.is_none()
    }

    /// A file that could not be read at all.
    pub(crate) fn unreadable(what: String, took_ms: u64) -> Self {
        let problem = Some(BadRecord { seq: 0, what });
        Self { entries: 0, head: None, problem, anchor: AnchorState::None, took_ms }
    }
}

/// Walks the whole chain in `path`, read through `connection`.
///
/// Only what has nothing to do with the content is an error (locked, not permitted).
pub(crate) fn walk(connection: &Connection, path: &Path, anchor: Option<&Anchor>) -> Result<Verification, LedgerError> {
    let begun = Instant::now();
    let mut walk = Walk::default();
    let outcome = rows(connection, &mut walk, anchor);
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut problem = match outcome {
        Ok(problem) => problem,
        Err(error) if is_content(&error) => {
            Some(BadRecord { seq: walk.next(), what: format!("the file is damaged: {error}") })
        }
        Err(source) => return Err(LedgerError::database("verify", path, source)),
    };
    let anchor = walk.anchor_state(anchor);
    if problem.is_none() {
        problem = anchor_problem(anchor, walk.next());
    }
    let head = (walk.entries > 0).then_some((walk.head.seq, walk.head.hash));
    Ok(Verification { entries: walk.entries, head, problem, anchor, took_ms })
}

fn is_content(error: &rusqlite::Error) -> bool {
    // Missing tables come as `Unknown`: it is a database, but no ledger.
    error.sqlite_error_code().is_none_or(|code| {
        matches!(
            code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown | ErrorCode::TypeMismatch
        )
    })
}

fn rows(connection: &Connection, walk: &mut Walk, anchor: Option<&Anchor>) -> rusqlite::Result<Option<BadRecord>> {
    let mut statement = connection.prepare(&store::select("ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let step = match store::row(row)? {
            Ok(row) => walk.step(row, anchor),
            Err(bad) => Err(BadRecord { seq: bad.seq, what: bad.what }),
        };
        if let Err(bad) = step {
            return Ok(Some(bad));
        }
    }
    Ok(None)
}

#[derive(Debug)]
struct Walk {
    entries: u64,
    first: u64,
    head: Head,
    anchored: Option<bool>,
}

impl Default for Walk {
    fn default() -> Self {
        Self { entries: 0, first: 1, head: Head::none(), anchored: None }
    }
}

impl Walk {
    fn next(&self) -> u64 {
        self.head.seq + 1
    }

    fn step(&mut self, row: record::Row, anchor: Option<&Anchor>) -> Result<(), BadRecord> {
        let seq = row.seq;
        if self.entries > 0 && seq != self.next() {
            return Err(BadRecord { seq: self.next(), what: format!("it is missing; {seq} follows") });
        }
        let entry = record::read(row).map_err(|what| BadRecord { seq, what })?;
        if self.entries == 0 {
            begins(&entry).map_err(|what| BadRecord { seq: 1, what })?;
            self.first = seq;
        } else if entry.prev != self.head.hash {
            return Err(BadRecord { seq, what: format!("it does not follow record {}", self.head.seq) });
        }
        if let Some(anchor) = anchor.filter(|anchor| anchor.seq == seq) {
            self.anchored = Some(anchor.hash == entry.hash);
        }
        self.entries += 1;
        self.head = Head { seq, hash: entry.hash };
        Ok(())
    }

    fn anchor_state(&self, anchor: Option<&Anchor>) -> AnchorState {
        match (anchor, self.anchored) {
            (None, _) => AnchorState::None,
            (Some(anchor), Some(true)) => AnchorState::AnchoredAt(anchor.seq),
            (Some(anchor), Some(false)) => AnchorState::Differs(anchor.seq),
            (Some(anchor), None) if anchor.seq < self.first => AnchorState::SetAside(anchor.seq),
            (Some(anchor), None) => AnchorState::Missing(anchor.seq),
        }
    }
}

/// A chain begins with record 1, or with a rotation that names what it follows.
fn begins(entry: &Entry) -> Result<(), String> {
    if let Body::Rotated { old_head, old_seq, .. } = &entry.body {
        return if entry.seq == old_seq + 1 && entry.prev == *old_head {
            Ok(())
        } else {
            Err("the rotation does not follow the head it names".to_owned())
        };
    }
    if entry.seq != 1 {
        return Err(format!("it is missing; {} is the first", entry.seq));
    }
    if entry.prev != NO_HASH {
        return Err("the first record follows another one".to_owned());
    }
    Ok(())
}

fn anchor_problem(anchor: AnchorState, next: u64) -> Option<BadRecord> {
    match anchor {
        AnchorState::None | AnchorState::AnchoredAt(_) | AnchorState::SetAside(_) => None,
        AnchorState::Missing(seq) => Some(BadRecord {
            seq: next,
            what: format!("the ledger ends here, but the journal has seen record {seq}: cut off"),
        }),
        AnchorState::Differs(seq) => {
            Some(BadRecord { seq, what: "the journal has seen another record of this number: rewritten".to_owned() })
        }
    }
}
