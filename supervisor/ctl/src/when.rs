//! Moments and lengths of time as people read them. Reads no clock.
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

pub(crate) use wbd_model::time::length;

/// A wall-clock moment in local time, `2026-11-22 02:14:05`.
pub(crate) fn moment(wall_ms: i64) -> String {
    zoned(wall_ms, "%Y-%m-%d %H:%M:%S")
}

/// The same without the year, for lists.
pub(crate) fn short(wall_ms: i64) -> String {
    zoned(wall_ms, "%m-%d %H:%M:%S")
}

/// The day alone.
pub(crate) fn day(wall_ms: i64) -> String {
    zoned(wall_ms, "%Y-%m-%d")
}

/// The time of the day alone.
pub(crate) fn clock(wall_ms: i64) -> String {
    zoned(wall_ms, "%H:%M:%S")
}

/// A moment as a person writes it: a day (its end), a local time, or one with its zone. Unix milliseconds.
///
/// # Errors
/// It is none of these.
pub(crate) fn until(text: &str) -> Result<i64, String> {
    const FORMS: &str = "write a day such as 2026-12-31, or a moment such as 2026-12-31T18:00";
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    let local = match (text.len(), text.parse::<Date>(), text.parse::<DateTime>()) {
        (..=10, Ok(day), _) => day.tomorrow().map(|next| next.at(0, 0, 0, 0)).map_err(|error| error.to_string())?,
        (_, _, Ok(moment)) => moment,
        (..) => return Err(FORMS.to_owned()),
    };
    let moment = local.to_zoned(TimeZone::system()).map_err(|error| error.to_string())?;
    Ok(moment.timestamp().as_millisecond())
}

fn zoned(wall_ms: i64, format: &str) -> String {
    Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| "?".to_owned(), |time| time.to_zoned(TimeZone::system()).strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_lasts_until_its_end_and_a_moment_is_exact() {
        assert_eq!(until("2026-12-31T18:00:00Z"), Ok(1_798_740_000_000));
        assert_eq!(until("2026-12-31T19:00+01:00"), Ok(1_798_740_000_000));
        let (day, next) = (until("2026-12-31").unwrap(), until("2027-01-01T00:00").unwrap());
        assert_eq!(day, next);
        for text in ["tomorrow", "", "2026-13-01", "2026-12-31T25:00", "31.12.2026"] {
            assert!(until(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_no_calendar_has_is_a_question_mark() {
        assert_eq!(moment(i64::MAX), "?");
    }
}
