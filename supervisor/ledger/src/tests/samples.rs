//! Samples: buckets, young segments, what outlives a restart, and that losing them is no drama.
use std::collections::BTreeMap;

use wbd_model::observation::{Fact, Value};
use wbd_model::probe::{Probe, dns_servers};
use wbd_model::sample::{Sample, SegmentId};
use wbd_model::time::{BootId, Now};

use crate::{Answer, RAW_READINGS, RETENTION_S, Samples, samples_database};

fn segment(start_ticks: u64) -> SegmentId {
    SegmentId { process: "main".into(), start_ticks, boot_id: "b1".into(), executable: "sha256:aa".into() }
}

#[test]
fn readings_merge_into_buckets_and_the_last_ones_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(samples_database(dir.path())).unwrap());
    assert_eq!(mode & 0o777, 0o640, "whatever the umask is");
    for (at_s, open) in [(1000, 10), (1060, 30), (1120, 20), (1300, 40)] {
        samples.add(&segment(1), at_s, open, 1024).unwrap();
    }
    let series = samples.series(&segment(1)).unwrap();
    let bucket = |at_s, min, max, last| Sample { at_s, min, max, last, limit: 1024 };
    assert_eq!(series.buckets, [bucket(1200, 10, 30, 20), bucket(1500, 40, 40, 40)]);
    assert_eq!(series.readings.len(), 4);
    for number in 0..100 {
        samples.add(&segment(1), 2000 + number, 1, u32::MAX).unwrap();
    }
    let readings = samples.series(&segment(1)).unwrap().readings;
    assert_eq!((readings.len(), readings.last().copied()), (RAW_READINGS, Some(Sample::reading(2099, 1, u32::MAX))));
}

#[test]
fn segments_stay_apart_and_a_confirmation_outlives_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    samples.add(&segment(1), 1000, 10, 1024).unwrap();
    samples.add(&segment(2), 5000, 5, 1024).unwrap();
    samples.mark_confirmed("main", "sha256:aa", 5000).unwrap();
    drop(samples);
    let reader = Samples::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.latest_segment("main").unwrap(), Some(segment(2)));
    assert_eq!(reader.latest_segment("other").unwrap(), None);
    let (life, series) = (reader.latest_life("main").unwrap().unwrap(), reader.series(&segment(2)).unwrap());
    assert_eq!((life.executable, life.samples), (segment(2).executable, [series.buckets, series.readings].concat()));
    assert_eq!(reader.latest_life("other").unwrap(), None);
    assert_eq!(reader.series(&segment(1)).unwrap().buckets.len(), 1);
    assert_eq!(reader.series(&segment(3)).unwrap(), Default::default());
    assert!(reader.confirmed("main", "sha256:aa").unwrap());
    assert!(!reader.confirmed("main", "sha256:bb").unwrap());
}

const DAY_S: i64 = 86_400;

/// One bucket a day.
fn days(samples: &mut Samples, segment: &SegmentId, days: std::ops::Range<i64>) {
    for day in days {
        samples.add(segment, day * DAY_S, 10, 1024).unwrap();
    }
}

#[test]
fn four_weeks_are_kept_and_by_a_wrong_clock_no_less() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), DAY_S).unwrap();
    days(&mut samples, &segment(1), 0..10);
    days(&mut samples, &segment(2), 10..50);
    let kept = |samples: &Samples, id| samples.series(&segment(id)).unwrap().buckets.len();
    samples.prune(0).unwrap();
    assert_eq!((kept(&samples, 1), kept(&samples, 2)), (10, 40), "a clock set back");
    samples.prune(51 * DAY_S).unwrap();
    assert_eq!((kept(&samples, 1), kept(&samples, 2)), (0, 28));
    samples.prune(50 * DAY_S + 100 * RETENTION_S).unwrap();
    assert_eq!(kept(&samples, 2), 28, "a clock years ahead");
}

#[test]
fn the_samples_clock_goes_on_whatever_becomes_of_the_wall_clock() {
    let dir = tempfile::tempdir().unwrap();
    let at = |boot: &str, boot_s: u64, wall_s: i64| Now {
        boot: BootId(boot.to_owned()),
        boot_ms: boot_s * 1000,
        wall_ms: wall_s * 1000,
    };
    let years = 5 * 365 * DAY_S;
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    assert_eq!(samples.now_s(&at("a", 100, 50_000)).unwrap(), 50_000);
    assert_eq!(samples.now_s(&at("a", 160, 50_060 + years)).unwrap(), 50_060, "set forward");
    assert_eq!(samples.now_s(&at("a", 220, 120 - years)).unwrap(), 50_120, "set back");
    samples.add(&segment(1), 50_120, 10, 1024).unwrap();
    drop(samples);
    // A supervisor that starts anew in the same boot goes on, and so does a reader.
    let reader = Samples::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.now_s(&at("a", 300, years)).unwrap(), 50_200);
    drop(reader);
    // The next boot begins with no clock at all: still not before what was sampled.
    let samples = Samples::open(dir.path(), 300).unwrap();
    let begun = samples.now_s(&at("b", 10, 0)).unwrap();
    assert!(begun > 50_120, "{begun}");
    assert_eq!(samples.now_s(&at("b", 70, 9_000_000)).unwrap(), begun + 60);
}

#[test]
fn a_broken_file_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(samples_database(dir.path()), "no database ".repeat(200)).unwrap();
    assert!(Samples::open_read_only(dir.path()).is_err());
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    samples.add(&segment(1), 1000, 10, 1024).unwrap();
    assert_eq!(samples.series(&segment(1)).unwrap().buckets.len(), 1);
}

#[test]
fn the_last_text_of_a_field_that_is_not_empty_is_found_over_runs_and_questions() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    let dns = |name: &str| Probe::DnsServers(dns_servers::Parameters { names: vec![name.to_owned()] });
    let last = |samples: &Samples| samples.last_text(|probe| matches!(probe, Probe::DnsServers(_)), "seen").unwrap();
    assert_eq!(last(&samples), None);
    let mut keep = |probe: Probe, fact: Fact| {
        let run = samples.begin_run(&Now { boot: BootId("b1".into()), boot_ms: 10, wall_ms: 10 }).unwrap();
        let facts = BTreeMap::from([("seen".to_owned(), fact), ("other".to_owned(), Fact::Known(Value::from("x")))]);
        samples.keep_answers(run, 20, &[Answer { probe, whole: true, facts }]).unwrap();
        last(&samples)
    };
    let text = |text: &str| Fact::Known(Value::from(text));
    assert_eq!(keep(dns("a"), text("first")), Some("first".to_owned()));
    assert_eq!(keep(dns("b"), text("second")), Some("second".to_owned()));
    for (probe, fact) in [
        (dns("b"), text("")),
        (dns("a"), Fact::Unknown("nobody looked".to_owned())),
        (dns("c"), Fact::Known(Value::Int(7))),
        (Probe::AgentHealth, text("of another question")),
    ] {
        assert_eq!(keep(probe, fact), Some("second".to_owned()));
    }
    assert_eq!(keep(dns("a"), text("third")), Some("third".to_owned()));
}
