//! Other processes: writers that are killed, readers that may only read, a second supervisor.
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use wbd_model::action::Action;

use super::{filled, intent, manual, now, open, subject};
use crate::{Anchors, Filter, Ledger, LedgerError, Reader, database};

const FOLDER: &str = "WBD_LEDGER_TEST_FOLDER";
const NOBODY: u32 = 65_534;

fn this_test(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("tests::crash::{name}"), "--nocapture", "--test-threads=1"]).env(FOLDER, dir);
    command
}

/// Not a test by itself: the process that `a_killed_writer_...` starts and kills.
#[test]
fn writer_process() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut ledger = Ledger::open(Path::new(&dir), None, &Anchors::default()).unwrap();
    for number in 0.. {
        let seq = if number % 3 == 0 {
            ledger.write_intent(subject(1), intent(number, Action::AgentRestart {}), &now(number)).unwrap().entry().seq
        } else {
            ledger.append(&now(number), subject(1), manual(&"x".repeat(200))).unwrap().seq
        };
        println!("\nkept {seq}");
    }
}

/// Not a test by itself: the process that reads as somebody who may not write.
#[test]
fn reader_process() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let reader = Reader::open(Path::new(&dir)).unwrap();
    let verification = reader.verify().unwrap();
    println!("\nread {} sound {}", reader.entries(&Filter::default()).unwrap().len(), verification.is_sound());
}

#[test]
fn a_killed_writer_has_kept_every_record_it_was_told_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for _ in 0..15 {
        let random = std::hash::RandomState::new().build_hasher().finish();
        let mut child =
            this_test("writer_process", dir.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let seqs = |line: String| line.strip_prefix("kept ").map(|seq| seq.parse::<u64>().unwrap());
        let mut rest = lines.by_ref().filter_map(seqs);
        for _ in 0..=random % 20 {
            kept = rest.next().expect("the writer ended by itself");
        }
        // Not in step with its appends: somewhere in the next few milliseconds.
        let until = std::time::Instant::now() + std::time::Duration::from_micros(random % 4000);
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        kept = rest.last().unwrap_or(kept);
        child.wait().unwrap();
        let verification = Reader::open(dir.path()).unwrap().verify().unwrap();
        assert_eq!(verification.problem, None);
        // At most the one it was in the middle of is there without having been told.
        assert!((kept..=kept + 1).contains(&verification.entries), "told {kept}, there {}", verification.entries);
        kept = verification.entries;
    }
    assert_eq!(open(dir.path()).verification().entries, kept);
}

#[test]
fn a_second_supervisor_is_refused_and_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let refused = Ledger::open(dir.path(), Some("host-a"), &Anchors::default()).unwrap_err();
    assert!(matches!(&refused, LedgerError::LockHeld { .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    let refused = crate::rotate(dir.path(), None, &now(1), &super::rotation("x")).unwrap_err();
    assert!(matches!(refused, LedgerError::LockHeld { .. }), "{refused}");
    drop(first);
    open(dir.path());
}

/// What a process without any right to write reads.
fn read_unprivileged(dir: &Path) -> String {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = this_test("reader_process", dir);
    if fs::metadata(dir).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("read "));
    line.map_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)), str::to_owned)
}

#[test]
fn who_may_only_read_can_read_it_with_the_writer_up_down_and_long_gone() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let mut ledger = open(dir.path());
    ledger.append(&now(4), subject(1), manual("x")).unwrap();
    assert_eq!(read_unprivileged(dir.path()), "4 sound true", "writer up");
    drop(ledger);
    let helpers = ["-wal", "-shm"].map(|suffix| crate::files::beside(&database(dir.path()), suffix).exists());
    assert_eq!(helpers, [true; 2], "who may only read could not make them");
    assert_eq!(read_unprivileged(dir.path()), "4 sound true", "writer down");
    // As sqlite3 leaves it: everything in the one file.
    let connection = rusqlite::Connection::open(database(dir.path())).unwrap();
    connection.query_row("SELECT count(*) FROM entry", [], |_| Ok(())).unwrap();
    drop(connection);
    assert!(!dir.path().join("ledger.db-wal").exists());
    assert_eq!(read_unprivileged(dir.path()), "4 sound true", "one file only");
}

#[test]
fn a_reader_that_stops_in_the_middle_does_not_stop_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 50);
    let mut ledger = open(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    let mut written = 0;
    reader
        .each(&Filter::default(), |_| {
            written = ledger.append(&now(60), subject(1), manual("y")).unwrap().seq;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(written, 100);
}
