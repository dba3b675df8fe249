//! Hosts that go wrong: full disks, foreign and vanished files; and the reserve for that time.
use std::os::unix::fs::MetadataExt as _;

use wbd_model::action::{Action, UnitRestart};
use wbd_model::entry::{Body, Outcome};
use wbd_model::incident::ActionId;

use super::{adopt, filled, intent, manual, now, open, subject};
use crate::{Anchors, Filter, Ledger, LedgerError, RESERVE_SLOTS, Reader, Standing, database, reserved};

fn fill_disk(ledger: &mut Ledger) -> LedgerError {
    let pages: i64 = ledger.connection().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    ledger.connection().query_row(&format!("PRAGMA max_page_count = {}", pages + 1), [], |_| Ok(())).unwrap();
    (0..2000).find_map(|_| ledger.append(&now(5), subject(1), manual(&"y".repeat(500))).err()).expect("never full")
}

#[test]
fn a_full_disk_is_said_and_what_was_kept_stays_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let refused = fill_disk(&mut ledger);
    assert!(matches!(refused, LedgerError::DiskFull { .. }), "{refused:?}");
    let kept = ledger.head().unwrap().0;
    let intent = intent(1, Action::AgentRestart {});
    let big = subject(1);
    let mut large = intent.clone();
    large.rung_id = "z".repeat(5000);
    assert!(matches!(ledger.write_intent(big, large, &now(6)), Err(LedgerError::DiskFull { .. })));
    assert_eq!(Reader::open(dir.path()).unwrap().verify().unwrap().entries, kept);
    ledger.connection().query_row("PRAGMA max_page_count = 100000", [], |_| Ok(())).unwrap();
    assert_eq!(ledger.write_intent(subject(1), intent, &now(7)).unwrap().entry().seq, kept + 1);
    assert!(Reader::open(dir.path()).unwrap().verify().unwrap().is_sound());
}

#[test]
fn without_a_ledger_two_restarts_of_the_agent_remain_and_are_counted_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let restart = || intent(3, Action::AgentRestart {});
    let refused = ledger.reserve_intent(subject(1), restart(), &now(1)).unwrap_err();
    assert!(refused.to_string().contains("the ledger works"), "{refused}");
    fill_disk(&mut ledger);
    let other = intent(2, Action::UnitRestart(UnitRestart { unit: "named.service".into() }));
    assert!(matches!(ledger.reserve_intent(subject(1), other, &now(1)), Err(LedgerError::Reserve { .. })));
    for number in 0..u64::try_from(RESERVE_SLOTS).unwrap() {
        let recorded =
            ledger.reserve_intent(subject(1), intent(3 + number, Action::AgentRestart {}), &now(10 + number)).unwrap();
        assert_eq!(recorded.entry().seq, 0);
    }
    assert_eq!((ledger.reserve_left(), reserved(dir.path()).len()), (0, RESERVE_SLOTS));
    assert!(matches!(ledger.reserve_intent(subject(1), restart(), &now(20)), Err(LedgerError::Reserve { .. })));
    drop(ledger);

    // The reserve outlives the process; what was used is not there again.
    let mut ledger = open(dir.path());
    assert_eq!(ledger.reserve_left(), 0);
    let adopted = adopt(&mut ledger, &now(50));
    let kinds: Vec<_> = adopted.iter().map(|entry| (entry.body.kind(), entry.at.boot_ms)).collect();
    assert_eq!(kinds, [("intent", 50), ("outcome", 50), ("intent", 50), ("outcome", 50)]);
    assert!(
        adopted
            .iter()
            .any(|entry| matches!(entry.body, Body::Outcome { action: ActionId(3), result: Outcome::Unknown, .. }))
    );
    assert_eq!((ledger.reserve_left(), adopt(&mut ledger, &now(60)).len()), (RESERVE_SLOTS, 0));
}

#[test]
fn a_reserve_adopted_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    fill_disk(&mut ledger);
    let _ = ledger.reserve_intent(subject(1), intent(3, Action::AgentStart {}), &now(1)).unwrap();
    drop(ledger);
    let slots = std::fs::read(dir.path().join("ledger.reserve")).unwrap();
    let mut ledger = open(dir.path());
    assert_eq!(adopt(&mut ledger, &now(60)).len(), 2);
    drop(ledger);
    // As after a crash between the append and the clearing of the slots.
    std::fs::write(dir.path().join("ledger.reserve"), slots).unwrap();
    assert_eq!(adopt(&mut open(dir.path()), &now(60)).len(), 0);
}

