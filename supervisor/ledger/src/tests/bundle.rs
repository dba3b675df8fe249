//! A bundle: what goes in comes out, and whatever was done to it on the way is found and named.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wbd_model::entry::Entry;
use wbd_model::observation::{Fact, Value};
use wbd_model::observed::Observed;
use wbd_model::probe::Probe;
use wbd_model::sample::SegmentId;
use wbd_model::settings::Settings;

use super::{filled, now};
use crate::{
    Answer, BUNDLE_FORMAT, BundleCounts, BundleError, BundleHead, Reader, Samples, files, read_bundle, write_bundle,
};

fn head() -> BundleHead {
    BundleHead {
        format: BUNDLE_FORMAT,
        version: "1".to_owned(),
        host: Some("host-a".to_owned()),
        made: 1_790_000_000_000,
        since: None,
        offset_s: 3_600,
        profiles: Vec::new(),
        settings: Settings::default(),
    }
}

/// A state folder with five records, two answers and a sample.
fn state() -> (tempfile::TempDir, Observed, Vec<Entry>) {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let run = samples.begin_run(&now(10)).unwrap();
    let facts = [
        ("present".to_owned(), Fact::Known(Value::Bool(true))),
        ("generation".to_owned(), Fact::Known(Value::Int(7))),
        ("state".to_owned(), Fact::Known(Value::Text("\u{884c}\n".to_owned()))),
        ("targets".to_owned(), Fact::Unknown("not seen".to_owned())),
    ];
    let answer = |whole| Answer { probe: Probe::AgentHealth, whole, facts: facts.iter().cloned().collect() };
    samples.keep_answers(run, 20, &[answer(true), answer(false)]).unwrap();
    let segment = SegmentId { process: "p/main".into(), start_ticks: 1, boot_id: "b1".into(), executable: "e".into() };
    samples.add(&segment, 1_000, 10, 1024).unwrap();
    let observed = samples.observed(|_| true).unwrap();
    assert_eq!((observed.changes.len(), observed.series.len(), observed.runs[0].until_ms), (2, 1, 20));
    let entries = Reader::open(dir.path()).unwrap().entries(&Default::default()).unwrap();
    (dir, observed, entries)
}

