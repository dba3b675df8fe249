//! What a segment's samples come down to: floors, peaks, recent level, each over windows counted back from now. Judges nothing.
use std::borrow::Cow;

use super::stats::{Point, quantile};
use wbd_model::sample::Sample;

pub(super) const HOUR_S: i64 = 3_600;
pub(super) const DAY_S: i64 = 24 * HOUR_S;

/// The floor is the 5th percentile: load by day leaves it alone, a leak cannot.
const FLOOR_PER_MILLE: usize = 50;
/// The peak is the 99.9th percentile: what the process needs, less the rarest accident.
const PEAK_PER_MILLE: usize = 999;
/// Peaks follow the week, so a Sunday must still know of Friday.
const PEAK_DAYS: i64 = 7;
/// Below this many samples the 99.9th percentile is the maximum: one accident would decide.
const PEAK_SAMPLES: usize = 1_001;
/// The recent level of a segment that is younger than four hours is that of the last quarter of its
/// life: a leak from the start is then seen at 91 % of its way, whether that takes a minute or an hour.
const YOUNG_SHARE: i64 = 4;
/// Fewer than three readings have no median that one outlier cannot make.
pub(super) const RECENT_SAMPLES: usize = 3;
/// A program may open much at its start and close it again; before this age its level says nothing.
pub(super) const SETTLE_S: i64 = 30;
/// The day is cut into four parts, each compared with the same part of other days.
const PARTS: usize = 4;

/// One segment's samples up to now, never empty, with a readable limit.
#[derive(Debug)]
pub(super) struct History<'a> {
    samples: Cow<'a, [Sample]>,
    now_s: i64,
    start_s: i64,
    newest: Sample,
}

/// One part of a span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    /// Fewest open at its readings; of a bucket its last one counts, since that has a moment.
    pub(super) floor: u32,
    /// How long it is.
    pub(super) days: f64,
}

/// The most that the process needs, less the rarest accident.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    pub(super) count: u32,
    pub(super) days_ago: f64,
}

impl<'a> History<'a> {
    /// Takes the samples up to `now_s`, in any order; none if there are none or the limit is unreadable (0).
    pub(super) fn new(samples: &'a [Sample], now_s: i64) -> Option<Self> {
        let mut samples = Cow::Borrowed(samples);
        if !samples.is_sorted_by_key(|sample| sample.at_s) {
            samples.to_mut().sort_by_key(|sample| sample.at_s);
        }
        let seen = samples.partition_point(|sample| sample.at_s <= now_s);
        let samples = match samples {
            Cow::Borrowed(all) => Cow::Borrowed(all.get(..seen)?),
            Cow::Owned(mut all) => {
                all.truncate(seen);
                Cow::Owned(all)
            }
        };
        let (start_s, newest) = (samples.first()?.at_s, *samples.last()?);
        (newest.limit > 0).then_some(Self { samples, now_s, start_s, newest })
    }

    /// The soft limit as it is now: it can be changed on a living process.
    pub(super) fn limit(&self) -> u32 {
        self.newest.limit
    }

    /// Seconds since the newest sample.
    pub(super) fn stale_s(&self) -> i64 {
        self.now_s.saturating_sub(self.newest.at_s)
    }

    /// Seconds since the first sample.
    pub(super) fn age_s(&self) -> i64 {
        self.now_s.saturating_sub(self.start_s)
    }

    /// Daily floors of the last `days` days, oldest first. A day with readings in fewer than 18 of its
    /// hours has none, and neither has the segment's first day.
    pub(super) fn daily_floors(&self, days: u32) -> Vec<Point> {
        points(self.floors(DAY_S, days).into_iter().rev().enumerate())
    }

    /// The floors of the four parts of the day, each a series over the last `days` days, oldest first.
    pub(super) fn part_floors(&self, days: u32) -> Vec<Vec<Point>> {
        let mut floors = self.floors(DAY_S / 4, days.saturating_mul(4));
        floors.reverse();
        (0..PARTS).map(|part| points(floors.iter().copied().skip(part).step_by(PARTS).enumerate())).collect()
    }

    /// The 99.9th percentile of the peaks of the last week, and when it was last reached.
    pub(super) fn peak(&self) -> Peak {
        let week = self.last(PEAK_DAYS * DAY_S);
        let mut peaks: Vec<u32> = week.iter().map(|sample| sample.max).collect();
        let count = quantile(&mut peaks, PEAK_PER_MILLE).unwrap_or(self.newest.max);
        let at_s = week.iter().rev().find(|sample| sample.max >= count).unwrap_or(&self.newest).at_s;
        let ago_s = u32::try_from(self.now_s.saturating_sub(at_s)).map_or(0.0, f64::from);
        Peak { count, days_ago: ago_s / 86_400.0 }
    }

