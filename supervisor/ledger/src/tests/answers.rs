//! Answers beside the samples: what is kept is read back, for four weeks and within its room, and what cannot be read is an error.
use std::collections::BTreeMap;

use rusqlite::Connection;
use wbd_model::observation::{Fact, Value};
use wbd_model::probe::Probe;
use wbd_model::sample::{Sample, SegmentId};

use super::now;
use crate::{Answer, Samples, samples_database};

fn text(length: usize) -> Fact {
    Fact::Known(Value::Text("\u{884c}".repeat(length)))
}

fn facts(detail: Fact) -> BTreeMap<String, Fact> {
    let known = [
        ("present", Fact::Known(Value::Bool(true))),
        ("generation", Fact::Known(Value::Int(-7))),
        ("targets", Fact::Unknown("not seen".to_owned())),
        ("detail", detail),
    ];
    known.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect()
}

fn keep(samples: &mut Samples, run: i64, at_ms: u64, detail: Fact) {
    let answer = Answer { probe: Probe::AgentHealth, whole: true, facts: facts(detail) };
    samples.keep_answers(run, at_ms, &[answer]).unwrap();
}

fn moments(samples: &Samples) -> Vec<u64> {
    samples.observed(|_| true).unwrap().changes.iter().map(|change| change.at_ms).collect()
}

#[test]
fn facts_are_read_back_as_they_were_seen_and_of_a_long_text_it_is_said_that_it_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let run = samples.begin_run(&now(10)).unwrap();
    let long = Fact::Unknown("longer than is kept".to_owned());
    let details = [text(0), text(1_024), text(1_025), Fact::Unknown("z".repeat(2_000))];
    let expected = [text(0), text(1_024), long, Fact::Unknown("z".repeat(1_024))];
    for (at_ms, detail) in (20..).zip(details) {
        keep(&mut samples, run, at_ms, detail);
    }
    let observed = samples.observed(|_| true).unwrap();
    assert_eq!(observed.questions, [Probe::AgentHealth]);
    let read: Vec<_> = observed.changes.iter().map(|change| (change.at_ms, change.facts.clone())).collect();
    assert_eq!(read, (20..).zip(expected.map(facts)).collect::<Vec<_>>());
    let none = samples.observed(|_| false).unwrap();
    assert!(none.questions.is_empty() && none.changes.is_empty() && none.runs.len() == 1);
}

#[test]
fn young_answers_stay_while_there_is_room_and_go_after_four_weeks() {
    const DAY_MS: u64 = 86_400_000;
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let run = samples.begin_run(&now(0)).unwrap();
    let seen: Vec<u64> = (0..10).map(|day| day * DAY_MS).collect();
    for at_ms in &seen {
        keep(&mut samples, run, *at_ms, text(3));
    }
    samples.forget_answers(now(28 * DAY_MS).wall_ms).unwrap();
    assert_eq!(moments(&samples), seen);
    samples.forget_answers(now(28 * DAY_MS + 1).wall_ms).unwrap();
    assert_eq!(moments(&samples), seen[1..]);
}

#[test]
fn no_more_goes_for_want_of_room_than_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let run = samples.begin_run(&now(0)).unwrap();
    let answers: Vec<Answer> =
        (0..6_000).map(|_| Answer { probe: Probe::AgentHealth, whole: true, facts: facts(text(1_000)) }).collect();
    samples.keep_answers(run, 5, &answers).unwrap();
    let mut counts = vec![answers.len()];
    while counts.len() < 100 {
        samples.forget_answers(now(10).wall_ms).unwrap();
        let count = moments(&samples).len();
        if counts.last() == Some(&count) {
            break;
        }
        counts.push(count);
    }
    // A page each: there is room for 4,096, and a tenth goes at a time.
    assert!((2..10).contains(&counts.len()) && counts.last().is_some_and(|kept| *kept > 3_600), "{counts:?}");
}

#[test]
fn a_file_of_before_answers_were_kept_has_its_series_and_a_changed_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let run = samples.begin_run(&now(10)).unwrap();
    keep(&mut samples, run, 20, text(1));
    let segment =
        |start_ticks| SegmentId { process: "p".into(), start_ticks, boot_id: "b1".into(), executable: "e".into() };
    for (life, at_s, open) in [(1, 100, 4), (1, 500, 9), (1, 560, 2), (2, 1_000, 7)] {
        samples.add(&segment(life), at_s, open, 1024).unwrap();
    }
    let bucket = |at_s, min, max, last| Sample { at_s, min, max, last, limit: 1024 };
    let series = vec![
        (segment(1), vec![bucket(300, 4, 4, 4), bucket(600, 2, 9, 2)]),
        (segment(2), vec![bucket(1_200, 7, 7, 7)]),
    ];
    assert_eq!(samples.observed(|_| true).unwrap().series, series);
    let by_hand = Connection::open(samples_database(dir.path())).unwrap();
    by_hand.execute_batch("DROP VIEW seen_words; ALTER TABLE seen RENAME COLUMN facts TO other").unwrap();
    assert!(samples.observed(|_| true).is_err(), "a column is missing");
    by_hand.execute_batch("DROP TABLE seen").unwrap();
    let old = samples.observed(|_| true).unwrap();
    assert_eq!((old.series, old.runs.len(), old.changes.len()), (series, 0, 0));
}
