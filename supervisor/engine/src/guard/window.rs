//! Maintenance windows on the calendar: whether one is open, which one is next, and what a change of the clocks
//! makes of it. Pure: the zone rules are those bundled with the program, no file is read.
//!
//! A window is the time between two readings of the clock on the wall. A reading that comes twice (the clocks go
//! back) means its first time, so that a window opens once; one that never comes (they go forward) means the
//! moment of the change, so that a window is shorter and not left out, unless all of it is skipped.
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use wbd_model::incident::{Guard, Refusal};
use wbd_model::maintenance::{Day, Maintenance, MaintenanceWindow, TimeOfDay};
use wbd_model::plan::Waits;
use wbd_model::settings::Settings;
use wbd_model::time::{Now, length, utc};

use crate::state::{ActionRequest, Incident};

/// The steps of a rung that began inside are done within this time of each other, even if the window closes
/// meanwhile; what was held up for longer waits for the next one. Milliseconds of the boot's clock.
const FINISH_MS: u64 = 15 * 60_000;
/// A window opens once a week at least; in the second week if a change of the clocks swallows the first.
const DAYS_AHEAD: i32 = 15;
/// One that crosses midnight began on the day before; zones may skip a whole day.
const DAYS_BACK: i32 = 2;
const DAY_MS: i64 = 86_400_000;

/// One span of time in which a window is open; windows that touch are one. Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The first moment at which it is open.
    pub opens_ms: i64,
    /// The first moment at which it is closed again.
    pub closes_ms: i64,
}

impl Opening {
    /// Whether a moment is inside.
    #[must_use]
    pub fn contains(&self, wall_ms: i64) -> bool {
        (self.opens_ms..self.closes_ms).contains(&wall_ms)
    }
}

/// The opening that a moment is in, else the next one; `None` where the calendar ends or knows no such zone.
#[must_use]
pub fn opening(maintenance: &Maintenance, wall_ms: i64) -> Option<Opening> {
    let zone = zone(&maintenance.zone)?;
    // Nearly always the answer is near; one that ends within a day touches none of the days left out.
    let near = nearest(maintenance, &zone, wall_ms, DAYS_BACK);
    near.filter(|near| near.closes_ms < wall_ms.saturating_add(DAY_MS))
        .or_else(|| nearest(maintenance, &zone, wall_ms, DAYS_AHEAD))
}

fn nearest(maintenance: &Maintenance, zone: &TimeZone, wall_ms: i64, days_ahead: i32) -> Option<Opening> {
    let today = zone.to_datetime(Timestamp::from_millisecond(wall_ms).ok()?).date();
    let mut all = Vec::new();
    for day in (-DAYS_BACK..=days_ahead).filter_map(|days| today.checked_add(days.days()).ok()) {
        all.extend(maintenance.windows.iter().filter_map(|window| on_day(zone, window, day)));
    }
    all.sort_by_key(|opening| opening.opens_ms);
    let mut merged: Option<Opening> = None;
    for next in all {
        match &mut merged {
            Some(last) if next.opens_ms <= last.closes_ms => last.closes_ms = last.closes_ms.max(next.closes_ms),
            Some(last) if wall_ms < last.closes_ms => break,
            Some(_) | None => merged = Some(next),
        }
    }
    merged.filter(|found| wall_ms < found.closes_ms)
}

/// What status shows: milliseconds until the next opening or closing, and the words for it.
#[must_use]
pub fn outlook(maintenance: &Maintenance, wall_ms: i64) -> Option<(u64, String)> {
    let opening = opening(maintenance, wall_ms)?;
    let open = opening.contains(wall_ms);
    let (at_ms, verb) = if open { (opening.closes_ms, "is open") } else { (opening.opens_ms, "opens") };
    let class = maintenance.from_class;
    let text = format!("maintenance window for {class} and above {verb}: {}", words(maintenance, opening)?);
    Some((u64::try_from(at_ms - wall_ms).ok()?, text))
}

/// An opening in words, with the offset from UTC at both ends and every change of the clocks inside it.
#[must_use]
pub fn words(maintenance: &Maintenance, opening: Opening) -> Option<String> {
    let zone = zone(&maintenance.zone)?;
    let (opens, closes) = (moment(opening.opens_ms)?, moment(opening.closes_ms)?);
    let shown = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %:z").to_string();
    let mut text = format!("{} to {}, {}", shown(opens), shown(closes), maintenance.zone);
    let just_before = opens.checked_sub(1.second()).ok()?;
    let mut changed = false;
    for change in zone.following(just_before).take_while(|change| change.timestamp() < closes) {
        let at = change.timestamp();
        let before = zone.to_offset(at.checked_sub(1.second()).ok()?);
        if before == change.offset() {
            continue;
        }
        let way = if before < change.offset() { "forward" } else { "back" };
        let (from, to) = (before.to_datetime(at), change.offset().to_datetime(at));
        text.push_str(&format!("; the clocks go {way} from {} to {}", clock(from), clock(to)));
        changed = true;
    }
    if changed {
        text.push_str(&format!(": it is {} long", length(opening.closes_ms.abs_diff(opening.opens_ms))));
    }
    Some(text)
}

