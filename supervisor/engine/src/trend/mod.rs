//! Whether a process leaks file descriptors, and when its own limit is reached. Pure: reads no clock and no host, and restarts nothing.
//!
//! Three lanes look at one segment (one life of one process). *Slow*: one to two weeks of daily floors,
//! which the daily wave does not touch. *Fast*: four days in which every part of the day is higher than
//! on the day before. *Headroom*: near the limit, from the first minute on. That alone is no leak: what is
//! needed may be as much, and then the limit is the answer. It is one where the last hour rose evenly all
//! the way. Floors find the leak, peaks foretell the day, since a process dies of its peak.
mod history;
mod lanes;
pub mod leak;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod simulated;
mod stats;
mod window;

use std::time::Duration;

use history::History;
use lanes::Growth;
use serde::{Deserialize, Serialize};
use wbd_model::sample::Sample;

pub use window::{Due, QuietWindow, WindowError, next_restart};

/// What the caller remembers of earlier segments of the same executable (same digest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prior {
    /// No leak was confirmed before.
    None,
    /// A leak was confirmed: two consistent daily floors are enough now.
    Confirmed,
}

/// The lane that called the leak; with several, the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// None of them.
    None,
    /// Steady growth of the daily floors over 7 to 14 days (from 2 on where known before).
    Slow,
    /// Growth over four days that reaches the limit within a week.
    Fast,
    /// Near the limit now, with growth or without.
    Headroom,
}

/// Descriptors gained a day: bounds of the 95 % interval of Sen's slope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlopePerDay {
    /// Lower bound; above 0 for every confirmed leak.
    pub low: f64,
    /// Upper bound, never below `low`.
    pub high: f64,
}

/// When the process reaches its own soft limit, Unix seconds: an interval, for a point would be a lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhaustion {
    /// At the upper bound of the slope: plan by this one. Not before now.
    pub earliest_s: i64,
    /// At the lower bound of the slope.
    pub latest_s: i64,
}

/// The verdict on one segment. `lane` [`Lane::None`] with `enough` false is UNKNOWN: neither healthy nor leaking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakVerdict {
    /// The lane that called.
    pub lane: Lane,
    /// Growth over days was shown (slow or fast lane), so the executable may be remembered as leaking
    /// ([`Prior::Confirmed`]). An hour that rises shows that the limit will be reached, not why.
    pub confirmed: bool,
    /// Growth, where there were days enough to measure it; may lie around 0.
    pub slope_per_day: Option<SlopePerDay>,
    /// Where growth was shown, and only there: a full table that does not fill any further never runs out.
    pub exhaustion: Option<Exhaustion>,
    /// Whether enough was seen to tell a leak from none.
    pub enough: bool,
    /// The first moment at which there can be enough, Unix seconds; none where there is, or where nobody looks any more.
    pub known_from_s: Option<i64>,
    /// One sentence for a person, without a final stop.
    pub reason: String,
}

/// Judges the samples of ONE segment as of `now_s` (Unix seconds on the samples' own clock).
///
/// Samples may come in any order and spacing; later ones than `now_s` are ignored. Headroom needs
/// three samples of the last hour and an age of 30 s; the trend lanes need days, and hours of which
/// nobody took a reading count as unseen.
#[must_use]
pub fn leak(samples: &[Sample], now_s: i64, prior: Prior) -> LeakVerdict {
    let known_from_s = Some(known_from(samples, now_s, prior));
    let Some(history) = History::new(samples, now_s) else {
        return unknown("no samples with a readable limit yet".to_owned(), known_from_s);
    };
    let growth = growth(&history, prior);
    let near = lanes::headroom(&history);
    // Near the limit an hour that rises is enough, since nobody can wait for days.
    let rush = near.as_ref().and_then(|_| lanes::rush(&history));
    match (growth, near) {
        (Some((lane, Growth::Leaks(slope))), near) => {
            let exhaustion = exhaustion(&history, now_s, slope);
            let shown = format!("open descriptors grow by {:.1} to {:.1} a day", slope.low, slope.high);
            LeakVerdict {
                lane: if near.is_some() { Lane::Headroom } else { lane },
                confirmed: true,
                slope_per_day: Some(bounds(slope)),
                exhaustion: Some(exhaustion),
                enough: true,
                known_from_s: None,
                reason: near.map_or_else(|| ahead(&history, slope, &shown), |near| format!("{near}; {shown}")),
            }
        }
        (other, Some(near)) => {
            let enough = rush.is_some() || matches!(other, Some((_, Growth::Steady(..))));
            LeakVerdict {
                lane: Lane::Headroom,
                confirmed: false,
                slope_per_day: rush.map(bounds).or_else(|| measured(other.as_ref().map(|(_, growth)| growth)?)),
                exhaustion: rush.map(|slope| exhaustion(&history, now_s, slope)),
                enough,
                known_from_s: known_from_s.filter(|_| !enough),
                reason: match rush {
                    Some(slope) => format!("{near}; they rise evenly, by {:.0} an hour", slope.median / 24.0),
                    None => near,
                },
            }
        }
        (Some((_, Growth::Steady(slope, why))), None) => LeakVerdict {
            lane: Lane::None,
            confirmed: false,
            slope_per_day: slope.map(bounds),
            exhaustion: None,
            enough: true,
            known_from_s: None,
            reason: why,
        },
        (Some((_, Growth::TooFew(what))), None) => unknown(format!("too little seen so far: {what}"), known_from_s),
        (None, None) => unknown(format!("no sample in the last {} hours", lanes::STALE_S / history::HOUR_S), None),
    }
}

