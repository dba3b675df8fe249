//! The ledger writer on a real ledger in a folder that goes wrong: what waits, what still counts, what remains
//! possible.
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use wbd_engine::guard;
use wbd_engine::replay::replay;
use wbd_engine::state::Captured;
use wbd_ledger::Reader;
use wbd_model::action::{Action, AgentStop, Class, SysctlRestore, SysctlSet};
use wbd_model::incident::IncidentId;
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::settings::Settings;
use wbd_probes::clock::now;

use super::*;

const BUDGET: HostBudget = HostBudget::of(3, 6);

fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(wbd_ledger::state_dir(root.path())).unwrap();
    root
}

fn open(root: &TempDir) -> LedgerWriter {
    let writer = LedgerWriter::open(root.path()).unwrap();
    assert_eq!(writer.degraded, "");
    writer
}

fn manual(what: &str) -> Body {
    Body::Manual { what: what.to_owned(), who: "root".to_owned(), params: String::new() }
}

fn hold(why: &str) -> Body {
    Body::Hold {
        who: "root".to_owned(),
        why: why.to_owned(),
        until_wall_ms: None,
        from_class: Class::A1,
        file: None,
        busy: None,
    }
}

fn note(writer: &mut LedgerWriter, body: Body) {
    writer.write(&now(), Subject::default(), body);
}

fn permit(writer: &LedgerWriter, action: Action) -> Permit {
    guard::permit_by_hand(&writer.state, &now(), "root", action, None, Captured::default()).unwrap()
}

fn kinds(root: &TempDir) -> Vec<&'static str> {
    let reader = Reader::open(&wbd_ledger::state_dir(root.path())).unwrap();
    assert!(reader.verify().unwrap().is_sound());
    reader.entries(&Filter::default()).unwrap().iter().map(|entry| entry.body.kind()).collect()
}

/// The ledger's files under another name, and back.
fn hide(root: &TempDir, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let place = |name: &str| -> PathBuf { wbd_ledger::state_dir(root.path()).join(format!("{name}{end}")) };
        let _ = fs::remove_file(place(to));
        let _ = fs::rename(place(from), place(to));
    }
}

/// Disruptive actions that are left, in this hour and this day.
fn left(writer: &LedgerWriter) -> (u32, u32) {
    let settings = Settings { budget: BUDGET, ..Settings::default() };
    guard::budget_left(&writer.state, &settings, &now())
}

/// A file that is no ledger at all tells nothing, and what it held may have been anything.
#[test]
fn a_ledger_that_cannot_be_read_is_no_new_budget_when_it_is_set_aside() {
    let root = root();
    fs::write(wbd_ledger::state_dir(root.path()).join("ledger.db"), vec![b'x'; 8192]).unwrap();
    let mut writer = LedgerWriter::open(root.path()).unwrap();
    assert_ne!(writer.degraded, "");
    note(&mut writer, manual("waits"));
    assert_eq!(writer.rotate(&now(), "it is garbage", "root", BUDGET).unwrap(), snapshot::SPENT);
    assert_eq!((writer.degraded.as_str(), left(&writer)), ("", (0, 0)));
}

#[test]
fn what_was_written_is_the_state_again_after_a_restart() {
    let root = root();
    let mut writer = open(&root);
    note(&mut writer, manual("one"));
    note(&mut writer, hold("a test"));
    let recorded = writer.record(&now(), permit(&writer, Action::AgentStart {})).unwrap();
    assert_eq!((recorded.entry().seq, writer.take_news().len(), writer.take_news().len()), (3, 3, 0));
    let state = writer.state.clone();
    drop(writer);
    assert_eq!(open(&root).state, state);
    let reader = Reader::open(&wbd_ledger::state_dir(root.path())).unwrap();
    assert_eq!(replay(&reader.entries(&Filter::default()).unwrap()), state);
}

