//! The chain: what is written is read back, and every change to it is found and named.
use rusqlite::Connection;
use wbd_model::action::Action;
use wbd_model::entry::{Body, Outcome};
use wbd_model::incident::ActionId;

use super::{filled, intent, manual, now, open, rotation, subject};
use crate::{
    Anchor, AnchorState, Anchors, Filter, Ledger, LedgerError, Reader, Standing, Verification, database, rotate,
};

/// Changes the file as somebody with root and sqlite3 would, and verifies.
fn after(sql: &str) -> Verification {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let connection = Connection::open(database(dir.path())).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    Reader::open(dir.path()).unwrap().verify().unwrap()
}

fn problem(sql: &str) -> (u64, String) {
    let verification = after(sql);
    let bad = verification.problem.unwrap_or_else(|| panic!("not found: {sql}"));
    assert_eq!(verification.entries, bad.seq.saturating_sub(1), "{sql}");
    (bad.seq, bad.what)
}

#[test]
fn what_was_appended_is_read_back_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let first = ledger.append(&now(1), subject(3), manual("agent.stop")).unwrap();
    let recorded = ledger.write_intent(subject(3), intent(7, Action::AgentRestart {}), &now(2)).unwrap();
    assert_eq!((recorded.entry().seq, recorded.intent().action_id), (2, ActionId(7)));
    assert_eq!(recorded.subject(), &subject(3));
    let second = recorded.entry().clone();
    let outcome = Body::Outcome { action: ActionId(7), result: Outcome::Done, detail: "done".into(), took_ms: 4 };
    let rest = ledger.append_all(&now(3), vec![(subject(3), outcome), (subject(4), manual("x"))]).unwrap();
    assert_eq!(rest.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [3, 4]);

    // Read while the writer has it open.
    let reader = Reader::open(dir.path()).unwrap();
    let expected: Vec<_> = [first, second].into_iter().chain(rest).collect();
    assert_eq!(reader.entries(&Filter::default()).unwrap(), expected);
    let verification = reader.verify().unwrap();
    assert_eq!((verification.entries, verification.problem, verification.anchor), (4, None, AnchorState::None));
    assert_eq!(verification.head.as_ref().map(|(seq, hash)| (*seq, hash.as_str())), ledger.head());
}

#[test]
fn a_filter_chooses_and_keeps_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    ledger.append(&now(1), subject(3), manual("a")).unwrap();
    let _recorded = ledger.write_intent(subject(3), intent(7, Action::AgentRestart {}), &now(2)).unwrap();
    let outcome = Body::Outcome { action: ActionId(7), result: Outcome::Done, detail: "done".into(), took_ms: 4 };
    ledger.append_all(&now(3), vec![(subject(3), outcome), (subject(4), manual("x"))]).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let seqs = |filter: Filter| reader.entries(&filter).unwrap().iter().map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!(seqs(Filter { incident: Some(3), ..Filter::default() }), [1, 2, 3]);
    assert_eq!(seqs(Filter { kinds: vec!["intent".into(), "outcome".into()], ..Filter::default() }), [2, 3]);
    assert_eq!(
        seqs(Filter { code: Some("WBD-6007".into()), after_seq: Some(2), limit: Some(1), ..Filter::default() }),
        [3]
    );
    assert_eq!(seqs(Filter { limit: Some(2), last: true, ..Filter::default() }), [3, 4]);
    assert_eq!(seqs(Filter { target: Some("other".into()), ..Filter::default() }), [0u64; 0]);
}

#[test]
fn a_failure_is_found_by_either_of_its_codes_and_never_another_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    for (ms, code) in (1..).zip(["AEGIS-DNS", "NET-DNS", "IWSS-FTPLEAK", "IWSS-HTTPLEAK"]) {
        let code = Some(wbd_model::name::Code::new(code).unwrap());
        ledger.append(&now(ms), wbd_model::entry::Subject { code, ..subject(ms) }, manual("a")).unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    for (code, wanted) in [
        ("NET-DNS", &[1, 2][..]),
        ("AEGIS-DNS", &[1, 2]),
        ("HOST-FDLEAK", &[3, 4]),
        ("IWSS-FTPLEAK", &[3]),
        ("NET-NAME", &[]),
    ] {
        let found = reader.entries(&Filter { code: Some(code.to_owned()), ..Filter::default() }).unwrap();
        assert_eq!(found.iter().map(|entry| entry.seq).collect::<Vec<_>>(), wanted, "{code}");
    }
}

