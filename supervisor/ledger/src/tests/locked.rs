//! Files that another program keeps locked: that is said, and is neither damage nor a reason to throw anything away.
use rusqlite::Connection;

use super::{filled, opened};
use crate::{LedgerError, Reader, Samples, Standing, database, samples_database};
use wbd_model::sample::SegmentId;

/// As a program does that keeps a rollback journal and writes: nobody else may even read.
fn locked(path: &std::path::Path) -> Connection {
    let other = Connection::open(path).unwrap();
    other.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    other
}

#[test]
fn a_locked_ledger_is_busy_for_writer_and_reader_and_nothing_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let other = locked(&database(dir.path()));
    let refused = Reader::open(dir.path()).unwrap_err();
    assert!(matches!(refused, LedgerError::Busy { operation: "open", .. }), "{refused}");
    let ledger = opened(dir.path());
    let Standing::Unusable(why) = ledger.standing() else { panic!("{:?}", ledger.standing()) };
    assert!(why.contains("another program keeps it locked"), "{why}");
    drop((other, ledger));
    assert_eq!(*opened(dir.path()).standing(), Standing::Sound);
}

#[test]
fn a_ledger_that_is_locked_in_the_middle_cannot_be_verified_and_does_not_fail_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let other = locked(&database(dir.path()));
    other.execute_batch("COMMIT").unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let refused = reader.verify().unwrap_err();
    assert!(matches!(refused, LedgerError::Busy { operation: "verify", .. }), "{refused}");
    other.execute_batch("COMMIT").unwrap();
    assert!(reader.verify().unwrap().is_sound());
}

#[test]
fn locked_samples_are_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let segment = SegmentId { process: "main".into(), start_ticks: 1, boot_id: "b1".into(), executable: "e".into() };
    Samples::open(dir.path(), 300).unwrap().add(&segment, 1_000, 10, 1024).unwrap();
    let other = locked(&samples_database(dir.path()));
    assert!(Samples::open(dir.path(), 300).is_err());
    drop(other);
    assert_eq!(Samples::open(dir.path(), 300).unwrap().series(&segment).unwrap().readings.len(), 1);
}