/// A bundle of that, and its text.
fn bundle(dir: &Path, observed: &Observed, head: &BundleHead) -> (PathBuf, String) {
    let path = dir.join("x.bundle");
    let _ = fs::remove_file(&path);
    write_bundle(&path, head, &Reader::open(dir).unwrap(), observed).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

#[track_caller]
fn broken_at(path: &Path, text: &[u8]) -> (usize, String) {
    fs::write(path, text).unwrap();
    match read_bundle(path) {
        Err(BundleError::Broken { line, what, .. }) => (line, what),
        other => panic!("{other:?}"),
    }
}

/// As an editor would who knows the format: the last line is made to fit.
fn sealed(lines: &[&str], counts: BundleCounts) -> String {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let sha256 = files::hex(&Sha256::digest(&body));
    let end = serde_json::json!({"end": {"counts": counts, "sha256": sha256}});
    format!("{body}{end}\n")
}

#[test]
fn what_goes_in_comes_out() {
    let (dir, observed, entries) = state();
    let (path, _) = bundle(dir.path(), &observed, &head());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let read = read_bundle(&path).unwrap();
    assert_eq!((read.head, read.entries, read.observed), (head(), entries, observed));
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let (dir, observed, _) = state();
    let path = dir.path().join("mine");
    fs::write(&path, "mine").unwrap();
    let refused = write_bundle(&path, &head(), &Reader::open(dir.path()).unwrap(), &observed).unwrap_err();
    assert!(matches!(refused, BundleError::IsThere { .. }), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn records_from_a_moment_on_are_a_chain_of_their_own() {
    let (dir, observed, entries) = state();
    let since = Some(entries[2].at.wall_ms);
    let (path, _) = bundle(dir.path(), &observed, &BundleHead { since, ..head() });
    assert_eq!(read_bundle(&path).unwrap().entries, entries[2..]);
}

#[test]
fn a_bundle_cut_anywhere_is_found() {
    let (dir, observed, _) = state();
    let (path, text) = bundle(dir.path(), &observed, &head());
    for cut in (0..text.len()).step_by(7).chain([text.len() - 1]) {
        let (line, what) = broken_at(&path, &text.as_bytes()[..cut]);
        let whole = text.as_bytes()[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(line, whole + 1, "{what}");
    }
}

#[test]
fn an_edit_anywhere_is_found() {
    let (dir, observed, _) = state();
    let (path, text) = bundle(dir.path(), &observed, &head());
    for place in (0..text.len()).step_by(if super::long() { 1 } else { 5 }) {
        let mut bytes = text.clone().into_bytes();
        bytes[place] = if bytes[place] == b'3' { b'4' } else { b'3' };
        broken_at(&path, &bytes);
    }
    let (line, what) = broken_at(&path, format!("{text}more\n").as_bytes());
    assert_eq!((line, what.as_str()), (text.lines().count() + 1, "something follows the end"));
}

#[test]
fn a_chain_that_was_mended_by_hand_is_found_under_a_good_digest() {
    let (dir, observed, _) = state();
    let (path, text) = bundle(dir.path(), &observed, &head());
    let lines: Vec<&str> = text.lines().collect();
    let body = &lines[..lines.len() - 1];
    let counts = BundleCounts { entries: 5, answers: 2, series: 1 };
    fs::write(&path, sealed(body, counts)).unwrap();
    assert!(read_bundle(&path).is_ok(), "the seal itself is right");
    let mut dropped = body.to_vec();
    dropped.remove(3);
    let (line, what) = broken_at(&path, sealed(&dropped, BundleCounts { entries: 4, ..counts }).as_bytes());
    assert!(line == 4 && what.contains("one is missing"), "{line}: {what}");
    let mut swapped = body.to_vec();
    swapped.swap(2, 3);
    assert_eq!(broken_at(&path, sealed(&swapped, counts).as_bytes()).0, 3);
    let edited = body[3].replace("step 3", "step 9");
    let mut lines = body.to_vec();
    lines[3] = &edited;
    let (line, what) = broken_at(&path, sealed(&lines, counts).as_bytes());
    assert!(line == 4 && what.contains("edited"), "{line}: {what}");
}

#[test]
fn numbers_that_no_host_writes_and_lines_that_no_bundle_has_are_refused() {
    let (dir, observed, _) = state();
    let (path, text) = bundle(dir.path(), &observed, &head());
    let lines: Vec<&str> = text.lines().collect();
    let counts = BundleCounts { entries: 5, answers: 2, series: 1 };
    let with = |index: usize, line: &str| {
        let mut lines = lines[..lines.len() - 1].to_vec();
        lines[index] = line;
        sealed(&lines, counts)
    };
    let cases = [
        (6, r#"{"run":{"id":1,"begun":{"boot":"b","boot_ms":18446744073709551615,"wall_ms":0},"until_ms":1}}"#),
        (8, r#"{"seen":{"run":9,"question":0,"at_ms":1,"whole":true,"facts":{}}}"#),
        (8, r#"{"seen":{"run":0,"question":7,"at_ms":1,"whole":true,"facts":{}}}"#),
        (8, r#"{"exec":"/bin/sh"}"#),
        (0, r#"{"end":{"counts":{"entries":0,"answers":0,"series":0},"sha256":""}}"#),
    ];
    for (index, line) in cases {
        assert_eq!(broken_at(&path, with(index, line).as_bytes()).0, index + 1, "{line}");
    }
    let long = format!("{}\n", "x".repeat(5 << 20));
    assert!(broken_at(&path, long.as_bytes()).1.contains("longer than any line"));
    assert_eq!(broken_at(&path, b"").0, 1);
}

#[test]
fn old_answers_go_first_when_there_is_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let run = samples.begin_run(&now(0)).unwrap();
    // A page each.
    let text = "\u{884c}".repeat(900);
    let answer = |number: u64| Answer {
        probe: Probe::AgentHealth,
        whole: true,
        facts: [("detail".to_owned(), Fact::Known(Value::Text(format!("{number} {text}"))))].into(),
    };
    for step in 0..20_u64 {
        let answers: Vec<Answer> = (0..250).map(|number| answer(step * 250 + number)).collect();
        samples.keep_answers(run, step * 1_000, &answers).unwrap();
    }
    let before = samples.observed(|_| true).unwrap().changes.len();
    samples.forget_answers(now(20_000).wall_ms).unwrap();
    let after = samples.observed(|_| true).unwrap();
    assert!(before == 5_000 && after.changes.len() < before, "{}", after.changes.len());
    assert_eq!(after.changes.last().map(|change| change.at_ms), Some(19_000), "the newest stay");
    assert!(after.changes[0].at_ms > 0, "the oldest are gone");
    samples.forget_answers(now(30_000).wall_ms + 29 * 86_400_000).unwrap();
    let none = samples.observed(|_| true).unwrap();
    assert!(none.changes.is_empty() && none.questions.is_empty() && none.runs.len() == 1, "28 days are over");
}