    /// The peak that keeps coming back: the week's 99.9th percentile, or the highest of the last day
    /// if that is lower (it was and is no more). None before there is a day and enough samples to tell.
    pub(super) fn standing_peak(&self) -> Option<u32> {
        let enough = self.last(PEAK_DAYS * DAY_S).len() >= PEAK_SAMPLES && self.age_s() >= DAY_S;
        let today = self.last(DAY_S).iter().map(|sample| sample.max).max()?;
        enough.then(|| self.peak().count.min(today))
    }

    /// Median count of the last hour; of the last quarter of its life for a segment younger than four
    /// hours. At least the newest three samples are taken, all within the hour; none without them.
    pub(super) fn recent_level(&self) -> Option<u32> {
        if self.age_s() < SETTLE_S {
            return None;
        }
        let hour = self.last(HOUR_S);
        let young = self.last((self.age_s() / YOUNG_SHARE).min(HOUR_S)).len().max(RECENT_SAMPLES);
        let recent = hour.get(hour.len().checked_sub(young)?..)?;
        let mut counts: Vec<u32> = recent.iter().map(|sample| sample.last).collect();
        quantile(&mut counts, 500)
    }

    /// The last hour of which the table was not full yet, in equal parts, the oldest first; of a younger segment its life.
    /// None where a part has no reading, or the life is too short to tell a start-up from growth.
    pub(super) fn filling(&self, parts: i64) -> Option<Vec<Part>> {
        let full = |sample: &Sample| sample.last.saturating_add(1) >= self.limit();
        let until = self.samples.iter().rposition(|sample| !full(sample))?;
        let (until_s, recent) = (self.samples.get(until)?.at_s, self.last(HOUR_S));
        let begins_s = recent.first()?.at_s;
        let part_s = until_s.saturating_sub(begins_s) / parts;
        if until_s.saturating_sub(begins_s) < SETTLE_S || part_s == 0 {
            return None;
        }
        let days = f64::from(u32::try_from(part_s).ok()?) / 86_400.0;
        let floor = |part: i64| {
            let from_s = begins_s + part * part_s;
            // What is left over by the division belongs to the last part.
            let to_s = if part + 1 == parts { until_s } else { from_s + part_s - 1 };
            let inside = recent.iter().filter(|sample| (from_s..=to_s).contains(&sample.at_s));
            inside.map(|sample| sample.last).min().map(|floor| Part { floor, days })
        };
        (0..parts).map(floor).collect()
    }

    /// The most that was open at any reading before the last hour, of the last week; none of a younger segment.
    pub(super) fn earlier_peak(&self) -> Option<u32> {
        let (week, hour) = (self.last(PEAK_DAYS * DAY_S), self.last(HOUR_S).len());
        week.get(..week.len().saturating_sub(hour))?.iter().map(|sample| sample.max).max()
    }

    /// Descriptors that are left now.
    pub(super) fn left(&self) -> u32 {
        self.limit().saturating_sub(self.newest.last)
    }

    fn last(&self, span_s: i64) -> &[Sample] {
        let from_s = self.now_s.saturating_sub(span_s);
        let first = self.samples.partition_point(|sample| sample.at_s <= from_s);
        self.samples.get(first..).unwrap_or_default()
    }

    /// The floor of each of `count` windows, newest first; none where the readings leave too many hours out.
    fn floors(&self, width_s: i64, count: u32) -> Vec<Option<u32>> {
        // The first day is start-up: caches and pools fill, and it looks like a leak.
        let warm_s = self.start_s.saturating_add(DAY_S);
        let hours_needed = width_s / HOUR_S * 3 / 4;
        let mut end = self.samples.len();
        (1..=i64::from(count))
            .map(|back| {
                let from_s = self.now_s.saturating_sub(width_s.saturating_mul(back)).max(warm_s);
                let first = self.samples.partition_point(|sample| sample.at_s <= from_s).min(end);
                let window = self.samples.get(first..end).unwrap_or_default();
                end = first;
                let mut lows = Vec::with_capacity(window.len());
                let (mut hours, mut hour) = (0, i64::MIN);
                for sample in window {
                    lows.push(sample.min);
                    let this = self.now_s.saturating_sub(sample.at_s) / HOUR_S;
                    if this != hour {
                        (hours, hour) = (hours + 1, this);
                    }
                }
                quantile(&mut lows, FLOOR_PER_MILLE).filter(|_| hours >= hours_needed)
            })
            .collect()
    }
}

