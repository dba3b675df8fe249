//! The lanes by which a leak is called: slow, fast, known before, headroom. Each answers for itself; which one speaks is the caller's.
use super::history::{DAY_S, History};
use super::stats::{Point, Slope, rising_p, sen};

/// A trend whose newest sample is older than one evaluation period speaks of a process nobody sees now.
pub(super) const STALE_S: i64 = DAY_S / 4;
/// Days the slow lane looks back at most.
const SLOW_DAYS: u32 = 14;
/// Daily floors the slow lane needs.
pub(super) const SLOW_FLOORS: usize = 7;
/// Daily floors that are enough where this executable is known to leak.
pub(super) const KNOWN_FLOORS: usize = 2;
const SLOW_P: f64 = 0.01;
const SLOW_RISE: f64 = 0.02;
/// A step or a warm-up has all its rise in one half; a leak has some in both.
const HALF_SHARE: f64 = 0.25;
/// A few days have seen no whole week and agree with each other by chance: their interval is widened by
/// this share of the slope on both sides (measured: without it three truths in four lay inside).
const FEW_WIDENED: f64 = 0.25;
const FAST_DAYS: u32 = 4;
const FAST_FLOORS: usize = 4;
const FAST_RISE: f64 = 0.05;
/// A leak gains every day at least this share of its slope; a step gains all in one, a warm-up ebbs away.
const FAST_DAY_SHARE: f64 = 0.5;
const FAST_ETA_DAYS: f64 = 7.0;
/// Parts of the last hour, each of which must gain at least half of what the others do.
const RUSH_PARTS: i64 = 4;
const RUSH_RISE: f64 = 0.05;
const RUSH_PART_SHARE: f64 = 0.5;
/// A load that rises in the morning is given the hours that it has.
const RUSH_ETA_DAYS: f64 = 1.0 / 24.0;
const LEVEL_PERCENT: u64 = 80;
const PEAK_PERCENT: u64 = 85;

/// What a trend lane found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Growth {
    /// A leak with this slope.
    Leaks(Slope),
    /// Enough was seen, and it does not leak as far as this lane can tell: why not.
    Steady(Option<Slope>, String),
    /// Too little was seen: what is missing.
    TooFew(String),
}

/// Daily floors over one to two weeks that rise steadily, by enough, in both halves.
pub(super) fn slow(history: &History<'_>) -> Growth {
    let floors = history.daily_floors(SLOW_DAYS);
    if floors.len() < SLOW_FLOORS {
        return Growth::TooFew(format!("{} of {SLOW_FLOORS} daily floors", floors.len()));
    }
    let Some(slope) = sen(std::slice::from_ref(&floors)) else {
        return Growth::TooFew("no two days to compare".to_owned());
    };
    let p = rising_p(&floors);
    let steady = |why: String| Growth::Steady(Some(slope), why);
    if p >= SLOW_P {
        return steady(format!("the daily floors do not rise steadily (p = {p:.3})"));
    }
    if slope.low <= 0.0 {
        return steady("the daily floors may as well stand still".to_owned());
    }
    let share = rise(slope, &floors) / f64::from(history.limit());
    if share < SLOW_RISE {
        return steady(format!("the daily floors rose by {:.1} % of the limit only", share * 100.0));
    }
    // With an odd number the middle one belongs to neither.
    let half = floors.len() / 2;
    let (early, late) = (floors.get(..half).unwrap_or_default(), floors.get(floors.len() - half..).unwrap_or_default());
    let whole = rise(slope, &floors).max(gain(&floors));
    let carries = |half: &[Point]| sen(&[half.to_vec()]).is_some_and(|own| rise(own, half) > whole * HALF_SHARE);
    if !carries(early) || !carries(late) {
        return steady("only one half of the time shows a rise, as a step or a warm-up does".to_owned());
    }
    Growth::Leaks(slope)
}

/// Each of the four parts of the day higher than the day before, four days running, by enough and
/// evenly, and the limit within a week: the slope, or nothing.
pub(super) fn fast(history: &History<'_>) -> Option<Slope> {
    let parts = history.part_floors(FAST_DAYS);
    let rises = |part: &Vec<Point>| part.len() == FAST_FLOORS && part.is_sorted_by(|a, b| a.value < b.value);
    if !parts.iter().all(rises) {
        return None;
    }
    let slope = sen(&parts)?;
    let enough = slope.median * f64::from(FAST_DAYS - 1) >= FAST_RISE * f64::from(history.limit());
    let even = (1..FAST_FLOORS).all(|day| gain_of_day(&parts, day) >= slope.median * FAST_DAY_SHARE);
    (enough && even && days_left(history, slope).0 < FAST_ETA_DAYS).then_some(slope)
}

/// What the parts of one day gained over the day before, as their median.
fn gain_of_day(parts: &[Vec<Point>], day: usize) -> f64 {
    let pairs: Vec<Vec<Point>> = parts.iter().filter_map(|part| Some(part.get(day - 1..=day)?.to_vec())).collect();
    sen(&pairs).map_or(0.0, |slope| slope.median)
}

