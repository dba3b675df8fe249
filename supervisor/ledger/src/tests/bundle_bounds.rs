//! The numbers that a bundle may hold: the greatest of each kind is read, one more is refused and named, whatever the seal says.
use std::fs;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use wbd_model::action::Action;
use wbd_model::entry::{Body, Intent, Subject};
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::probe::Probe;
use wbd_model::settings::Settings;
use wbd_model::time::{BootId, Now};

use super::{intent, manual, now, subject};
use crate::record::{self, Head};
use crate::{BUNDLE_FORMAT, BundleCounts, BundleError, BundleHead, files, read_bundle};

const MOST: u64 = 1 << 53;
const NO_HOSTS: &str = "it holds numbers that no host writes";

/// A bundle as somebody writes it who knows the format: every hash and the seal are right.
struct Forged {
    dir: tempfile::TempDir,
    body: String,
    counts: BundleCounts,
    head: Head,
}

impl Forged {
    fn new() -> Self {
        Self::after(Head::none())
    }

    /// Its first record follows `head`.
    fn after(head: Head) -> Self {
        let described = BundleHead {
            format: BUNDLE_FORMAT,
            version: "1".to_owned(),
            host: None,
            made: 0,
            since: None,
            offset_s: 0,
            profiles: Vec::new(),
            settings: Settings::default(),
        };
        let body = format!("{}\n", serde_json::json!({ "wbd_bundle": described }));
        Self { dir: tempfile::tempdir().unwrap(), body, counts: BundleCounts::default(), head }
    }

    fn record(mut self, at: &Now, subject: Subject, body: Body) -> Self {
        let (_, row) = record::follow(&self.head, at, subject, body).unwrap();
        self.head = row.head();
        self.counts.entries += 1;
        self.line(serde_json::json!({"entry": {"payload": row.payload, "prev": row.prev, "hash": row.hash}}))
    }

    fn run(self, boot_ms: u64, wall_ms: i64, until_ms: u64) -> Self {
        let begun = Now { boot: BootId("b".to_owned()), boot_ms, wall_ms };
        self.line(serde_json::json!({"run": {"id": 1, "begun": begun, "until_ms": until_ms}}))
    }

    fn seen(mut self, run: usize, question: usize, at_ms: u64) -> Self {
        self.counts.answers += 1;
        let seen = serde_json::json!({"run": run, "question": question, "at_ms": at_ms, "whole": true, "facts": {}});
        self.line(serde_json::json!({ "seen": seen }))
    }

    fn series(mut self, moments: &[i64]) -> Self {
        self.counts.series += 1;
        let samples: Vec<_> = moments.iter().map(|at_s| (at_s, 1, 3, 2, 1024)).collect();
        let segment = serde_json::json!({"process": "p", "start_ticks": 1, "boot_id": "b", "executable": "e"});
        self.line(serde_json::json!({"series": {"segment": segment, "samples": samples}}))
    }

    fn line(mut self, line: serde_json::Value) -> Self {
        self.body += &format!("{line}\n");
        self
    }