#[test]
fn records_wait_while_the_file_is_away_and_follow_when_it_is_back() {
    let root = root();
    let mut writer = open(&root);
    note(&mut writer, manual("before"));
    hide(&root, "ledger.db", "away.db");
    note(&mut writer, hold("while it is away"));
    assert_ne!(writer.degraded, "");
    assert!(writer.state.hold.is_some(), "an operator's decision counts at once");
    // A new file in its place would forget every debit: it is not begun over.
    writer.retry();
    assert!(writer.degraded.contains("does not verify"), "{}", writer.degraded);
    writer.retry();
    assert_ne!(writer.degraded, "");
    assert!(writer.state.hold.is_some());
    assert!(writer.retry_pause_ms() > RETRY_MS, "a person has to act first");
    hide(&root, "away.db", "ledger.db");
    writer.retry();
    assert_eq!(writer.degraded, "");
    assert_eq!(kinds(&root), ["manual", "hold"]);
    assert_eq!((writer.state.seq, writer.waiting.len(), writer.lost), (2, 0, 0));
    assert!(writer.state.hold.is_some());
}

#[test]
fn what_waits_is_bounded_and_what_is_lost_is_counted() {
    let root = root();
    let mut writer = open(&root);
    hide(&root, "ledger.db", "away.db");
    for number in 0..WAITING + 3 {
        note(&mut writer, manual(&number.to_string()));
    }
    assert_eq!((writer.waiting.len(), writer.lost), (WAITING, 3));
    let seen = u64::try_from(WAITING).unwrap() + 3;
    assert_eq!(writer.state.seq, seen, "the state has seen all of them");
}

#[test]
fn without_a_ledger_two_restarts_remain_and_nothing_else() {
    let root = root();
    let mut writer = open(&root);
    note(&mut writer, manual("before"));
    hide(&root, "ledger.db", "away.db");
    note(&mut writer, manual("finds it away"));
    let stop = || Action::AgentStop(AgentStop { who: "root".to_owned() });
    assert!(writer.record(&now(), permit(&writer, stop())).is_err());
    let mut ids = Vec::new();
    for left in [1, 0] {
        let before = writer.state.seq;
        let recorded = writer.record(&now(), permit(&writer, Action::AgentRestart {})).unwrap();
        ids.push(recorded.intent().action_id);
        assert_eq!((writer.reserve_left(), writer.state.seq), (left, before + 1));
    }
    assert_ne!(ids[0], ids[1], "two actions, two numbers");
    assert!(writer.record(&now(), permit(&writer, Action::AgentRestart {})).is_err());
    // Back again, what was done in the meantime is taken in, and counts.
    hide(&root, "away.db", "ledger.db");
    writer.retry();
    assert_eq!(writer.degraded, "");
    assert_eq!(kinds(&root), ["manual", "manual", "intent", "intent"], "in the order in which it was");
    assert_eq!(writer.reserve_left(), 2);
    assert!(writer.state.next_action > ids[1].0);
}

#[test]
fn a_disk_that_takes_no_writes_is_said_before_a_record_is_lost_to_it_and_all_follows_when_it_does() {
    let root = root();
    let mut writer = open(&root);
    note(&mut writer, manual("before"));
    writer.disk_says(Some("the disk is full".to_owned()));
    assert_eq!(writer.degraded, "the ledger cannot be used: the disk is full");
    note(&mut writer, manual("waits"));
    writer.retry();
    assert_ne!(writer.degraded, "", "nothing is tried while the disk is known to be full");
    let stop = Action::AgentStop(AgentStop { who: "root".to_owned() });
    assert!(writer.record(&now(), permit(&writer, stop)).is_err());
    for left in [1, 0] {
        let _ = writer.record(&now(), permit(&writer, Action::AgentRestart {})).unwrap();
        assert_eq!(writer.reserve_left(), left);
    }
    assert!(writer.record(&now(), permit(&writer, Action::AgentRestart {})).is_err());
    writer.disk_says(None);
    assert_eq!((writer.degraded.as_str(), writer.reserve_left()), ("", 2));
    assert_eq!(kinds(&root), ["manual", "manual", "intent", "intent"]);
    writer.disk_says(None);
    assert_eq!(writer.degraded, "", "a good disk is no event");
}

