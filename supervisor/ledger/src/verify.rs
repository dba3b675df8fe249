//! Walks the chain and names the first bad record. Repairs nothing.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};
use wbd_model::entry::{Body, Entry};

use crate::anchor::Anchors;
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
    /// What the journal's anchors say about the chain.
    pub anchor: AnchorState,
    /// Why the journal could not be asked for them.
    pub unread: Option<String>,
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

/// The chain against all heads that were written into the journal: the worst of them, else the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorState {
    /// No anchor was given: root on this host could have rewritten everything.
    None,
    /// The chain holds every anchored record; the newest one.
    AnchoredAt(u64),
    /// An anchored record is not in the ledger: its end is cut off, or it is another ledger. The newest one.
    Missing(u64),
    /// A record of that number is there, but it is another one. The oldest such.
    Differs(u64),
    /// The anchored records are older than this file: they stand in one that was set aside.
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
        Self { entries: 0, head: None, problem, anchor: AnchorState::None, unread: None, took_ms }
    }
}

/// Walks the whole chain in `path`, read through `connection`.
///
/// Only what has nothing to do with the content is an error (locked, not permitted).
pub(crate) fn walk(connection: &Connection, path: &Path, anchors: &Anchors) -> Result<Verification, LedgerError> {
    let begun = Instant::now();
    let mut walk = Walk::new(anchors);
    let outcome = rows(connection, &mut walk);
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut problem = match outcome {
        Ok(problem) => problem,
        Err(error) if is_content(&error) => {
            Some(BadRecord { seq: walk.next(), what: format!("the file is damaged: {error}") })
        }
        Err(source) => return Err(LedgerError::database("verify", path, source)),
    };
    let anchor = walk.anchor_state();
    if problem.is_none() {
        problem = anchor_problem(anchor, walk.next());
    }
    let head = (walk.entries > 0).then_some((walk.head.seq, walk.head.hash));
    Ok(Verification { entries: walk.entries, head, problem, anchor, unread: anchors.unread.clone(), took_ms })
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

fn rows(connection: &Connection, walk: &mut Walk<'_>) -> rusqlite::Result<Option<BadRecord>> {
    let mut statement = connection.prepare(&store::select("ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let step = match store::row(row)? {
            Ok(row) => walk.step(row),
            Err(bad) => Err(BadRecord { seq: bad.seq, what: bad.what }),
        };
        if let Err(bad) = step {
            return Ok(Some(bad));
        }
    }
    Ok(None)
}

#[derive(Debug)]
struct Walk<'a> {
    entries: u64,
    first: u64,
    head: Head,
    /// The hashes that the journal has for a record; more than one where somebody has anchored a rewritten ledger.
    wanted: BTreeMap<u64, Vec<&'a str>>,
    anchored: Option<u64>,
    differs: Option<u64>,
}

impl<'a> Walk<'a> {
    fn new(anchors: &'a Anchors) -> Self {
        let mut wanted: BTreeMap<u64, Vec<&'a str>> = BTreeMap::new();
        for head in &anchors.heads {
            wanted.entry(head.seq).or_default().push(&head.hash);
        }
        Self { entries: 0, first: 1, head: Head::none(), wanted, anchored: None, differs: None }
    }

    fn next(&self) -> u64 {
        self.head.seq + 1
    }

    fn step(&mut self, row: record::Row) -> Result<(), BadRecord> {
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
        if let Some(hashes) = self.wanted.get(&seq) {
            if hashes.iter().all(|hash| *hash == entry.hash) {
                self.anchored = Some(seq);
            } else {
                self.differs.get_or_insert(seq);
            }
        }
        self.entries += 1;
        self.head = Head { seq, hash: entry.hash };
        Ok(())
    }

    fn anchor_state(&self) -> AnchorState {
        let newest = self.wanted.keys().next_back().copied();
        match (self.differs, newest, self.anchored) {
            (Some(seq), _, _) => AnchorState::Differs(seq),
            (None, None, _) => AnchorState::None,
            (None, Some(newest), _) if newest > self.head.seq => AnchorState::Missing(newest),
            (None, Some(_), Some(seq)) => AnchorState::AnchoredAt(seq),
            (None, Some(newest), None) => AnchorState::SetAside(newest),
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
