//! The trend of file descriptors as facts (`fd.trend`): the detector's verdict, and whether the restart is
//! due by the product's quiet window. Reads no clock; samples and the zone's offset are handed in.
use wbd_model::maintenance::window_minutes;
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;
use wbd_model::profile::Leak;
use wbd_model::sample::Sample;

use super::{Lane, LeakVerdict, Prior, QuietWindow, leak as verdict, next_restart};

/// The moment of a judgement by the clocks that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// The samples' own, which no step of the wall clock moves: verdicts go by it.
    pub samples_s: i64,
    /// The wall clock: quiet windows go by it.
    pub wall_s: i64,
    /// How far local time is ahead of UTC.
    pub zone_s: i32,
}

/// What the samples of a process's present life say, as the supervisor and doctor both tell it. `known`: an earlier life
/// of the same executable was shown to leak. Also whether growth is shown now, which is worth keeping for later lives.
#[must_use]
pub fn present(samples: &[Sample], known: bool, leak: &Leak, now: &Clocks) -> (Observation, bool) {
    let prior = if known { Prior::Confirmed } else { Prior::None };
    confirm(samples, prior, leak, offset_s(now.samples_s, now.wall_s, now.zone_s), now.samples_s)
}

/// What the samples of one process say as of `now_s` (Unix seconds); `offset_s` is the local zone's.
#[must_use]
pub fn observe(samples: &[Sample], prior: Prior, leak: &Leak, offset_s: i32, now_s: i64) -> Observation {
    said(&verdict(samples, now_s, prior), leak, offset_s, now_s)
}

/// As [`observe`], and whether growth itself was shown, so that later lives of the same executable may be judged by
/// [`Prior::Confirmed`].
fn confirm(samples: &[Sample], prior: Prior, leak: &Leak, offset_s: i32, now_s: i64) -> (Observation, bool) {
    let verdict = verdict(samples, now_s, prior);
    (said(&verdict, leak, offset_s, now_s), verdict.confirmed)
}

fn said(verdict: &LeakVerdict, leak: &Leak, offset_s: i32, now_s: i64) -> Observation {
    let window = quiet(leak, offset_s);
    let mut seen = Observation::unseen(ProbeName::FdTrend.fields(), &verdict.reason);
    match &window {
        // Rounded up: a moment before it opens it is not open.
        Ok(window) => seen.know("window_in_min", (window.opens_in_s(now_s) + 59) / 60),
        Err(why) => seen.miss("window_in_min", why.clone()),
    };
    let known_from = verdict.known_from_s.map(|at_s| day_of(at_s.saturating_add(i64::from(offset_s))));
    seen.know("enough", verdict.enough).know("reason", verdict.reason.clone());
    seen.know("known_from", known_from.unwrap_or_default());
    if verdict.lane == Lane::None && !verdict.enough {
        return seen;
    }
    seen.know("lane", word(verdict.lane)).know("per_day", per_day(verdict));
    if verdict.enough {
        seen.know("leaking", verdict.exhaustion.is_some());
    }
    match verdict.exhaustion {
        Some(until) => {
            let (earliest_s, latest_s) = ((until.earliest_s - now_s).max(0), (until.latest_s - now_s).max(0));
            seen.know("earliest_min", earliest_s / 60).know("earliest_h", earliest_s / 3_600);
            seen.know("latest_h", latest_s / 3_600);
            match window {
                Ok(window) => seen.know("due", next_restart(until.earliest_s, window, now_s).is_due(now_s)),
                Err(why) => seen.miss("due", why),
            };
        }
        None => {
            for field in ["earliest_min", "earliest_h", "latest_h"] {
                seen.miss(field, "no growth was shown, so no day can be foretold");
            }
            seen.know("due", false);
        }
    }
    seen
}