#[test]
fn an_intent_is_appended_by_a_permit_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let body = Body::Intent(Box::new(intent(1, Action::AgentStart {})));
    assert!(matches!(ledger.append(&now(1), subject(1), body), Err(LedgerError::IntentWithoutPermit)));
    assert_eq!(ledger.head(), None);
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let mut ledger = open(dir.path());
    assert_eq!(ledger.verification().entries, 3);
    assert_eq!(ledger.append(&now(4), subject(1), manual("x")).unwrap().seq, 4);
    assert!(Reader::open(dir.path()).unwrap().verify().unwrap().is_sound());
}

#[test]
fn every_changed_byte_of_a_payload_is_found() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let connection = Connection::open(database(dir.path())).unwrap();
    let payload: String =
        connection.query_row("SELECT payload FROM entry WHERE seq = 2", [], |row| row.get(0)).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let set = |bytes: &[u8]| {
        connection.execute("UPDATE entry SET payload = CAST(?1 AS TEXT) WHERE seq = 2", [bytes]).unwrap();
    };
    for position in 0..payload.len() {
        for change in [1u8, 0x20, 0x80] {
            let mut bytes = payload.clone().into_bytes();
            bytes[position] ^= change;
            set(&bytes);
            let found = reader.verify().unwrap();
            assert_eq!(found.problem.map(|bad| bad.seq), Some(2), "byte {position} ^ {change}");
        }
    }
    set(payload.as_bytes());
    assert!(reader.verify().unwrap().is_sound());
}

#[test]
fn every_kind_of_tampering_names_the_first_bad_record() {
    let table = [
        ("DELETE FROM entry WHERE seq = 3", 3, "missing"),
        ("DELETE FROM entry WHERE seq = 1", 1, "missing"),
        ("UPDATE entry SET prev = hash WHERE seq = 2", 2, "edited"),
        ("UPDATE entry SET hash = upper(hash) WHERE seq = 4", 4, "edited"),
        ("UPDATE entry SET code = 'WBD-5404' WHERE seq = 3", 3, "columns"),
        ("UPDATE entry SET kind = 'closed' WHERE seq = 5", 5, "columns"),
        ("UPDATE entry SET time = time + 1 WHERE seq = 5", 5, "columns"),
        ("UPDATE entry SET payload = x'ff00' WHERE seq = 4", 4, "not text"),
        ("UPDATE entry SET payload = '{' WHERE seq = 4", 4, "edited"),
        ("UPDATE entry SET seq = 6 WHERE seq = 5", 5, "missing"),
        (
            "UPDATE entry SET seq = 9 WHERE seq = 2; UPDATE entry SET seq = 2 WHERE seq = 3; UPDATE entry SET seq = 3 WHERE seq = 9",
            2,
            "swapped",
        ),
        // Re-chained from a forged second record on, but the first is what it was.
        ("UPDATE entry SET prev = '1111' WHERE seq = 2", 2, "edited"),
        ("DROP TABLE entry", 1, "damaged"),
    ];
    for (sql, seq, what) in table {
        let (found, text) = problem(sql);
        assert_eq!(found, seq, "{sql}: {text}");
        assert!(text.contains(what), "{sql}: {text}");
    }
}