fn points(floors: impl Iterator<Item = (usize, Option<u32>)>) -> Vec<Point> {
    floors.filter_map(|(day, value)| Some(Point { day: u32::try_from(day).ok()?, value: value? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(step_s: i64, span_s: i64, count: impl Fn(i64) -> u32) -> Vec<Sample> {
        (0..=span_s / step_s).map(|i| Sample::reading(i * step_s, count(i * step_s), 1000)).collect()
    }

    #[test]
    fn first_day_of_the_segment_gives_no_floor() {
        let samples = every(HOUR_S, 3 * DAY_S, |at| if at < DAY_S { 5 } else { 50 });
        let history = History::new(&samples, 3 * DAY_S).unwrap();
        let values: Vec<u32> = history.daily_floors(14).iter().map(|point| point.value).collect();
        assert_eq!(values, [50, 50]);
    }

    #[test]
    fn a_day_nobody_watched_has_no_floor_and_keeps_its_place() {
        let samples: Vec<Sample> = every(HOUR_S, 5 * DAY_S, |_| 9)
            .into_iter()
            .filter(|s| !(2 * DAY_S..3 * DAY_S - 4 * HOUR_S).contains(&s.at_s))
            .collect();
        let history = History::new(&samples, 5 * DAY_S).unwrap();
        let days: Vec<u32> = history.daily_floors(5).iter().map(|point| point.day).collect();
        assert_eq!(days, [1, 3, 4]);
    }

    #[test]
    fn parts_of_the_day_are_compared_with_their_like() {
        let wave = |at: i64| {
            if at.rem_euclid(DAY_S) < DAY_S / 4 { 100 } else { 10 }
        };
        let samples = every(HOUR_S / 4, 5 * DAY_S, wave);
        let history = History::new(&samples, 5 * DAY_S).unwrap();
        let parts = history.part_floors(4);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4, 4]);
        assert!(parts.iter().all(|part| part.iter().all(|point| point.value == part[0].value)), "{parts:?}");
    }

    #[test]
    fn recent_level_of_a_young_segment_is_that_of_its_last_quarter() {
        let ramp = |at: i64| u32::try_from(at).unwrap() * 10;
        let level = |now_s| History::new(&every(2, now_s, ramp), now_s).unwrap().recent_level();
        assert_eq!(level(SETTLE_S - 1), None, "too young to tell");
        assert_eq!(level(80), Some(700));
    }

    #[test]
    fn recent_level_of_an_old_segment_is_that_of_the_last_hour() {
        let now_s = 10 * HOUR_S;
        let step = |at: i64| if at > now_s - HOUR_S / 3 { 900 } else { 10 };
        let samples = every(300, now_s, step);
        let level = |at_s| History::new(&samples, at_s).unwrap().recent_level();
        assert_eq!(level(now_s), Some(10), "twenty minutes are not yet an hour's median");
        assert_eq!(level(now_s + HOUR_S / 2), Some(900), "readings stopped, the hour's are half and half");
        assert_eq!(level(now_s + 2 * HOUR_S), None, "nothing read in the last hour");
    }

    #[test]
    fn one_accident_in_a_week_is_not_the_peak() {
        let now_s = 7 * DAY_S;
        let accident = |at: i64| if at == now_s - DAY_S / 2 { 990 } else { 100 };
        assert_eq!(History::new(&every(300, now_s, accident), now_s).unwrap().standing_peak(), Some(100));
        let each_day = |at: i64| if at % DAY_S < HOUR_S { 990 } else { 100 };
        assert_eq!(History::new(&every(300, now_s, each_day), now_s).unwrap().standing_peak(), Some(990));
        let long_ago = |at: i64| if at < DAY_S { 990 } else { 100 };
        assert_eq!(History::new(&every(300, now_s, long_ago), now_s).unwrap().standing_peak(), Some(100));
        let short = every(300, 2 * DAY_S, |_| 990);
        let short = History::new(&short, 2 * DAY_S).unwrap();
        assert_eq!(short.standing_peak(), None, "too few samples to leave one out");
    }

    #[test]
    fn later_samples_and_unreadable_limits_are_left_out() {
        assert!(History::new(&[Sample::reading(50, 5, 100)], 49).is_none());
        assert!(History::new(&[Sample::reading(50, 5, 0)], 60).is_none());
        assert!(History::new(&[], 60).is_none());
    }
}