/// Whether this program knows the rules of a zone.
pub(crate) fn knows(zone_name: &str) -> bool {
    zone(zone_name).is_some()
}

/// The names of all zones that this program knows the rules of.
pub(crate) fn zone_names() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// Whether a rung waits for its own window: it is closed, and what fails does not run out before it opens. Where nobody
/// can tell when it runs out, the rung waits.
#[must_use]
pub const fn holds_back(waits: &Waits) -> bool {
    let Waits { opens_in_min, runs_out_in_min } = *waits;
    let in_time = match runs_out_in_min {
        Some(runs_out_in_min) => runs_out_in_min >= opens_in_min,
        None => true,
    };
    opens_in_min > 0 && in_time
}

/// A rung waits for the window that its playbook gives it, unless an operator approved it. A rung that was begun is ended.
///
/// # Errors
/// Its window is closed; until it opens.
pub(crate) fn own(now: &Now, want: &ActionRequest, incident: &Incident) -> Result<(), Refusal> {
    let Some(waits) = want.waits.filter(holds_back) else { return Ok(()) };
    if want.step > 0 || is_approved(want, incident) {
        return Ok(());
    }
    let in_ms = |minutes: u64| minutes.saturating_mul(60_000);
    let at = |minutes: u64| {
        let later = i64::try_from(in_ms(minutes)).unwrap_or(i64::MAX);
        utc(now.wall_ms.saturating_add(later))
    };
    let forecast = match waits.runs_out_in_min {
        Some(minutes) => format!("the limit is reached at {} at the earliest, which is not before that", at(minutes)),
        None => "nothing says that the limit is reached before that".to_owned(),
    };
    let reason = format!("waits for the product's own window, which opens at {}; {forecast}", at(waits.opens_in_min));
    let until_ms = Some(now.boot_ms.saturating_add(in_ms(waits.opens_in_min)));
    Err(Refusal { guard: Guard::Window, reason, until_ms })
}

fn is_approved(want: &ActionRequest, incident: &Incident) -> bool {
    incident.approved && incident.digest == want.plan.digest
}

/// Actions that disturb wait for a window, unless an operator approved the rung. Taking back is never held up.
///
/// # Errors
/// Outside every window; until the next one opens.
pub(crate) fn check(settings: &Settings, now: &Now, want: &ActionRequest, incident: &Incident) -> Result<(), Refusal> {
    let Some(maintenance) = &settings.maintenance else { return Ok(()) };
    // A rung is begun where all of it may be done.
    let class = if want.step == 0 { want.plan.class() } else { want.action.class() };
    let given = is_approved(want, incident);
    let since = now.since(&incident.since.boot, incident.since.boot_ms);
    let goes_on = want.step > 0 && since.is_some_and(|ms| ms <= FINISH_MS);
    if class < maintenance.from_class || given || goes_on {
        return Ok(());
    }
    let next = opening(maintenance, now.wall_ms);
    if next.is_some_and(|next| next.contains(now.wall_ms)) {
        return Ok(());
    }
    let until_ms = next.and_then(|next| u64::try_from(next.opens_ms - now.wall_ms).ok()).map(|ms| now.boot_ms + ms);
    let when = next.and_then(|next| words(maintenance, next)).unwrap_or_else(|| "never".to_owned());
    let reason = format!("outside the maintenance windows; next: {when}");
    Err(Refusal { guard: Guard::Window, reason, until_ms })
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

fn moment(wall_ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(wall_ms).ok()
}

/// The opening that begins on a day; `None` on other days, and where the clocks skip all of it.
fn on_day(zone: &TimeZone, window: &MaintenanceWindow, day: Date) -> Option<Opening> {
    if !window.days.is_empty() && !window.days.iter().any(|wanted| weekday(*wanted) == day.weekday()) {
        return None;
    }
    let last = if window.to <= window.from { day.tomorrow().ok()? } else { day };
    let opens_ms = instant(zone, reading(day, window.from)?)?.as_millisecond();
    let closes_ms = instant(zone, reading(last, window.to)?)?.as_millisecond();
    (opens_ms < closes_ms).then_some(Opening { opens_ms, closes_ms })
}

fn reading(day: Date, time: TimeOfDay) -> Option<DateTime> {
    let (hour, minute) = (i8::try_from(time.hour()).ok()?, i8::try_from(time.minute()).ok()?);
    Some(day.at(hour, minute, 0, 0))
}

/// The first moment at which the clock on the wall shows this or later.
fn instant(zone: &TimeZone, reading: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(reading).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(reading).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(reading).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // The change lies between this reading at the new offset and at the old one.
            let earliest = after.to_timestamp(reading).ok()?;
            zone.following(earliest).next().map(|change| change.timestamp())
        }
    }
}

const fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

fn clock(at: DateTime) -> String {
    at.strftime("%H:%M").to_string()
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