#[test]
fn a_restart_for_an_incident_that_only_the_lost_memory_knew_is_nobodys_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    fill_disk(&mut ledger);
    let _ = ledger.reserve_intent(subject(9), intent(3, Action::AgentStart {}), &now(1)).unwrap();
    drop(ledger);
    let adopted = open(dir.path()).adopt_reserve(&now(60), &[], |_| false).unwrap();
    assert!(adopted.iter().all(|entry| entry.subject.incident.is_none()), "{adopted:?}");
    let Body::Outcome { detail, .. } = &adopted[1].body else { panic!("{adopted:?}") };
    assert!(detail.contains("I9"), "{detail}");
}

#[test]
fn what_waits_for_its_place_is_appended_once_and_nothing_that_the_reserve_does_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    fill_disk(&mut ledger);
    let ours = intent(3, Action::AgentStart {});
    let _ = ledger.reserve_intent(subject(1), ours.clone(), &now(1)).unwrap();
    ledger.reopen(&Anchors::default());
    let waiting = [ours.clone()];
    assert!(ledger.adopt_reserve(&now(60), &waiting, |_| true).unwrap().is_empty(), "it follows in its place");
    let forged = intent(4, Action::AgentStart {});
    let refused = ledger.append_reserved(&now(2), subject(1), forged);
    assert!(matches!(refused, Err(LedgerError::IntentWithoutPermit)), "{refused:?}");
    let appended = ledger.append_reserved(&now(2), subject(1), ours.clone()).unwrap();
    assert_eq!(appended.map(|entry| entry.at.boot_ms), Some(2));
    assert_eq!(ledger.append_reserved(&now(2), subject(1), ours).unwrap(), None);
    assert_eq!(ledger.reserve_left(), RESERVE_SLOTS - 1);
    ledger.refill_reserve(&now(3));
    assert_eq!(ledger.reserve_left(), RESERVE_SLOTS);
}

#[test]
fn a_torn_slot_is_spent_and_is_no_restart() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join("ledger.reserve");
    let mut slots = std::fs::read(&path).unwrap();
    slots[..40].fill(b'a');
    std::fs::write(&path, slots).unwrap();
    let ledger = open(dir.path());
    assert_eq!((ledger.reserve_left(), reserved(dir.path()).len()), (RESERVE_SLOTS - 1, 0));
}

#[test]
fn a_ledger_of_another_host_is_foreign_until_rotated() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    let mut ledger = Ledger::open(dir.path(), Some("host-b"), &Anchors::default()).unwrap();
    assert_eq!(*ledger.standing(), Standing::Foreign);
    assert!(matches!(ledger.append(&now(1), subject(1), manual("x")), Err(LedgerError::ForeignHost { .. })));
    let foreign = |host| Reader::open(dir.path()).unwrap().is_foreign(host);
    assert_eq!([Some("host-b"), Some("host-a"), None].map(foreign), [true, false, false]);
    ledger.rotate(&now(2), &super::rotation("cloned")).unwrap();
    assert_eq!(*ledger.standing(), Standing::Sound);
    drop(ledger);
    // A host without a name proves nothing against it.
    let unnamed = Ledger::open(dir.path(), None, &Anchors::default()).unwrap();
    assert_eq!(*unnamed.standing(), Standing::Sound);
}

#[test]
fn a_ledger_removed_under_its_writer_keeps_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    let mut ledger = open(dir.path());
    std::fs::rename(database(dir.path()), dir.path().join("taken.db")).unwrap();
    assert!(matches!(ledger.append(&now(1), subject(1), manual("x")), Err(LedgerError::Replaced { .. })));
    assert!(matches!(ledger.standing(), Standing::Unusable(_)));
}

#[test]
fn a_record_slipped_in_under_the_writer_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    let mut ledger = open(dir.path());
    let other = rusqlite::Connection::open(database(dir.path())).unwrap();
    other.execute("INSERT INTO entry SELECT 3, payload, prev, hash, time, kind, incident, code, target FROM entry WHERE seq = 2", []).unwrap();
    let refused = ledger.append(&now(1), subject(1), manual("x")).unwrap_err();
    assert!(matches!(refused, LedgerError::DoesNotVerify { .. }), "{refused}");
    assert!(matches!(ledger.standing(), Standing::Broken(_)));
}

