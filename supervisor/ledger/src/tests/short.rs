//! Writes that stop in the middle, at any byte: what was told to be kept is there, and what was not told is no record.
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wbd_model::action::Action;
use wbd_model::entry::{Body, Outcome};
use wbd_model::incident::ActionId;

use super::own_disk::{Disk, fill};
use super::{filled, intent, manual, now, open, subject};
use crate::{Filter, Reader, Standing, database, files};

const FOLDER: &str = "WBD_LEDGER_SHORT_FOLDER";

/// No file of this process may grow beyond so many bytes: a write across them is cut short, the next one fails.
fn files_end_at(bytes: u64) {
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes.min(most), most).unwrap();
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn outcome() -> Body {
    Body::Outcome { action: ActionId(1), result: Outcome::Done, detail: "x".repeat(6_000), took_ms: 4 }
}

/// What happened at one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Kept,
    Refused,
}

/// Appends an intent and its outcome while the files may grow by `room` bytes only, then looks at what is there.
fn appends_with(dir: &Path, room: u64) -> [Kept; 2] {
    filled(dir, 3);
    let mut ledger = open(dir);
    ledger.append(&now(4), subject(1), manual("before")).unwrap();
    let wal = files::beside(&database(dir), "-wal");
    files_end_at(size(&wal) + room);
    let first = ledger.write_intent(subject(1), intent(1, Action::AgentRestart {}), &now(5)).map(drop);
    let second = ledger.append(&now(6), subject(1), outcome()).map(drop);
    files_end_at(u64::MAX);
    let told = [first.is_ok(), second.is_ok()].map(|kept| if kept { Kept::Kept } else { Kept::Refused });
    // As after a crash at this moment, and for those who only read.
    let mut expected = vec!["manual"; 4];
    expected.extend((told[0] == Kept::Kept).then_some("intent"));
    expected.extend((told[1] == Kept::Kept).then_some("outcome"));
    let kinds = |entries: Vec<wbd_model::entry::Entry>| entries.iter().map(|e| e.body.kind()).collect::<Vec<_>>();
    let reader = Reader::open(dir).unwrap();
    assert!(reader.verify().unwrap().is_sound(), "with room for {room} bytes");
    assert_eq!(kinds(reader.entries(&Filter::default()).unwrap()), expected, "with room for {room} bytes: {told:?}");
    drop((reader, ledger));
    let mut ledger = super::opened(dir);
    assert_eq!(*ledger.standing(), Standing::Sound, "with room for {room} bytes");
    let next = ledger.append(&now(7), subject(1), manual("after")).unwrap();
    assert_eq!(usize::try_from(next.seq).unwrap(), expected.len() + 1, "with room for {room} bytes");
    assert!(Reader::open(dir).unwrap().verify().unwrap().is_sound());
    told
}

/// Not a test by itself: the process that may not write more than it is told.
#[test]
fn short_writer_process() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let step = if super::long() { 1 } else { 67 };
    for room in (0..32_000).step_by(step) {
        let dir = Path::new(&dir).join(room.to_string());
        std::fs::create_dir(&dir).unwrap();
        let told = appends_with(&dir, room);
        println!("\ntold {told:?}");
        std::fs::remove_dir_all(&dir).unwrap();
        if told == [Kept::Kept; 2] {
            println!("\nenough");
            return;
        }
    }
}

#[test]
fn a_write_cut_short_at_any_byte_keeps_what_was_told_and_nothing_else() {
    let dir = super::fast_dir();
    // A write beyond the limit also raises a signal that ends the process, unless it is ignored.
    let mut child = Command::new("/usr/bin/env")
        .arg("--ignore-signal=XFSZ")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "tests::short::short_writer_process", "--nocapture", "--test-threads=1"])
        .env(FOLDER, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{lines:#?}");
    let told = |words: &str| lines.iter().filter(|line| **line == format!("told {words}")).count();
    let counts = (told("[Refused, Refused]"), told("[Kept, Refused]"), told("[Kept, Kept]"));
    assert!(counts.0 > 10 && counts.1 > 10 && counts.2 == 1, "{counts:?}");
    assert!(lines.iter().any(|line| line == "enough"), "{counts:?}");
}

/// A small file system in memory of the test's own, where root may have one: the disk itself is full.
#[test]
fn a_disk_that_fills_up_in_the_middle_keeps_what_was_told_and_nothing_else() {
    let mut seen = (0, 0);
    for room_kib in (4..=96).step_by(4) {
        let dir = tempfile::tempdir().unwrap();
        let Some(_disk) = Disk::at(dir.path()) else { return };
        filled(dir.path(), 3);
        let mut ledger = open(dir.path());
        ledger.append(&now(4), subject(1), manual("before")).unwrap();
        let ballast = dir.path().join("ballast");
        fill(&ballast, room_kib);
        let mut kept = 4;
        while kept < 40 && ledger.append(&now(5), subject(1), outcome()).is_ok() {
            kept += 1;
        }
        seen = if kept == 4 { (seen.0 + 1, seen.1) } else { (seen.0, seen.1 + 1) };
        let reader = Reader::open(dir.path()).unwrap();
        assert_eq!(reader.verify().unwrap().entries, kept, "{room_kib} KiB");
        drop((reader, ledger));
        std::fs::remove_file(&ballast).unwrap();
        let mut ledger = open(dir.path());
        assert_eq!(ledger.append(&now(7), subject(1), manual("after")).unwrap().seq, kept + 1, "{room_kib} KiB");
    }
    assert!(seen.0 > 0 && seen.1 > 0, "{seen:?}");
}