/// The day of a moment of local time.
fn day_of(local_s: i64) -> String {
    let moment = jiff::Timestamp::from_second(local_s).unwrap_or_default();
    moment.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

fn quiet(leak: &Leak, offset_s: i32) -> Result<QuietWindow, String> {
    let (from, to) =
        window_minutes(&leak.window).ok_or_else(|| format!("leak.window {:?} is no window", leak.window))?;
    QuietWindow::new(from, to, offset_s).map_err(|error| error.to_string())
}

/// How far local time is ahead of the samples' clock, by the time of day: windows are local, and the samples' clock does
/// not follow the wall clock when that is set. `zone_s` is the local zone's offset from UTC.
fn offset_s(samples_s: i64, wall_s: i64, zone_s: i32) -> i32 {
    let ahead_s = wall_s.saturating_sub(samples_s).saturating_add(i64::from(zone_s));
    i32::try_from(ahead_s.rem_euclid(86_400)).unwrap_or(0)
}

fn word(lane: Lane) -> &'static str {
    match lane {
        Lane::None => "none",
        Lane::Slow => "slow",
        Lane::Fast => "fast",
        Lane::Headroom => "headroom",
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a slope far outside i64 saturates, which is what is wanted")]
fn per_day(verdict: &LeakVerdict) -> i64 {
    verdict.slope_per_day.map_or(0, |slope| slope.high.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wbd_model::observation::{Fact, Value};

    fn leak() -> Leak {
        Leak { window: "01:00-06:00".to_owned(), fallback: None }
    }

    fn samples(counts: &[u32]) -> Vec<Sample> {
        counts.iter().zip(0..).map(|(count, i)| Sample::reading(1_000_000 + i * 10, *count, 100)).collect()
    }

    #[test]
    fn too_few_samples_are_unknown_and_neither_well_nor_ill() {
        let seen = observe(&[], Prior::None, &leak(), 0, 1_000_000);
        assert!(matches!(seen.fact("leaking"), Fact::Unknown(_)));
        assert_eq!(seen.fact("enough"), Fact::Known(Value::Bool(false)));
    }

    #[test]
    fn a_life_without_samples_is_unknown_whatever_was_known_of_earlier_ones() {
        let now = Clocks { samples_s: 1_000_000, wall_s: 1_000_000, zone_s: 0 };
        for known in [false, true] {
            let (seen, confirmed) = present(&[], known, &leak(), &now);
            assert!(matches!(seen.fact("leaking"), Fact::Unknown(_)) && !confirmed, "{known}");
        }
    }

    #[test]
    fn a_wall_clock_that_was_set_moves_the_window_and_nothing_else() {
        // 02:00 by the samples, and by the wall clock as well.
        let two = 20_000 * 86_400 + 2 * 3_600;
        let window = |offset| QuietWindow::new(60, 360, offset).unwrap();
        let is_open = |wall_s, zone_s| next_restart(two, window(offset_s(two, wall_s, zone_s)), two).is_due(two);
        assert!(is_open(two, 0), "02:00");
        assert!(is_open(two + 5 * 365 * 86_400, 0), "02:00 years later");
        assert!(is_open(two - 5 * 365 * 86_400 + 3 * 3_600, 0), "05:00 years ago");
        assert_eq!(offset_s(two, two + 10 * 3_600, -7_200), 8 * 3_600);
        assert_eq!(offset_s(two, two - 3_600, 0), 23 * 3_600);
    }

    fn bool_of(seen: &Observation, field: &str) -> Option<bool> {
        match seen.fact(field) {
            Fact::Known(Value::Bool(value)) => Some(value),
            Fact::Known(_) | Fact::Unknown(_) => None,
        }
    }

    #[test]
    fn near_the_limit_a_restart_is_due_where_the_count_rises_to_it_and_nowhere_else() {
        let rising = samples(&[60, 65, 70, 75, 80, 85, 90, 95]);
        let seen = observe(&rising, Prior::None, &leak(), 0, 1_000_071);
        assert_eq!(seen.fact("lane"), Fact::Known(Value::from("headroom")));
        assert_eq!((bool_of(&seen, "leaking"), bool_of(&seen, "due")), (Some(true), Some(true)));
        // Twin: as high, and no higher than before. Whether it leaks is not known yet; due it is not.
        let flat = samples(&[95; 8]);
        let seen = observe(&flat, Prior::None, &leak(), 0, 1_000_071);
        assert_eq!(seen.fact("lane"), Fact::Known(Value::from("headroom")));
        assert_eq!((bool_of(&seen, "leaking"), bool_of(&seen, "due")), (None, Some(false)));
    }

    #[test]
    fn the_minutes_to_the_window_are_told_whatever_is_known_of_the_leak() {
        // 13:46:40 UTC; the window opens at 01:00.
        let minutes = |now_s| observe(&[], Prior::None, &leak(), 0, now_s).fact("window_in_min");
        assert_eq!(minutes(1_000_000), Fact::Known(Value::Int(11 * 60 + 14)));
        assert_eq!(minutes(1_000_000 + 12 * 3_600), Fact::Known(Value::Int(0)));
    }

    #[test]
    fn while_it_is_learned_the_first_day_on_which_it_can_be_told_stands_there() {
        let from = |counts: &[u32], prior| {
            let seen = observe(&samples(counts), prior, &leak(), 0, 1_000_071);
            match seen.fact("known_from") {
                Fact::Known(Value::Text(day)) => day,
                other @ (Fact::Known(_) | Fact::Unknown(_)) => panic!("{other:?}"),
            }
        };
        // 1970-01-12, and a start-up and seven days later; after a known leak two days.
        assert_eq!(from(&[50; 8], Prior::None), "1970-01-20");
        assert_eq!(from(&[50; 8], Prior::Confirmed), "1970-01-15");
        assert_eq!(from(&[], Prior::None), "1970-01-20");
    }
}
