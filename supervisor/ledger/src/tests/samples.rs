//! Samples: buckets, young segments, what outlives a restart, and that losing them is no drama.
use wbd_model::sample::{Sample, SegmentId};

use crate::{RAW_READINGS, RETENTION_S, Samples, samples_database};

fn segment(start_ticks: u64) -> SegmentId {
    SegmentId { process: "main".into(), start_ticks, boot_id: "b1".into(), executable: "sha256:aa".into() }
}

#[test]
fn readings_merge_into_buckets_and_the_last_ones_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
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
    assert_eq!(reader.series(&segment(1)).unwrap().buckets.len(), 1);
    assert_eq!(reader.series(&segment(3)).unwrap(), Default::default());
    assert!(reader.confirmed("main", "sha256:aa").unwrap());
    assert!(!reader.confirmed("main", "sha256:bb").unwrap());
}

#[test]
fn four_weeks_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), 300).unwrap();
    samples.add(&segment(1), 1000, 10, 1024).unwrap();
    samples.add(&segment(2), 1000, 10, 1024).unwrap();
    samples.add(&segment(2), 1000 + RETENTION_S, 10, 1024).unwrap();
    samples.prune(2000 + RETENTION_S).unwrap();
    assert_eq!(samples.series(&segment(1)).unwrap(), Default::default());
    assert_eq!(samples.series(&segment(2)).unwrap().buckets.len(), 1);
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
