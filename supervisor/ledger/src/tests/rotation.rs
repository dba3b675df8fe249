//! Rotations: when one is due, what the new file follows, and one that fails leaves everything as it was.
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use wbd_model::entry::{Body, Entry};

use super::{filled, manual, now, open, opened, rotation, subject};
use crate::{Anchor, Anchors, Filter, Ledger, LedgerError, Reader, Rotation, Standing, database, files, rotate};

const DAY_MS: i64 = 86_400_000;

fn head(dir: &Path) -> (u64, String) {
    Reader::open(dir).unwrap().head().unwrap().unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_ledger_is_rotated_at_64_mib_or_after_a_year_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    ledger.append(&now(0), subject(1), manual("first")).unwrap();
    let mut later = now(0);
    later.wall_ms += 364 * DAY_MS;
    ledger.append(&later, subject(1), manual("last")).unwrap();
    let begun = now(0).wall_ms;
    let due = |ms: i64| ledger.rotation_due(&wbd_model::time::Now { wall_ms: begun + ms, ..now(1) });
    assert_eq!([due(0), due(365 * DAY_MS - 1), due(-DAY_MS)], [None; 3]);
    assert_eq!(due(365 * DAY_MS), Some("it is a year old"));
    let file = fs::File::options().write(true).open(database(dir.path())).unwrap();
    file.set_len((64 << 20) - 1).unwrap();
    assert_eq!(due(0), None);
    file.set_len(64 << 20).unwrap();
    assert_eq!(due(0), Some("it has reached 64 MiB"));
}

#[test]
fn a_new_file_follows_the_old_head_unless_the_journal_has_seen_a_later_one() {
    let anchor = |seq: u64| Anchor { seq, hash: "c".repeat(64) };
    let rotated = |anchor: Option<Anchor>| -> (Entry, (u64, String)) {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 5);
        let old = head(dir.path());
        (rotate(dir.path(), Some("host-a"), &now(9), &Rotation { anchor, ..rotation("x") }).unwrap(), old)
    };
    for seen in [None, Some(anchor(3)), Some(anchor(5))] {
        let (first, old) = rotated(seen.clone());
        assert_eq!((first.seq, first.prev), (6, old.1), "{seen:?}");
    }
    let (first, _) = rotated(Some(anchor(8)));
    assert_eq!((first.seq, first.prev), (9, anchor(8).hash));
}

#[test]
fn a_ledger_whose_end_was_cut_is_followed_from_the_newest_head_of_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let heads: Vec<Anchor> = Reader::open(dir.path())
        .unwrap()
        .entries(&Filter::default())
        .unwrap()
        .into_iter()
        .map(|entry| Anchor { seq: entry.seq, hash: entry.hash })
        .collect();
    Connection::open(database(dir.path())).unwrap().execute("DELETE FROM entry WHERE seq > 2", []).unwrap();
    let newest = heads[4].clone();
    let heads = vec![heads[1].clone(), newest.clone(), heads[3].clone()];
    let mut ledger = Ledger::open(dir.path(), Some("host-a"), &Anchors { heads, unread: None }).unwrap();
    let first = ledger.rotate(&now(9), &rotation("cut")).unwrap();
    assert_eq!((first.seq, first.prev), (6, newest.hash));
    assert_eq!(*ledger.standing(), Standing::Sound);
}

#[test]
fn where_no_ledger_is_none_is_rotated_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let refused = rotate(dir.path(), None, &now(1), &rotation("x")).unwrap_err();
    assert!(matches!(refused, LedgerError::NotThere { .. }), "{refused}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_rotation_that_a_reader_holds_up_loses_no_record_and_begins_with_none_of_them() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let mut ledger = open(dir.path());
    let reader = Connection::open(database(dir.path())).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    for number in 4..=8 {
        ledger.append(&now(number), subject(1), manual("while somebody reads")).unwrap();
    }
    let first = ledger.rotate(&now(9), &rotation("x")).unwrap();
    reader.execute_batch("COMMIT").unwrap();
    let Body::Rotated { file, old_seq, .. } = &first.body else { panic!("{first:?}") };
    assert_eq!((*old_seq, ledger.verification().entries), (8, 1));
    let aside = Connection::open(dir.path().join(file)).unwrap();
    let kept: i64 = aside.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 8);
}

/// What stands in the way of a rotation is named, and the old ledger goes on as if none had been asked for.
#[test]
fn a_rotation_that_fails_leaves_the_old_ledger_and_no_second_name() {
    let moment = now(9).wall_ms;
    let folder_in_the_way = |dir: &Path, name: &str| fs::create_dir_all(dir.join(name)).unwrap();
    let ways = [
        ("cannot set aside", format!("ledger-{moment}.db-wal")),
        ("cannot remove unfinished", "ledger.db.new/x".to_owned()),
    ];
    for (words, name) in ways {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 3);
        let mut ledger = open(dir.path());
        assert!(files::beside(&database(dir.path()), "-wal").exists());
        folder_in_the_way(dir.path(), &name);
        let before = names(dir.path());
        let refused = ledger.rotate(&now(9), &rotation("x")).unwrap_err();
        assert!(refused.to_string().contains(words), "{words}: {refused}");
        assert_eq!(*ledger.standing(), Standing::Sound, "{words}");
        assert_eq!(ledger.append(&now(10), subject(1), manual("goes on")).unwrap().seq, 4, "{words}");
        let mut after = names(dir.path());
        // The new file that never came into its place is swept away by the next try.
        after.retain(|name| name != "ledger.db.new" || before.contains(name));
        assert_eq!(after, before, "{words}");
    }
}

#[test]
fn an_index_that_cannot_be_removed_stops_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(database(dir.path()), "no database at all ".repeat(300)).unwrap();
    fs::create_dir(dir.path().join("ledger.db-shm")).unwrap();
    let mut ledger = opened(dir.path());
    let refused = ledger.rotate(&now(9), &rotation("x")).unwrap_err();
    assert!(refused.to_string().contains("cannot remove index of"), "{refused}");
    assert!(matches!(ledger.standing(), Standing::Broken(_)));
}

#[test]
fn a_ledger_that_was_taken_away_is_not_said_to_be_in_its_own_way() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let mut ledger = open(dir.path());
    fs::rename(database(dir.path()), dir.path().join("taken.db")).unwrap();
    let refused = ledger.rotate(&now(9), &rotation("x")).unwrap_err();
    let LedgerError::Io { operation: "set aside", source, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}
