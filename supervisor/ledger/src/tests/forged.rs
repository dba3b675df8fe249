//! Files made by somebody who knows the format: every hash is right, and what is not a ledger of ours is named all the same.
use std::path::Path;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use wbd_model::entry::{Body, Subject};

use super::{filled, manual, now, open, subject};
use crate::record::{self, Head, MAX_PAYLOAD_BYTES};
use crate::{Filter, LedgerError, Reader, Standing, Verification, database, files, store};

/// A ledger of one record that follows `head`.
fn begun(head: &Head, body: Body) -> Verification {
    let dir = tempfile::tempdir().unwrap();
    let (_, row) = record::follow(head, &now(1), Subject::default(), body).unwrap();
    store::create(&database(dir.path()), Some("host-a"), Some(&row)).unwrap();
    store::put_in_place(&database(dir.path())).unwrap();
    Reader::open(dir.path()).unwrap().verify().unwrap()
}

fn rotated(old_seq: u64, old_head: &str) -> Body {
    Body::Rotated {
        old_head: old_head.to_owned(),
        old_seq,
        file: "ledger-1.db".to_owned(),
        reason: "x".to_owned(),
        who: "root".to_owned(),
        debits_ms: Vec::new(),
        next_incident: 1,
        next_action: 1,
        state: None,
    }
}

#[test]
fn a_ledger_begins_with_record_1_or_with_a_rotation_that_follows_the_head_it_names() {
    let (hash, other) = ("a".repeat(64), "b".repeat(64));
    let head = Head { seq: 5, hash: hash.clone() };
    let good = begun(&head, rotated(5, &hash));
    assert_eq!((good.problem, good.entries, good.head.map(|head| head.0)), (None, 1, Some(6)));
    assert!(begun(&Head::none(), manual("x")).is_sound());
    let cases = [
        (&head, rotated(5, &other), "does not follow the head it names"),
        (&head, rotated(4, &hash), "does not follow the head it names"),
        (&head, rotated(6, &hash), "does not follow the head it names"),
        (&head, manual("x"), "it is missing; 6 is the first"),
        (&Head { seq: 0, hash }, manual("x"), "the first record follows another one"),
    ];
    for (head, body, words) in cases {
        let bad = begun(head, body);
        assert_eq!((bad.is_sound(), bad.entries, bad.head), (false, 0, None), "{words}");
        let problem = bad.problem.unwrap();
        assert!(problem.seq == 1 && problem.what.contains(words), "{words}: {problem:?}");
    }
}

#[test]
fn a_ledger_without_records_has_no_head() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let verification = ledger.verification();
    assert_eq!((verification.entries, &verification.head, verification.is_sound()), (0, &None, true));
}

#[test]
fn a_record_of_a_later_version_is_said_to_be_one_and_not_to_be_edited() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    let file = Connection::open(database(dir.path())).unwrap();
    let (prev, text): (String, String) = file
        .query_row("SELECT prev, payload FROM entry WHERE seq = 2", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let later = text.replace("\"manual\"", "\"foretold\"");
    assert_ne!(later, text);
    let set =
        |hash: &str| file.execute("UPDATE entry SET payload = ?1, hash = ?2 WHERE seq = 2", [&later, hash]).unwrap();
    set(&files::hex(&Sha256::digest(format!("{prev}\n{later}"))));
    let found = Reader::open(dir.path()).unwrap().verify().unwrap().problem.unwrap();
    assert!(found.seq == 2 && found.what.contains("no record this version knows"), "{found:?}");
    set(&"a".repeat(64));
    let found = Reader::open(dir.path()).unwrap().verify().unwrap().problem.unwrap();
    assert!(found.seq == 2 && found.what == "its text was edited", "{found:?}");
}

/// The text of the last record, in bytes.
fn last_bytes(dir: &Path) -> usize {
    let file = Connection::open(database(dir)).unwrap();
    let length = "SELECT length(CAST(payload AS BLOB)) FROM entry ORDER BY seq DESC LIMIT 1";
    file.query_row(length, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
}

#[test]
fn the_largest_record_is_kept_and_read_and_a_larger_one_neither() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    ledger.append(&now(1), subject(1), manual("")).unwrap();
    let room = MAX_PAYLOAD_BYTES - last_bytes(dir.path());
    let refused = ledger.append(&now(1), subject(1), manual(&"y".repeat(room + 1))).unwrap_err();
    assert!(matches!(refused, LedgerError::TooLarge { bytes, .. } if bytes == MAX_PAYLOAD_BYTES + 1), "{refused}");
    assert_eq!(ledger.append(&now(1), subject(1), manual(&"y".repeat(room))).unwrap().seq, 2);
    assert_eq!(last_bytes(dir.path()), MAX_PAYLOAD_BYTES);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!((reader.entries(&Filter::default()).unwrap().len(), reader.verify().unwrap().problem), (2, None));
    let file = Connection::open(database(dir.path())).unwrap();
    file.execute("UPDATE entry SET payload = payload || 'y' WHERE seq = 2", []).unwrap();
    let found = reader.verify().unwrap().problem.unwrap();
    assert!(found.seq == 2 && found.what.contains("more than any record"), "{found:?}");
    assert!(reader.entries(&Filter::default()).is_err());
}

#[test]
fn what_an_unfinished_beginning_left_is_swept_away_and_what_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = files::beside(&database(dir.path()), ".new");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        std::fs::write(files::beside(&fresh, suffix), "half a file").unwrap();
    }
    open(dir.path());
    let left = ["", "-wal", "-shm", "-journal"].map(|suffix| files::beside(&fresh, suffix).exists());
    assert_eq!(left, [false; 4]);

    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(files::beside(&database(dir.path()), ".new")).unwrap();
    let ledger = super::opened(dir.path());
    let Standing::Unusable(why) = ledger.standing() else { panic!("{:?}", ledger.standing()) };
    assert!(why.contains("cannot remove unfinished") && why.contains("ledger.db.new"), "{why}");
}

/// What a power cut would show: the disk is waited for at every record.
#[test]
fn the_writer_waits_for_the_disk_and_writes_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let asked = |pragma: &str| {
        let asked = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
        ledger.connection().query_row(&asked, [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!([asked("synchronous"), asked("journal_mode")], ["3", "wal"]);
}