/// The first moment at which there can be floors enough: a segment's first day has none. Where gaps in the samples have
/// made it later than that, a day from now.
fn known_from(samples: &[Sample], now_s: i64, prior: Prior) -> i64 {
    let floors = match prior {
        Prior::None => lanes::SLOW_FLOORS,
        Prior::Confirmed => lanes::KNOWN_FLOORS,
    };
    let days = i64::try_from(floors).unwrap_or(i64::MAX).saturating_add(1);
    let start_s = samples.iter().map(|sample| sample.at_s).min().unwrap_or(now_s);
    let from_s = start_s.saturating_add(days.saturating_mul(history::DAY_S));
    if from_s > now_s { from_s } else { now_s.saturating_add(history::DAY_S) }
}

/// The word of the trend lanes, the more urgent first; none if nobody looked lately.
fn growth(history: &History<'_>, prior: Prior) -> Option<(Lane, Growth)> {
    if history.stale_s() > lanes::STALE_S {
        return None;
    }
    if let Some(slope) = lanes::fast(history) {
        return Some((Lane::Fast, Growth::Leaks(slope)));
    }
    let slow = lanes::slow(history);
    match (prior, &slow) {
        (Prior::None, _) | (Prior::Confirmed, Growth::Leaks(_)) => Some((Lane::Slow, slow)),
        (Prior::Confirmed, Growth::Steady(..) | Growth::TooFew(_)) => Some((Lane::Slow, lanes::known(history))),
    }
}

fn unknown(reason: String, known_from_s: Option<i64>) -> LeakVerdict {
    let (lane, slope_per_day) = (Lane::None, None);
    LeakVerdict { lane, confirmed: false, slope_per_day, exhaustion: None, enough: false, known_from_s, reason }
}

fn bounds(slope: stats::Slope) -> SlopePerDay {
    SlopePerDay { low: slope.low, high: slope.high }
}

fn measured(growth: &Growth) -> Option<SlopePerDay> {
    match growth {
        Growth::Leaks(slope) | Growth::Steady(Some(slope), _) => Some(bounds(*slope)),
        Growth::Steady(None, _) | Growth::TooFew(_) => None,
    }
}

fn ahead(history: &History<'_>, slope: stats::Slope, shown: &str) -> String {
    let (soon, late) = lanes::days_left(history, slope);
    format!("{shown}; the limit of {} is reached in {soon:.1} to {late:.1} days", history.limit())
}

fn exhaustion(history: &History<'_>, now_s: i64, slope: stats::Slope) -> Exhaustion {
    let (soon, late) = lanes::days_left(history, slope);
    Exhaustion { earliest_s: now_s.saturating_add(seconds(soon)), latest_s: now_s.saturating_add(seconds(late)) }
}