#[test]
fn a_ledger_on_a_disk_that_took_no_writes_is_set_aside_as_a_sound_one_and_what_waits_counts_once() {
    let playbook = PlaybookName::new("dns").unwrap();
    for from_reserve in [false, true] {
        let root = root();
        let mut writer = open(&root);
        note(&mut writer, manual("before"));
        writer.disk_says(Some("the disk is full".to_owned()));
        let failed = Body::Verdict { passed: false, evidence: Vec::new(), after_ms: 0 };
        writer.write(&now(), Subject { playbook: Some(playbook.clone()), ..Subject::default() }, failed);
        if from_reserve {
            drop(writer.record(&now(), permit(&writer, Action::AgentRestart {})).unwrap());
        }
        // It has room again, and nobody has looked since.
        assert_eq!(writer.rotate(&now(), "it was full", "root", BUDGET).unwrap(), "", "it verified all the time");
        assert_eq!((writer.degraded.as_str(), left(&writer)), ("", (3, 6)));
        assert_eq!(writer.state.failures[&playbook], 1, "not twice");
        writer.disk_says(None);
        assert_eq!(writer.state.failures[&playbook], 1);
    }
}

#[test]
fn the_reserve_can_be_used_also_once_the_ledger_of_a_full_disk_was_opened_again() {
    let root = root();
    let mut writer = open(&root);
    note(&mut writer, manual("before"));
    let full = || Some("the disk is full".to_owned());
    writer.disk_says(full());
    // As a rotation that failed leaves it.
    writer.ledger.reopen(&Anchors::default());
    writer.disk_says(full());
    drop(writer.record(&now(), permit(&writer, Action::AgentRestart {})).unwrap());
}

/// A ledger of four records whose third one says something else than it did.
fn tampered() -> TempDir {
    let root = root();
    let mut writer = open(&root);
    note(&mut writer, hold("an operator's pause"));
    note(&mut writer, manual("two"));
    note(&mut writer, manual("three"));
    note(&mut writer, manual("four"));
    drop(writer);
    let edit = "UPDATE entry SET payload = replace(payload, 'three', 'THREE') WHERE seq = 3";
    let file = rusqlite::Connection::open(wbd_ledger::state_dir(root.path()).join("ledger.db")).unwrap();
    assert_eq!(file.execute(edit, []).unwrap(), 1);
    root
}

#[test]
fn an_edited_record_is_named_and_what_stands_before_it_still_counts() {
    let root = tampered();
    let mut writer = LedgerWriter::open(root.path()).unwrap();
    assert!(writer.degraded.contains("does not verify at record 3"), "{}", writer.degraded);
    assert_eq!(writer.state.hold.as_ref().map(|hold| hold.why.as_str()), Some("an operator's pause"));
    assert!(writer.state.next_action > 4 && writer.state.next_incident > 4, "no number of the lost part is used again");
    writer.retry();
    assert!(writer.state.hold.is_some() && !writer.degraded.is_empty());
    note(&mut writer, manual("waits"));
    writer.rotate(&now(), "it was edited", "root", BUDGET).unwrap();
    assert_eq!(writer.degraded, "");
    assert_eq!(kinds(&root), ["rotated", "manual"]);
    assert!(writer.state.hold.is_some() && writer.state.next_action > 4, "a new file is no way around a pause");
    assert_eq!((left(&writer), writer.state.agent_lived), ((0, 0), true), "nor is it a new budget");
    drop(writer);
    assert_eq!(left(&open(&root)), (0, 0), "after a restart too");
}

