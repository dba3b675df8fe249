//! What a leak that was shown once is worth for later lives of the same executable. Takes no reading of a real process.
use wbd_model::observation::{Fact, Value};
use wbd_model::time::BootId;

use super::*;

const DAY_S: i64 = 86_400;
const STEP_S: i64 = 900;

/// One life, growing by `per_day` under a daily wave, from `from_s` on.
fn lives(samples: &mut Samples, start_ticks: u64, executable: &str, from_s: i64, days: i64, per_day: i64) {
    let segment = SegmentId {
        process: "p/main".to_owned(),
        start_ticks,
        boot_id: "b".to_owned(),
        executable: executable.to_owned(),
    };
    for step in 0..=days * DAY_S / STEP_S {
        let at_s = step * STEP_S;
        let wave = if at_s % DAY_S < DAY_S / 3 { 0 } else { 30 };
        let open = u32::try_from(100 + at_s * per_day / DAY_S + wave).unwrap();
        samples.add(&segment, from_s + at_s, open, 1024).unwrap();
    }
}

/// Whether it is told to leak at that second; `None`: too little was seen.
fn leaks(samples: &mut Samples, at_s: i64) -> Option<bool> {
    let window = Leak { window: "01:00-06:00".to_owned(), fallback: None };
    let boot_ms = u64::try_from(at_s * 1_000).unwrap();
    let now = Now { boot: BootId("b".to_owned()), boot_ms, wall_ms: at_s * 1_000 };
    let seen = judge(samples, "p/main", &window, &now).unwrap();
    match seen.fact("leaking") {
        Fact::Known(Value::Bool(leaks)) => Some(leaks),
        Fact::Known(_) | Fact::Unknown(_) => None,
    }
}

/// A first life of five days with this growth, then a restart of the supervisor, then a second life of three that
/// leaks 60 a day.
fn second_life(first_grows: i64, executable: &str) -> (Option<bool>, Option<bool>) {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Samples::open(dir.path(), STEP_S).unwrap();
    lives(&mut samples, 1, "sha256:aa", 0, 5, first_grows);
    let first = leaks(&mut samples, 5 * DAY_S);
    drop(samples);
    let mut samples = Samples::open(dir.path(), STEP_S).unwrap();
    lives(&mut samples, 2, executable, 5 * DAY_S, 3, 60);
    (first, leaks(&mut samples, 8 * DAY_S))
}

#[test]
fn a_leak_that_was_shown_is_known_in_the_next_life_and_by_the_next_supervisor() {
    assert_eq!(second_life(90, "sha256:aa"), (Some(true), Some(true)), "two floors that agree are enough now");
}

#[test]
fn another_executable_and_one_that_did_not_leak_begin_anew() {
    assert_eq!(second_life(90, "sha256:bb"), (Some(true), None), "its digest is another one");
    assert_eq!(second_life(0, "sha256:aa"), (None, None), "nothing was shown of it");
}