#[test]
fn a_chain_rewritten_with_right_hashes_is_found_by_the_anchor_only() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path(), 5);
    let (seq, hash) = Reader::open(dir.path()).unwrap().head().unwrap().unwrap();
    let anchor = Anchor { seq, hash };
    let mut forged = open(other.path());
    for number in 1..=6 {
        forged.append(&now(number), subject(1), manual("forged")).unwrap();
    }
    let reader = Reader::open(other.path()).unwrap();
    assert!(reader.verify().unwrap().is_sound());
    let found = reader.verify_against(&anchor.clone().into()).unwrap();
    assert_eq!((found.anchor, found.problem.map(|bad| bad.seq)), (AnchorState::Differs(5), Some(5)));
}

#[test]
fn a_cut_off_end_is_found_by_the_anchor() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let (seq, hash) = Reader::open(dir.path()).unwrap().head().unwrap().unwrap();
    let anchor = Anchor { seq, hash };
    let whole = Reader::open(dir.path()).unwrap().verify_against(&anchor.clone().into()).unwrap();
    assert_eq!((whole.anchor, whole.problem), (AnchorState::AnchoredAt(5), None));
    Connection::open(database(dir.path())).unwrap().execute("DELETE FROM entry WHERE seq > 3", []).unwrap();
    let cut = Reader::open(dir.path()).unwrap().verify_against(&anchor.clone().into()).unwrap();
    assert_eq!((cut.anchor, cut.problem.map(|bad| bad.seq)), (AnchorState::Missing(5), Some(4)));
    let ledger = Ledger::open(dir.path(), None, &anchor.clone().into()).unwrap();
    assert!(matches!(ledger.standing(), Standing::Broken(bad) if bad.seq == 4));
}

/// A head that was anchored later, over a cut, makes nothing good: every one that the journal vouches for counts.
#[test]
fn a_cut_end_that_was_anchored_all_the_same_is_found_by_the_older_anchors() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let head = || {
        let (seq, hash) = Reader::open(dir.path()).unwrap().head().unwrap().unwrap();
        Anchor { seq, hash }
    };
    let verified = |heads: &[&Anchor]| {
        let heads = heads.iter().map(|head| (*head).clone()).collect();
        let found = Reader::open(dir.path()).unwrap().verify_against(&Anchors { heads, unread: None }).unwrap();
        (found.anchor, found.problem.map(|bad| bad.seq))
    };
    let whole = head();
    Connection::open(database(dir.path())).unwrap().execute("DELETE FROM entry WHERE seq > 3", []).unwrap();
    let cut = head();
    assert_eq!(verified(&[&cut]), (AnchorState::AnchoredAt(3), None));
    assert_eq!(verified(&[&whole, &cut]), (AnchorState::Missing(5), Some(4)));
    let mut ledger = open(dir.path());
    for number in 4..=8 {
        ledger.append(&now(number), subject(1), manual("another tail")).unwrap();
    }
    drop(ledger);
    let grown = head();
    assert_eq!(verified(&[&cut, &grown]), (AnchorState::AnchoredAt(8), None), "a twin that was never cut");
    assert_eq!(verified(&[&whole, &cut, &grown]), (AnchorState::Differs(5), Some(5)));
    let other = Anchor { hash: "a".repeat(64), ..cut.clone() };
    assert_eq!(verified(&[&cut, &other]), (AnchorState::Differs(3), Some(3)), "two heads of one number");

    // Only a rotation ends it, and it leaves every anchor behind.
    let heads = vec![whole.clone(), cut.clone(), grown.clone()];
    let mut ledger = Ledger::open(dir.path(), Some("host-a"), &Anchors { heads, unread: None }).unwrap();
    assert!(matches!(ledger.standing(), Standing::Broken(bad) if bad.seq == 5));
    ledger.rotate(&now(10), &rotation("cut")).unwrap();
    assert_eq!(*ledger.standing(), Standing::Sound);
    drop(ledger);
    assert_eq!(verified(&[&whole, &cut, &grown]), (AnchorState::SetAside(8), None));
}

#[test]
fn a_journal_that_cannot_be_read_is_said_and_makes_nothing_bad() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let anchors = Anchors { heads: Vec::new(), unread: Some("it hangs".to_owned()) };
    let found = Reader::open(dir.path()).unwrap().verify_against(&anchors).unwrap();
    assert_eq!((found.anchor, found.problem, found.unread.as_deref()), (AnchorState::None, None, Some("it hangs")));
    assert_eq!(*Ledger::open(dir.path(), None, &anchors).unwrap().standing(), Standing::Sound);
}