/// Whole seconds of that many days, cut off at a hundred years.
fn seconds(days: f64) -> i64 {
    let capped = days.clamp(0.0, 36_500.0) * 86_400.0;
    Duration::try_from_secs_f64(capped).ok().and_then(|span| i64::try_from(span.as_secs()).ok()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = history::DAY_S;

    /// One sample every `step_s` for `span_s`, with `count` open at each second.
    fn readings(step_s: i64, span_s: i64, limit: u32, count: impl Fn(i64) -> i64) -> Vec<Sample> {
        let reading = |i| Sample::reading(i * step_s, u32::try_from(count(i * step_s)).unwrap(), limit);
        (0..=span_s / step_s).map(reading).collect()
    }

    /// Grows by `per_day` under a daily wave of 30.
    fn leaking(per_day: i64, whole_days: i64) -> Vec<Sample> {
        let wave = |at: i64| if at % DAY_S < DAY_S / 3 { 0 } else { 30 };
        readings(900, whole_days * DAY_S, 1024, |at| 100 + at * per_day / DAY_S + wave(at))
    }

    #[test]
    fn nothing_seen_is_unknown() {
        for samples in [vec![], readings(300, DAY_S, 0, |_| 50)] {
            let verdict = leak(&samples, DAY_S, Prior::None);
            assert_eq!((verdict.lane, verdict.enough, verdict.confirmed), (Lane::None, false, false));
        }
    }

    #[test]
    fn a_young_segment_is_unknown_and_not_healthy() {
        let verdict = leak(&leaking(0, 6), 6 * DAY_S, Prior::None);
        assert_eq!((verdict.lane, verdict.enough), (Lane::None, false));
        assert_eq!(verdict.reason, "too little seen so far: 5 of 7 daily floors");
    }

    #[test]
    fn a_week_of_flat_floors_is_enough_to_say_no() {
        let verdict = leak(&leaking(0, 9), 9 * DAY_S, Prior::None);
        assert_eq!((verdict.lane, verdict.enough, verdict.exhaustion), (Lane::None, true, None));
        assert_eq!(verdict.slope_per_day, Some(SlopePerDay { low: 0.0, high: 0.0 }));
    }

    #[test]
    fn slow_lane_foretells_the_day_as_an_interval() {
        let verdict = leak(&leaking(10, 12), 12 * DAY_S, Prior::None);
        assert_eq!((verdict.lane, verdict.confirmed, verdict.enough), (Lane::Slow, true, true));
        let (slope, day) = (verdict.slope_per_day.unwrap(), verdict.exhaustion.unwrap());
        assert!(slope.low <= 10.0 && slope.high >= 10.0, "{slope:?}");
        let truth_s = (1024 - 130) * DAY_S / 10;
        assert!((day.earliest_s..=day.latest_s).contains(&truth_s) && day.earliest_s < day.latest_s, "{day:?}");
        assert!(day.latest_s - day.earliest_s < 10 * DAY_S, "an interval that says something: {day:?}");
    }

    #[test]
    fn fast_lane_calls_on_the_fifth_day() {
        let verdict = leak(&leaking(90, 5), 5 * DAY_S, Prior::None);
        assert_eq!((verdict.lane, verdict.confirmed, verdict.enough), (Lane::Fast, true, true));
        assert_eq!(leak(&leaking(90, 4), 4 * DAY_S, Prior::None).lane, Lane::None);
    }

    #[test]
    fn known_leak_needs_two_floors_that_agree() {
        let lane = |per_day, days, prior| leak(&leaking(per_day, days), days * DAY_S, prior).lane;
        assert_eq!(lane(60, 3, Prior::None), Lane::None);
        assert_eq!(lane(60, 2, Prior::Confirmed), Lane::None, "one floor so far");
        assert_eq!(lane(60, 3, Prior::Confirmed), Lane::Slow);
        assert_eq!(lane(0, 3, Prior::Confirmed), Lane::None);
        assert!(!leak(&leaking(60, 2), 2 * DAY_S, Prior::Confirmed).enough);
        assert!(leak(&leaking(0, 3), 3 * DAY_S, Prior::Confirmed).enough, "two floors that stand still");
    }

    // The booted host: a program that opens a descriptor every second under a limit of 64, read every 3 s.
    #[test]
    fn a_rush_to_the_limit_is_growth_within_a_minute_and_while_its_readings_last() {
        let open = |at: i64| (8 + at).min(64);
        let foretold = |now_s| leak(&readings(3, now_s, 64, open), now_s, Prior::None).exhaustion.is_some();
        let first = (0..).find(|now_s| foretold(*now_s));
        assert!(first.is_some_and(|at_s| (30..56).contains(&at_s)), "{first:?}");
        assert!((first.unwrap()..120).all(foretold), "also when it is full");
        let verdict = leak(&readings(3, 53, 64, open), 53, Prior::None);
        assert_eq!((verdict.lane, verdict.confirmed, verdict.enough), (Lane::Headroom, false, true));
        let until = verdict.exhaustion.unwrap();
        assert!((53..=60).contains(&until.earliest_s), "{until:?}");
        assert!(verdict.reason.ends_with("they rise evenly, by 3600 an hour"), "{}", verdict.reason);
    }

    /// Near the limit with a count that does not grow: whether over minutes, hours or days.
    #[test]
    fn a_high_level_without_growth_is_near_the_limit_and_never_runs_out() {
        let noisy = |at: i64| 940 + at * 7 / 60 % 5;
        let burst = |at: i64| if at < 20 { at * 47 } else { 940 };
        let stairs = |at: i64| if at < 1_200 { 700 } else { 940 };
        let shapes: [fn(i64) -> i64; 4] = [|_| 940, noisy, burst, stairs];
        for open in shapes {
            for now_s in (1_500..3 * 3_600).step_by(120).chain([DAY_S, 9 * DAY_S]) {
                let verdict = leak(&readings(60, now_s, 1024, open), now_s, Prior::None);
                assert_eq!(
                    (verdict.lane, verdict.exhaustion, verdict.confirmed),
                    (Lane::Headroom, None, false),
                    "{now_s}"
                );
                assert_eq!(verdict.enough, now_s > 8 * DAY_S, "{now_s}: whether it leaks takes a week to tell");
            }
        }
    }

    /// A load that climbs each morning to where it was the day before.
    #[test]
    fn a_high_daily_wave_is_no_growth() {
        let wave = |at: i64| {
            let hour = at % DAY_S / 3_600;
            if (8..12).contains(&hour) { 600 + (at % DAY_S - 8 * 3_600) * 370 / (4 * 3_600) } else { 600 }
        };
        let samples = readings(300, 4 * DAY_S, 1024, wave);
        for now_s in (DAY_S + DAY_S / 2..4 * DAY_S).step_by(900) {
            assert_eq!(leak(&samples, now_s, Prior::None).exhaustion, None, "{now_s}");
        }
    }

    #[test]
    fn headroom_stays_called_while_the_table_stays_full() {
        let open = |at: i64| if at < 3_000 { 10 } else { 64 };
        let calls = |now_s: i64| leak(&readings(60, now_s, 64, open), now_s, Prior::None).lane == Lane::Headroom;
        let first = (3_000..7_200).step_by(60).find(|now_s| calls(*now_s)).unwrap();
        assert!(first < 3_900, "{first}");
        assert!((first..9 * 3_600).step_by(60).all(calls));
    }

    #[test]
    fn a_burst_at_start_up_is_not_headroom() {
        let open = |at: i64| if at < 20 { 60 } else { 8 };
        assert!((0..600).all(|now_s| leak(&readings(2, now_s, 64, open), now_s, Prior::None).lane == Lane::None));
    }

    #[test]
    fn peaks_that_come_back_each_day_are_headroom_and_a_high_level_is_not() {
        let lane = |level: i64, peak: i64| {
            let noon = |at: i64| at % DAY_S > 43_200 && at % DAY_S < 45_000;
            let samples = readings(300, 8 * DAY_S, 1000, |at| if noon(at) { peak } else { level });
            leak(&samples, 8 * DAY_S, Prior::None).lane
        };
        assert_eq!(lane(790, 840), Lane::None);
        assert_eq!(lane(800, 840), Lane::Headroom);
        assert_eq!(lane(300, 850), Lane::Headroom);
    }

    // Grows by 30 a day; each seventh day starts with six hours of 200 more. Full when day 21 starts.
    #[test]
    fn the_day_counts_from_the_weekly_peak_and_not_from_today() {
        let weekly = |at: i64| if at % (7 * DAY_S) < DAY_S / 4 { 200 } else { 0 };
        let samples = readings(900, 12 * DAY_S, 1024, |at| 300 + at * 30 / DAY_S + weekly(at));
        let day = leak(&samples, 12 * DAY_S, Prior::None).exhaustion.unwrap();
        assert!((day.earliest_s..=day.latest_s).contains(&(21 * DAY_S)), "{day:?}");
    }

    #[test]
    fn headroom_of_a_proven_leak_says_both() {
        let verdict = leak(&leaking(90, 9), 9 * DAY_S, Prior::None);
        assert_eq!((verdict.lane, verdict.confirmed), (Lane::Headroom, true));
        assert!(verdict.exhaustion.is_some(), "{}", verdict.reason);
    }

    #[test]
    fn a_raised_limit_counts_from_now_on() {
        let mut samples = leaking(90, 9);
        samples.last_mut().unwrap().limit = 65_536;
        assert_eq!(leak(&samples, 9 * DAY_S, Prior::None).lane, Lane::None);
    }

    #[test]
    fn a_trend_nobody_looked_at_lately_is_unknown() {
        let verdict = leak(&leaking(10, 12), 12 * DAY_S + lanes::STALE_S + 1, Prior::None);
        assert_eq!((verdict.lane, verdict.enough), (Lane::None, false));
    }

    #[test]
    fn order_of_samples_and_samples_to_come_change_nothing() {
        let samples = leaking(10, 12);
        let mut shuffled = leaking(10, 20);
        shuffled.reverse();
        assert_eq!(leak(&shuffled, 12 * DAY_S, Prior::None), leak(&samples, 12 * DAY_S, Prior::None));
    }
}