/// The same executable leaked before: two floors are enough if they agree with that, the newest being
/// the highest, the rise worth the name and no part of the slope's interval downwards.
pub(super) fn known(history: &History<'_>) -> Growth {
    let floors = history.daily_floors(SLOW_DAYS);
    let (Some(newest), true) = (floors.last(), floors.len() >= KNOWN_FLOORS) else {
        return Growth::TooFew(format!("{} of {KNOWN_FLOORS} daily floors", floors.len()));
    };
    // Two floors make one slope, a point; their parts of the day make an interval.
    let slope = if floors.len() < SLOW_FLOORS {
        sen(&history.part_floors(SLOW_DAYS))
    } else {
        sen(std::slice::from_ref(&floors))
    };
    let Some(mut slope) = slope else {
        return Growth::TooFew("no two days to compare".to_owned());
    };
    let highest = floors.iter().all(|floor| floor.value <= newest.value);
    if floors.len() < SLOW_FLOORS {
        slope.low -= slope.median.abs() * FEW_WIDENED;
        slope.high += slope.median.abs() * FEW_WIDENED;
    }
    if highest && slope.low > 0.0 && rise(slope, &floors) >= SLOW_RISE * f64::from(history.limit()) {
        return Growth::Leaks(slope);
    }
    Growth::Steady(Some(slope), "this executable leaked before, but the floors do not rise again yet".to_owned())
}

/// The hour up to now, or up to the moment at which the table was full, rises evenly from part to part, beyond all that
/// was open before, and the limit is less than an hour away: the slope, or nothing. A start-up has all its rise at once,
/// a load that comes and goes falls in between or was as high before, and a level stands still.
pub(super) fn rush(history: &History<'_>) -> Option<Slope> {
    let parts = history.filling(RUSH_PARTS)?;
    let floors: Vec<f64> = parts.iter().map(|part| f64::from(part.floor)).collect();
    let gains: Vec<f64> = floors.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let total = floors.last()? - floors.first()?;
    let even = total / f64::from(u32::try_from(gains.len()).ok()?);
    let evenly = gains.iter().all(|gain| *gain > 0.0 && *gain >= even * RUSH_PART_SHARE);
    let days = parts.first()?.days;
    let enough = days > 0.0 && total >= RUSH_RISE * f64::from(history.limit());
    let is_new = history.earlier_peak().is_none_or(|peak| floors.last().is_some_and(|last| *last > f64::from(peak)));
    let is_soon = f64::from(history.left()) <= even / days * RUSH_ETA_DAYS;
    let least = gains.iter().copied().fold(f64::INFINITY, f64::min);
    let most = gains.iter().copied().fold(0.0, f64::max);
    (evenly && enough && is_new && is_soon).then(|| Slope { median: even / days, low: least / days, high: most / days })
}

/// Near the limit, whatever the cause: says what is near, or nothing.
pub(super) fn headroom(history: &History<'_>) -> Option<String> {
    let limit = history.limit();
    let reaches = |count: u32, percent: u64| u64::from(count) * 100 >= u64::from(limit) * percent;
    if let Some(level) = history.recent_level().filter(|level| reaches(*level, LEVEL_PERCENT)) {
        return Some(format!("{level} of {limit} descriptors are open most of the time"));
    }
    let peak = history.standing_peak().filter(|peak| reaches(*peak, PEAK_PERCENT))?;
    Some(format!("peaks reach {peak} of {limit} descriptors"))
}

/// Days from now until the limit is reached, (soonest, latest): the recent peak growing at the upper and at
/// the lower bound of the slope. Infinite where a bound does not grow.
///
/// A process reaches its limit at a peak, and peaks come about once a day: the soonest counts from the peak's
/// own moment, since what came after it is lower only for the hour, and grants the descriptor that rounding
/// hides; the latest allows for one more day.
pub(super) fn days_left(history: &History<'_>, slope: Slope) -> (f64, f64) {
    let peak = history.peak();
    let left = history.limit().saturating_sub(peak.count);
    let soonest = days_of(left.saturating_sub(1), slope.high) - peak.days_ago;
    (soonest.max(0.0), days_of(left, slope.low) + 1.0)
}

fn days_of(left: u32, per_day: f64) -> f64 {
    match left {
        0 => 0.0,
        _ if per_day > 0.0 => f64::from(left) / per_day,
        _ => f64::INFINITY,
    }
}

/// What the slope makes of the span of the floors, in descriptors.
fn rise(slope: Slope, floors: &[Point]) -> f64 {
    let days = match (floors.first(), floors.last()) {
        (Some(first), Some(last)) => f64::from(last.day.saturating_sub(first.day)),
        (None, _) | (_, None) => 0.0,
    };
    slope.median * days
}

/// Newest floor less the oldest, in descriptors.
fn gain(floors: &[Point]) -> f64 {
    match (floors.first(), floors.last()) {
        (Some(first), Some(last)) => f64::from(last.value) - f64::from(first.value),
        (None, _) | (_, None) => 0.0,
    }
}