#[test]
fn a_bad_ledger_takes_nothing_until_it_is_rotated_and_the_new_one_names_the_old_head() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let head = Reader::open(dir.path()).unwrap().head().unwrap().unwrap();
    Connection::open(database(dir.path()))
        .unwrap()
        .execute("UPDATE entry SET payload = '{}' WHERE seq = 2", [])
        .unwrap();
    let mut ledger = Ledger::open(dir.path(), Some("host-a"), &Anchors::default()).unwrap();
    let refused = ledger.append(&now(1), subject(1), manual("x")).unwrap_err();
    assert!(matches!(refused, LedgerError::DoesNotVerify { seq: 2, .. }), "{refused}");

    let first = ledger.rotate(&now(10), &rotation("tampered")).unwrap();
    let Body::Rotated { old_head, old_seq, file, debits_ms, next_action, .. } = &first.body else {
        panic!("{first:?}")
    };
    assert_eq!((*old_seq, old_head), (head.0, &head.1));
    assert_eq!((debits_ms.as_slice(), *next_action), ([5, 6].as_slice(), 12));
    assert!(dir.path().join(file).exists());
    assert_eq!((first.seq, &first.prev), (6, &head.1));
    assert_eq!(ledger.append(&now(11), subject(1), manual("x")).unwrap().seq, 7);
    let anchor = Anchor { seq: head.0, hash: head.1 };
    let verification = Reader::open(dir.path()).unwrap().verify_against(&anchor.clone().into()).unwrap();
    assert_eq!((verification.entries, verification.problem, verification.anchor), (2, None, AnchorState::SetAside(5)));
}

#[test]
fn rotating_twice_at_one_moment_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    rotate(dir.path(), Some("host-a"), &now(10), &rotation("a")).unwrap();
    rotate(dir.path(), Some("host-a"), &now(10), &rotation("b")).unwrap();
    let count = |name: &str| {
        let connection = Connection::open(dir.path().join(name)).unwrap();
        connection.query_row("SELECT count(*) FROM entry", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let name = format!("ledger-{}", now(10).wall_ms);
    assert_eq!((count(&format!("{name}.db")), count(&format!("{name}-1.db")), count("ledger.db")), (2, 1, 1));
    assert!(Reader::open(dir.path()).unwrap().verify().unwrap().is_sound());
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_the_journals_head_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = "no database at all ".repeat(300);
    std::fs::write(database(dir.path()), &garbage).unwrap();
    let mut ledger = Ledger::open(dir.path(), Some("host-a"), &Anchors::default()).unwrap();
    assert!(matches!(ledger.standing(), Standing::Broken(bad) if bad.seq == 0), "{:?}", ledger.standing());
    let anchor = Anchor { seq: 41, hash: "a".repeat(64) };
    let first =
        ledger.rotate(&now(1), &crate::Rotation { anchor: Some(anchor.clone()), ..rotation("garbage") }).unwrap();
    assert_eq!((first.seq, &first.prev), (42, &anchor.hash));
    assert_eq!(*ledger.standing(), Standing::Sound);
    let Body::Rotated { file, .. } = &first.body else { panic!("{first:?}") };
    assert_eq!(std::fs::read_to_string(dir.path().join(file)).unwrap(), garbage);
    assert!(Reader::open(dir.path()).unwrap().verify_against(&anchor.clone().into()).unwrap().is_sound());
}

#[test]
fn the_hash_can_be_checked_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    let connection = Connection::open(database(dir.path())).unwrap();
    let (text, hash): (String, String) = connection
        .query_row("SELECT prev || char(10) || payload, hash FROM entry WHERE seq = 2", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    use sha2::Digest as _;
    assert_eq!(crate::files::hex(&sha2::Sha256::digest(text)), hash);
}