#[test]
fn no_ledger_is_told_apart_from_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(LedgerError::NotThere { .. })));
    std::os::unix::fs::symlink("ledger.db", database(dir.path())).unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(LedgerError::Io { operation: "read", .. })), "a link to itself");
    std::fs::remove_file(database(dir.path())).unwrap();
    std::fs::write(database(dir.path()), "garbage ".repeat(100)).unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(LedgerError::DoesNotVerify { .. })));
    std::fs::write(database(dir.path()), "").unwrap();
    let empty = Reader::open(dir.path()).unwrap();
    assert!(empty.verify().unwrap().problem.is_some());
    assert!(empty.entries(&Filter::default()).is_err());
    drop(empty);
    let ledger = Ledger::open(dir.path(), None, &Anchors::default()).unwrap();
    assert!(matches!(ledger.standing(), Standing::Broken(_)), "{:?}", ledger.standing());
}

#[test]
fn a_damaged_page_is_a_verdict_and_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 200);
    let connection = rusqlite::Connection::open(database(dir.path())).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let path = database(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let verification = Reader::open(dir.path()).unwrap().verify().unwrap();
    assert!(verification.problem.is_some_and(|bad| bad.what.contains("damaged")));
    bytes.truncate(middle + 100);
    std::fs::write(&path, &bytes).unwrap();
    assert!(Reader::open(dir.path()).map_or(true, |reader| reader.verify().unwrap().problem.is_some()));
}

#[test]
fn a_disk_that_takes_no_marks_leaves_the_two_restarts_of_this_boot_and_a_reboot_grants_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let run = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    adopt(&mut ledger, &now(1));
    drop(ledger);
    // Read-only: the file of the reserve can be read and not written, whoever asks.
    let path = dir.path().join("ledger.reserve");
    let bytes = std::fs::read(&path).unwrap();
    let sealed = rustix::fs::memfd_create("reserve", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let mut memory = std::fs::File::from(sealed);
    std::io::Write::write_all(&mut memory, &bytes).unwrap();
    rustix::fs::fcntl_add_seals(&memory, rustix::fs::SealFlags::WRITE).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory)), &path).unwrap();
    let degraded = || {
        let mut ledger = Ledger::open(dir.path(), None, &Anchors::default()).unwrap();
        ledger.mark_reserve_in(run.path());
        ledger.distrust("the disk is read-only");
        ledger
    };
    let mut ledger = degraded();
    assert!(ledger.append(&now(2), subject(1), manual("x")).is_err());
    assert_eq!(ledger.reserve_left(), RESERVE_SLOTS);
    let _ = ledger.reserve_intent(subject(1), intent(3, Action::AgentRestart {}), &now(3)).unwrap();
    drop(ledger);
    // The supervisor's own end grants nothing.
    let mut ledger = degraded();
    assert_eq!((ledger.reserve_left(), ledger.reserved().len()), (RESERVE_SLOTS - 1, 1));
    let _ = ledger.reserve_intent(subject(1), intent(4, Action::AgentRestart {}), &now(4)).unwrap();
    assert!(ledger.reserve_intent(subject(1), intent(5, Action::AgentRestart {}), &now(5)).is_err());
    drop(ledger);
    // After a reboot the marks are gone, and the reserve is not of this boot.
    let marks = std::fs::read(run.path().join("reserve.marks")).unwrap();
    std::fs::remove_file(run.path().join("reserve.marks")).unwrap();
    let mut ledger = degraded();
    let mut later = now(6);
    later.boot.0 = "another boot".to_owned();
    assert!(ledger.reserve_intent(subject(1), intent(6, Action::AgentRestart {}), &later).is_err());
    drop(ledger);
    // The disk takes writes again: both are taken in, once, and the reserve is whole.
    std::fs::write(run.path().join("reserve.marks"), marks).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let mut ledger = open(dir.path());
    ledger.mark_reserve_in(run.path());
    assert_eq!(adopt(&mut ledger, &now(7)).len(), 4);
    assert_eq!((adopt(&mut ledger, &now(8)).len(), ledger.reserve_left()), (0, RESERVE_SLOTS));
    assert!(!run.path().join("reserve.marks").exists());
}

#[test]
fn whoever_may_not_read_it_is_sent_to_root_since_no_group_of_wbd_can() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let file = std::fs::metadata(database(dir.path())).unwrap();
    let folder = std::fs::metadata(dir.path()).unwrap();
    assert_eq!((file.mode() & 0o007, file.gid()), (0, folder.gid()), "the folder's own group, and nobody else");
    let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let words = LedgerError::io("read", &database(dir.path()), refused).to_string();
    assert!(words.contains("not permitted; run as root") && !words.contains("wbd-admin"), "{words}");
}