/// As anchored, a ledger that was cut or edited would look like one that always was so.
#[test]
fn a_ledger_that_does_not_verify_is_never_anchored_and_the_one_after_it_is() {
    let root = tampered();
    let folder = root.path().join("run/systemd/journal");
    fs::create_dir_all(&folder).unwrap();
    let journal = std::os::unix::net::UnixDatagram::bind(folder.join("socket")).unwrap();
    journal.set_nonblocking(true).unwrap();
    let anchored = || {
        let mut buffer = [0; 4096];
        let length = journal.recv(&mut buffer).ok()?;
        String::from_utf8_lossy(&buffer[..length])
            .lines()
            .find_map(|line| line.strip_prefix("WBD_SEQ=").map(str::to_owned))
    };
    let mut writer = LedgerWriter::open(root.path()).unwrap();
    writer.anchor_head();
    writer.retry();
    for number in 0..2 * ANCHOR_EVERY {
        note(&mut writer, manual(&number.to_string()));
    }
    writer.anchor_head();
    assert_eq!(anchored(), None);
    writer.rotate(&now(), "it was edited", "root", BUDGET).unwrap();
    assert!(anchored().is_some_and(|seq| seq.parse::<u64>().unwrap() > 4));
}

#[test]
fn a_rotation_carries_everything() {
    let root = root();
    let mut writer = open(&root);
    let playbook = PlaybookName::new("dns").unwrap();
    let about = || Subject { playbook: Some(playbook.clone()), ..Subject::default() };
    writer.write(&now(), about(), Body::Suspended { reason: "keeps failing".to_owned() });
    let failed = || Body::Verdict { passed: false, evidence: Vec::new(), after_ms: 0 };
    writer.write(&now(), about(), failed());
    note(&mut writer, hold("a test"));
    let opened = Body::Opened {
        digest: "d".to_owned(),
        case: "dead".to_owned(),
        evidence: vec!["it is".to_owned()],
        before: BTreeMap::new(),
    };
    let incident = Subject {
        incident: Some(IncidentId(1)),
        code: Code::new("WBD-6007").ok(),
        target: TargetName::new("wbd").ok(),
        ..about()
    };
    writer.write(&now(), incident, opened);
    let recorded = writer.record(&now(), permit(&writer, Action::AgentStart {})).unwrap();
    let before = writer.state.clone();
    writer.rotate(&now(), "a year old", "wbd", BUDGET).unwrap();
    assert_eq!(kinds(&root), ["rotated"]);
    assert_eq!(writer.state, State { seq: before.seq + 1, ..before.clone() });
    assert_eq!(left(&writer), (3, 6), "a good ledger that is set aside spends nothing");
    assert_eq!(writer.state.next_action, recorded.intent().action_id.0 + 1);
    let state = writer.state.clone();
    drop(writer);
    assert_eq!(open(&root).state, state, "and a restart reads the same");
}

#[test]
fn what_waits_while_a_ledger_is_set_aside_counts_once() {
    let root = root();
    let mut writer = open(&root);
    note(&mut writer, manual("before"));
    hide(&root, "ledger.db", "away.db");
    let failed = Body::Verdict { passed: false, evidence: Vec::new(), after_ms: 0 };
    let playbook = PlaybookName::new("dns").unwrap();
    writer.write(&now(), Subject { playbook: Some(playbook.clone()), ..Subject::default() }, failed);
    writer.retry();
    drop(writer.record(&now(), permit(&writer, Action::AgentRestart {})).unwrap());
    assert_eq!(writer.state.failures[&playbook], 1);
    writer.rotate(&now(), "it was away", "root", BUDGET).unwrap();
    assert_eq!(writer.degraded, "");
    assert_eq!(kinds(&root), ["rotated", "verdict", "intent"]);
    assert_eq!(writer.state.failures[&playbook], 1, "not twice");
}

