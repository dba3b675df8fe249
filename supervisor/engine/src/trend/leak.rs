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
    if verdict.lane == Lane::None && !verdict.enough {
        let mut seen = Observation::unseen(ProbeName::FdTrend.fields(), &verdict.reason);
        seen.know("enough", false).know("reason", verdict.reason.clone());
        return seen;
    }
    let mut seen = Observation::default();
    seen.know("enough", true)
        .know("leaking", verdict.lane != Lane::None)
        .know("lane", word(verdict.lane))
        .know("per_day", per_day(verdict))
        .know("reason", verdict.reason.clone());
    match verdict.exhaustion {
        Some(until) => {
            seen.know("earliest_h", (until.earliest_s - now_s).max(0) / 3_600);
            seen.know("latest_h", (until.latest_s - now_s).max(0) / 3_600);
        }
        None => {
            let why = "no growth was shown, so no day can be foretold";
            seen.miss("earliest_h", why).miss("latest_h", why);
        }
    }
    match due(verdict, leak, offset_s, now_s) {
        Ok(due) => seen.know("due", due),
        Err(why) => seen.miss("due", why),
    };
    seen
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

/// Near the limit: now. A leak: in the last window that leaves a spare one. Nothing else is ever due.
fn due(verdict: &LeakVerdict, leak: &Leak, offset_s: i32, now_s: i64) -> Result<bool, String> {
    if verdict.lane == Lane::Headroom {
        return Ok(true);
    }
    let Some(until) = verdict.exhaustion else { return Ok(false) };
    let (from, to) =
        window_minutes(&leak.window).ok_or_else(|| format!("leak.window {:?} is no window", leak.window))?;
    let window = QuietWindow::new(from, to, offset_s).map_err(|error| error.to_string())?;
    Ok(next_restart(until.earliest_s, window, now_s).is_due(now_s))
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

    #[test]
    fn near_the_limit_the_restart_is_due_now() {
        let all = samples(&[60, 70, 80, 85, 88, 90, 92, 94]);
        let seen = observe(&all, Prior::None, &leak(), 0, 1_000_071);
        assert_eq!(seen.fact("lane"), Fact::Known(Value::from("headroom")));
        assert_eq!(seen.fact("due"), Fact::Known(Value::Bool(true)));
    }
}