    /// What reading it comes to: what is wrong with its last line before the seal, if anything is.
    fn read(self) -> Result<(), String> {
        let sha256 = files::hex(&Sha256::digest(&self.body));
        let end = serde_json::json!({"end": {"counts": self.counts, "sha256": sha256}});
        let path: PathBuf = self.dir.path().join("x.bundle");
        fs::write(&path, format!("{}{end}\n", self.body)).unwrap();
        match read_bundle(&path) {
            Ok(read) => {
                assert_eq!(read.entries.len(), self.counts.entries);
                Ok(())
            }
            Err(BundleError::Broken { line, what, .. }) => {
                assert_eq!(line, self.body.lines().count(), "{what}");
                Err(what)
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[track_caller]
fn refused(read: Result<(), String>, words: &str) {
    let what = read.unwrap_err();
    assert!(what.contains(words), "{what}");
}

#[test]
fn an_intents_numbers_end_where_no_host_or_playbook_goes_on() {
    type Set = fn(&mut Intent, u64);
    let cases: [(&str, u64, Set); 6] = [
        ("action", MOST, |intent, n| intent.action_id = ActionId(n)),
        ("start by", MOST, |intent, n| intent.start_by_ms = n),
        ("undoes", MOST, |intent, n| intent.undoes = Some(ActionId(n))),
        ("rung", 10_000, |intent, n| intent.rung = usize::try_from(n).unwrap()),
        ("step", 10_000, |intent, n| intent.step = usize::try_from(n).unwrap()),
        ("steps", 10_000, |intent, n| intent.steps = usize::try_from(n).unwrap()),
    ];
    for (name, bound, set) in cases {
        let with = |number: u64| {
            let mut intent = intent(7, Action::AgentRestart {});
            set(&mut intent, number);
            Forged::new().record(&now(1), subject(1), Body::Intent(Box::new(intent))).read()
        };
        assert_eq!(with(bound - 1), Ok(()), "{name}");
        assert_eq!(with(bound), Err(NO_HOSTS.to_owned()), "{name}");
        assert_eq!(with(u64::MAX >> 1), Err(NO_HOSTS.to_owned()), "{name}");
    }
}

#[test]
fn a_rotations_numbers_end_where_no_host_goes_on() {
    let with = |old_seq, next_incident, next_action, debit| {
        let body = Body::Rotated {
            old_head: "0".repeat(64),
            old_seq,
            file: String::new(),
            reason: String::new(),
            who: String::new(),
            debits_ms: vec![5, debit],
            next_incident,
            next_action,
            state: None,
        };
        Forged::new().record(&now(1), Subject::default(), body).read()
    };
    let last = MOST - 1;
    assert_eq!(with(last, last, last, last), Ok(()));
    for numbers in [(MOST, 1, 1, 1), (1, MOST, 1, 1), (1, 1, MOST, 1), (1, 1, 1, MOST)] {
        let (old_seq, next_incident, next_action, debit) = numbers;
        assert_eq!(with(old_seq, next_incident, next_action, debit), Err(NO_HOSTS.to_owned()), "{numbers:?}");
    }
}

#[test]
fn a_records_number_incident_and_moment_end_where_no_host_goes_on() {
    let at = |boot_ms: u64, wall_ms: i64| Now { boot: BootId("b".to_owned()), boot_ms, wall_ms };
    let with = |seq: u64, incident: u64, at: &Now| {
        let head = if seq == 1 { Head::none() } else { Head { seq: seq - 1, hash: "a".repeat(64) } };
        let subject = Subject { incident: Some(IncidentId(incident)), ..Subject::default() };
        Forged::after(head).record(at, subject, manual("x")).read()
    };
    let (last, wall) = (MOST - 1, i64::try_from(MOST).unwrap());
    for (seq, incident, moment) in [(last, last, at(last, wall - 1)), (1, 1, at(0, 1 - wall)), (1, 1, at(0, 0))] {
        assert_eq!(with(seq, incident, &moment), Ok(()), "{seq} {incident} {moment:?}");
    }
    let moments = [at(MOST, 0), at(0, wall), at(0, -wall), at(0, i64::MIN), at(u64::MAX, i64::MAX)];
    for (seq, incident, moment) in
        [(MOST, 1, at(0, 0)), (1, MOST, at(0, 0))].into_iter().chain(moments.map(|at| (1, 1, at)))
    {
        assert_eq!(with(seq, incident, &moment), Err(NO_HOSTS.to_owned()), "{seq} {incident} {moment:?}");
    }
}

#[test]
fn runs_answers_and_samples_end_where_no_host_goes_on() {
    let (last, wall) = (MOST - 1, i64::try_from(MOST).unwrap());
    assert_eq!(Forged::new().run(last, wall - 1, last).run(0, 1 - wall, 0).read(), Ok(()));
    for (boot_ms, wall_ms, until_ms) in [(MOST, 0, 1), (0, wall, 1), (0, -wall, 1), (0, 0, MOST), (0, 0, u64::MAX)] {
        refused(Forged::new().run(boot_ms, wall_ms, until_ms).read(), "a run that no host has");
    }
    let asked = || Forged::new().run(0, 0, 9).line(serde_json::json!({"question": Probe::AgentHealth}));
    refused(asked().seen(0, 0, MOST).read(), "no run 0 that could have seen it");
    refused(asked().seen(1, 0, 1).read(), "no run 1 that could have seen it");
    refused(asked().seen(0, 1, 1).read(), "no question 1");
    let end = 1_i64 << 40;
    assert_eq!(Forged::new().series(&[0, 1, end - 1]).series(&[]).read(), Ok(()));
    for moments in [&[1, 1][..], &[2, 1], &[1, 3, 2], &[-1, 1], &[end]] {
        refused(Forged::new().series(moments).read(), "not in order");
    }
}

#[test]
fn lives_of_the_supervisor_are_counted_by_what_began_and_by_what_was_recorded() {
    // One more than there may be; that only the last one is refused is a part of `read`.
    const TOO_MANY: usize = 20_001;
    let started = || Body::Started { version: String::new(), mode: String::new() };
    let one = |forged: Forged, _| forged.record(&now(1), Subject::default(), started());
    assert_eq!((0..TOO_MANY).fold(Forged::new(), one).read(), Err(NO_HOSTS.to_owned()));
    refused((0..TOO_MANY).fold(Forged::new(), |forged, _| forged.run(1, 1, 1)).read(), "a run that no host has");
}

#[test]
fn a_record_with_a_right_hash_of_its_own_must_follow_the_one_before() {
    let first = Forged::new().record(&now(1), subject(1), manual("first"));
    let mut other = Forged::new().record(&now(1), subject(1), manual("first"));
    assert_eq!(first.record(&now(2), subject(1), manual("second")).read(), Ok(()));
    other.head.hash = "a".repeat(64);
    refused(other.record(&now(2), subject(1), manual("second")).read(), "record 2 does not follow record 1");
    let alone = Forged::after(Head { seq: 0, hash: "a".repeat(64) }).record(&now(1), subject(1), manual("first"));
    refused(alone.read(), "the first record follows another one");
    let later = Forged::after(Head { seq: 4, hash: "a".repeat(64) }).record(&now(1), subject(1), manual("fifth"));
    assert_eq!(later.read(), Ok(()), "records from a moment on");
}

#[test]
fn a_file_longer_than_any_bundle_is_not_even_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bundle");
    let file = fs::File::create(&path).unwrap();
    // A hole: it takes no room on the disk.
    let told = |bytes: u64| {
        file.set_len(bytes).unwrap();
        read_bundle(&path).unwrap_err().to_string()
    };
    let most = 512 << 20;
    assert!(told(most).contains("the line has no end"), "{}", told(most));
    assert!(told(most + 1).contains("more than any bundle"), "{}", told(most + 1));
}

#[test]
fn another_format_is_named_and_refused() {
    let line = |format: u32| {
        let forged = Forged::new();
        let body = forged.body.replace(&format!("\"format\":{BUNDLE_FORMAT}"), &format!("\"format\":{format}"));
        Forged { body, ..forged }.read()
    };
    assert_eq!(line(BUNDLE_FORMAT), Ok(()));
    refused(line(BUNDLE_FORMAT + 1), "its format is 2, this wbd reads 1");
}