#[test]
fn a_pause_and_the_debits_in_a_ledger_of_another_host_count_and_its_incidents_do_not() {
    let root = root();
    let machine_id = root.path().join("etc/machine-id");
    fs::create_dir_all(machine_id.parent().unwrap()).unwrap();
    fs::write(&machine_id, format!("{}\n", "a".repeat(32))).unwrap();
    let mut writer = open(&root);
    note(&mut writer, hold("an operator's pause"));
    let recorded = writer.record(&now(), permit(&writer, Action::AgentStart {})).unwrap();
    drop(writer);
    fs::write(&machine_id, format!("{}\n", "b".repeat(32))).unwrap();
    let mut writer = LedgerWriter::open(root.path()).unwrap();
    assert!(writer.degraded.contains("another host"), "{}", writer.degraded);
    assert_eq!(writer.state.hold.as_ref().map(|hold| hold.why.as_str()), Some("an operator's pause"));
    assert!(writer.state.next_action > recorded.intent().action_id.0);
    assert!(writer.state.undoable.is_empty() && writer.state.incidents.is_empty());
    writer.retry();
    assert!(writer.state.hold.is_some() && !writer.degraded.is_empty());
    writer.rotate(&now(), "a cloned host", "root", BUDGET).unwrap();
    assert_eq!((writer.degraded.as_str(), left(&writer)), ("", (3, 6)), "its records are all there");
    assert!(writer.state.hold.is_some() && writer.state.next_action > recorded.intent().action_id.0);
}

#[test]
fn a_second_memory_of_the_same_folder_is_refused() {
    let root = root();
    let _first = open(&root);
    let refused = LedgerWriter::open(root.path()).unwrap_err().to_string();
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
}

/// Raises a limit by hand; the action's number.
fn raise(writer: &mut LedgerWriter, value: i64) -> ActionId {
    let key = "fs.inotify.max_user_watches".to_owned();
    let undo =
        Undo { action: Action::SysctlRestore(SysctlRestore { key: key.clone(), value: value - 1, dropin: None }) };
    let captured = Captured { undo: Some(undo), ..Captured::default() };
    let action = Action::SysctlSet(SysctlSet { key, value, persist: false });
    let permit = guard::permit_by_hand(&writer.state, &now(), "root", action, None, captured).unwrap();
    let id = permit.intent().action_id;
    drop(writer.record(&now(), permit).unwrap());
    id
}

#[test]
fn an_action_can_be_taken_back_however_many_came_after_it_and_once_only() {
    let root = root();
    let mut writer = open(&root);
    let first = raise(&mut writer, 1_000);
    for more in 0..80 {
        raise(&mut writer, 2_000 + more);
    }
    assert!(!writer.state.undoable.iter().any(|(id, _)| *id == first), "long out of the state");
    let undo = writer.undo_of(first).unwrap().expect("the ledger knows it");
    assert!(matches!(undo.action, Action::SysctlRestore(SysctlRestore { value: 999, .. })), "{undo:?}");
    let permit =
        guard::permit_by_hand(&writer.state, &now(), "root", undo.action, Some(first), Captured::default()).unwrap();
    drop(writer.record(&now(), permit).unwrap());
    assert_eq!(writer.undo_of(first).unwrap(), None, "it was taken back");
    assert_eq!(writer.undo_of(ActionId(4_711)).unwrap(), None);
    drop(writer);
    assert_eq!(open(&root).undo_of(first).unwrap(), None, "after a restart too");
}

#[test]
fn what_people_said_goes_over_into_a_new_ledger() {
    let root = root();
    let mut writer = open(&root);
    let file = Some("/etc/wbd/hold".to_owned());
    let body = hold("a pause");
    note(&mut writer, body);
    let who = "file /etc/wbd/hold".to_owned();
    note(
        &mut writer,
        Body::Hold { who, why: String::new(), until_wall_ms: None, from_class: Class::A0, file, busy: None },
    );
    let code = Some(wbd_model::name::Code::new("WBD-5404").unwrap());
    let subject = Subject { code, ..Subject::default() };
    let (who, why) = ("root".to_owned(), "a test host".to_owned());
    writer.write(&now(), subject, Body::Waived { who, why, until_wall_ms: Some(i64::MAX) });
    let before = writer.state.clone();
    writer.rotate(&now(), "a test", "root", BUDGET).unwrap();
    assert_eq!((&writer.state.hold, &writer.state.file_holds), (&before.hold, &before.file_holds));
    assert_eq!(writer.state.waivers.len(), 1);
    drop(writer);
    assert_eq!(open(&root).state.file_holds, before.file_holds);
}
