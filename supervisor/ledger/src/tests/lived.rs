//! Ledgers of hosts that lived through days of faults, written to real files: what is read back is the state that
//! wrote it, and whatever is done to the file, what is read is a part of what was written or is refused.
use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;
use wbd_engine::replay::replay;
use wbd_engine::state::State;
use wbd_model::entry::{Body, Entry};

use super::open;
use crate::{Anchor, AnchorState, Filter, Ledger, Reader, Standing, database, files};
use world::schedule::Schedule;

// The simulated hosts of the engine's own tests.
#[allow(dead_code, reason = "only the records that they leave are of use here")]
#[path = "../../../engine/tests/flaps/world/mod.rs"]
mod world;

/// The records of a host that lived, without hashes.
fn records(seed: u64) -> Vec<Entry> {
    world::lived(&Schedule::of(seed)).entries
}

/// They in a real ledger that is closed and opened again every few records; and the state that they make.
fn written(dir: &Path, seed: u64, most: usize) -> (Vec<Entry>, State) {
    let records = records(seed);
    let mut kept: Vec<Entry> = Vec::new();
    let mut ledger = open(dir);
    for (position, record) in records.into_iter().take(most).enumerate() {
        if position % 23 == 22 {
            drop(ledger);
            ledger = open(dir);
        }
        kept.push(keep(&mut ledger, record));
    }
    let state = replay(&kept);
    (kept, state)
}

fn keep(ledger: &mut Ledger, record: Entry) -> Entry {
    let Entry { at, subject, body, .. } = record;
    if let Body::Intent(intent) = body {
        ledger.write_intent(subject, *intent, &at).unwrap().entry().clone()
    } else {
        ledger.append(&at, subject, body).unwrap()
    }
}

fn read(dir: &Path) -> Result<Vec<Entry>, String> {
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let verification = reader.verify().map_err(|error| error.to_string())?;
    match verification.problem {
        Some(bad) => Err(format!("{}: {}", bad.seq, bad.what)),
        None => reader.entries(&Filter::default()).map_err(|error| error.to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::cases(24), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_of_the_file_is_the_state_that_wrote_it(seed in 0_u64..100_000) {
        let dir = super::fast_dir();
        let lived = world::lived(&Schedule::of(seed));
        let (kept, state) = written(dir.path(), seed, usize::MAX);
        prop_assert_eq!(&state, &lived.state);
        let read = read(dir.path()).unwrap();
        prop_assert_eq!(&read, &kept);
        prop_assert_eq!(replay(&read), lived.state);
    }

    /// One change of one record, of any column, or of the order: named at the first record that is not as it was.
    #[test]
    fn any_edit_drop_swap_or_copy_of_a_record_is_found_and_named(
        seed in 0_u64..40, first in any::<prop::sample::Index>(), second in any::<prop::sample::Index>(), how in 0..7_u8,
    ) {
        let dir = super::fast_dir();
        let (kept, _) = written(dir.path(), seed, 40);
        prop_assume!(kept.len() > 3);
        // The last one's loss is a cut: see below.
        let one = i64::try_from(first.index(kept.len() - 1) + 1).unwrap();
        let other = i64::try_from(second.index(kept.len()) + 1).unwrap();
        let file = Connection::open(database(dir.path())).unwrap();
        let columns = "payload, prev, hash, time, kind, incident, code, target";
        let changed = match how {
            0 => file.execute("DELETE FROM entry WHERE seq = ?1", [one]).unwrap(),
            1 => file.execute("UPDATE entry SET payload = replace(payload, '\"boot_ms\":', '\"boot_ms\":1') WHERE seq = ?1", [one]).unwrap(),
            2 => file.execute("UPDATE entry SET prev = lower(hex(randomblob(32))) WHERE seq = ?1", [one]).unwrap(),
            3 => file.execute("UPDATE entry SET time = time - 1 WHERE seq = ?1", [one]).unwrap(),
            4 => file.execute("UPDATE entry SET kind = kind || 'x' WHERE seq = ?1", [one]).unwrap(),
            5 if one != other => {
                file.execute("UPDATE entry SET seq = -1 WHERE seq = ?1", [one]).unwrap();
                file.execute("UPDATE entry SET seq = ?1 WHERE seq = ?2", [one, other]).unwrap();
                file.execute("UPDATE entry SET seq = ?1 WHERE seq = -1", [other]).unwrap()
            }
            6 if one != other => {
                let copy = format!("REPLACE INTO entry SELECT ?1, {columns} FROM entry WHERE seq = ?2");
                file.execute(&copy, [one, other]).unwrap()
            }
            _ => 0,
        };
        prop_assume!(changed == 1);
        drop(file);
        let bad = Reader::open(dir.path()).unwrap().verify().unwrap().problem;
        let expected = if how == 5 { one.min(other) } else { one };
        prop_assert_eq!(bad.map(|bad| bad.seq), u64::try_from(expected).ok());
        let ledger = super::opened(dir.path());
        prop_assert!(matches!(ledger.standing(), Standing::Broken(_)), "{:?}", ledger.standing());
    }

    /// A cut at a record's end is a ledger by itself: only the journal knows of the rest.
    #[test]
    fn a_cut_below_the_anchor_is_found_and_without_an_anchor_it_is_said_that_there_is_none(
        seed in 0_u64..40, keep in any::<prop::sample::Index>(), anchored in any::<prop::sample::Index>(),
    ) {
        let dir = super::fast_dir();
        let (kept, _) = written(dir.path(), seed, 40);
        prop_assume!(kept.len() > 3);
        let anchored = &kept[anchored.index(kept.len())];
        let anchor = Anchor { seq: anchored.seq, hash: anchored.hash.clone() };
        let left = u64::try_from(keep.index(kept.len())).unwrap();
        let file = Connection::open(database(dir.path())).unwrap();
        file.execute("DELETE FROM entry WHERE seq > ?1", [i64::try_from(left).unwrap()]).unwrap();
        drop(file);
        let reader = Reader::open(dir.path()).unwrap();
        let found = reader.verify_against(&anchor.clone().into()).unwrap();
        if left < anchor.seq {
            prop_assert_eq!((found.anchor, found.problem.map(|bad| bad.seq)), (AnchorState::Missing(anchor.seq), Some(left + 1)));
        } else {
            prop_assert_eq!((found.anchor, found.problem), (AnchorState::AnchoredAt(anchor.seq), None));
        }
        let alone = reader.verify().unwrap();
        prop_assert_eq!((alone.anchor, alone.entries, alone.problem), (AnchorState::None, left, None));
    }
}

/// The three files as a crash leaves them, and the records in them.
struct Files {
    kept: Vec<Entry>,
    main: Vec<u8>,
    wal: Vec<u8>,
}

impl Files {
    /// The older records in the one file, the younger ones in the write-ahead file.
    fn of(seed: u64, older: usize, younger: usize) -> Self {
        let dir = super::fast_dir();
        let (mut kept, _) = written(dir.path(), seed, older);
        let file = Connection::open(database(dir.path())).unwrap();
        file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(file);
        let mut ledger = open(dir.path());
        for record in records(seed).into_iter().skip(older).take(younger) {
            kept.push(keep(&mut ledger, record));
        }
        // Copied while it is open, as a crash would leave it.
        let path = database(dir.path());
        let main = std::fs::read(&path).unwrap();
        let wal = std::fs::read(files::beside(&path, "-wal")).unwrap();
        assert!(kept.len() == older + younger && wal.len() > 4096, "{} records, {} bytes", kept.len(), wal.len());
        Self { kept, main, wal }
    }

    /// What becomes of it with these bytes: a part of the records from the first one on, or refused.
    fn with(&self, dir: &Path, main: &[u8], wal: &[u8], what: &str) -> Option<usize> {
        let path = database(dir);
        for helper in ["-shm", "-wal"] {
            std::fs::remove_file(files::beside(&path, helper)).ok();
        }
        std::fs::write(&path, main).unwrap();
        std::fs::write(files::beside(&path, "-wal"), wal).unwrap();
        let ledger = super::opened(dir);
        if *ledger.standing() != Standing::Sound {
            return None;
        }
        let mut entries = Vec::new();
        ledger
            .each(&Filter::default(), |entry| {
                entries.push(entry);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert!(self.kept.starts_with(&entries), "{what}: {} records that were not written", entries.len());
        Some(entries.len())
    }
}

/// Every byte with `WBD_LONG`, else some of them, and all around the ends of pages and frames.
fn bytes(length: usize, step: usize) -> impl Iterator<Item = usize> {
    let step = if super::long() { 1 } else { step };
    let near =
        |at: usize, size: usize, from: usize| at >= from && ((at - from) % size < 3 || (at - from) % size > size - 3);
    (0..=length).filter(move |at| at % step == 0 || near(*at, 4096, 0) || near(*at, 4120, 32))
}

#[test]
fn a_cut_at_any_byte_of_the_write_ahead_file_recovers_a_prefix() {
    let files = Files::of(3, 12, 8);
    let dir = super::fast_dir();
    let mut lengths = std::collections::BTreeSet::new();
    for at in bytes(files.wal.len(), 61) {
        // The one file is whole: what was moved into it is never lost.
        let count = files.with(dir.path(), &files.main, &files.wal[..at], &format!("cut at {at}"));
        let count = count.unwrap_or_else(|| panic!("refused with the write-ahead file cut at {at}"));
        assert!(count >= 12, "cut at {at}");
        lengths.insert(count);
    }
    assert!(lengths.contains(&12) && lengths.contains(&20) && lengths.len() > 4, "{lengths:?}");
}

#[test]
fn a_cut_at_any_byte_of_the_one_file_recovers_a_prefix_or_is_refused() {
    let files = Files::of(3, 12, 8);
    let dir = super::fast_dir();
    let refused = bytes(files.main.len(), 61)
        .filter(|at| files.with(dir.path(), &files.main[..*at], &[], &format!("cut at {at}")).is_none())
        .count();
    assert!(refused > 0);
    for at in bytes(files.main.len(), 211) {
        files.with(dir.path(), &files.main[..at], &files.wal, &format!("cut at {at} beside the other file"));
    }
}

#[test]
fn a_changed_byte_anywhere_is_found_or_changes_no_record() {
    let files = Files::of(3, 12, 8);
    let dir = super::fast_dir();
    let (mut main, mut wal) = (files.main.clone(), files.wal.clone());
    let mut refused = 0;
    for at in bytes(files.main.len() - 1, 97) {
        main[at] ^= 0x11;
        refused += usize::from(files.with(dir.path(), &main, &[], &format!("byte {at}")).is_none());
        main[at] = files.main[at];
    }
    assert!(refused > 0);
    for at in bytes(files.wal.len() - 1, 97) {
        wal[at] ^= 0x11;
        files.with(dir.path(), &files.main, &wal, &format!("byte {at} of the write-ahead file"));
        wal[at] = files.wal[at];
    }
}
