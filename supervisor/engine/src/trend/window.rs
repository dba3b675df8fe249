//! Which quiet window a restart waits for. Arithmetic on given numbers: knows no time zone, no clock and no host.
use std::fmt;

use serde::{Deserialize, Serialize};

const DAY_S: i64 = 86_400;
const DAY_MIN: u16 = 1_440;

/// A span of each day in which a restart disturbs least; may cross midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawWindow", into = "RawWindow")]
pub struct QuietWindow {
    start_min: u16,
    end_min: u16,
    offset_s: i32,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    start_min: u16,
    end_min: u16,
    offset_s: i32,
}

/// Why a quiet window is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowError {
    /// A minute of the day lies past 23:59.
    Minute(u16),
    /// Start and end are the same minute: nothing, or a whole day, and nobody knows which.
    Empty(u16),
    /// No zone is more than a day away from UTC.
    Offset(i32),
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minute(minute) => write!(f, "quiet window: minute {minute} is not in a day; give 0 to 1439"),
            Self::Empty(minute) => {
                write!(f, "quiet window: start and end are both minute {minute}; give an end that differs")
            }
            Self::Offset(offset) => write!(f, "quiet window: zone offset of {offset} seconds; give -86400 to 86400"),
        }
    }
}

impl std::error::Error for WindowError {}

impl QuietWindow {
    /// From minute `start_min` to before minute `end_min` of the local day (0 to 1439; an end before the
    /// start is on the next day), in a zone `offset_s` seconds ahead of UTC.
    ///
    /// The offset is the one that holds now: a window beyond a change of summer time is off by the change
    /// until the next evaluation after it.
    ///
    /// # Errors
    /// A minute past the day, an empty window, an offset of more than a day.
    pub fn new(start_min: u16, end_min: u16, offset_s: i32) -> Result<Self, WindowError> {
        if let Some(minute) = [start_min, end_min].into_iter().find(|minute| *minute >= DAY_MIN) {
            return Err(WindowError::Minute(minute));
        }
        if start_min == end_min {
            return Err(WindowError::Empty(start_min));
        }
        if i64::from(offset_s).abs() > DAY_S {
            return Err(WindowError::Offset(offset_s));
        }
        Ok(Self { start_min, end_min, offset_s })
    }

    fn length_s(self) -> i64 {
        (i64::from(self.end_min) - i64::from(self.start_min)).rem_euclid(i64::from(DAY_MIN)) * 60
    }

    /// The number of the last window that has ended by `at_s`.
    fn last_ended(self, at_s: i64) -> i64 {
        let origin_s = i64::from(self.start_min) * 60 - i64::from(self.offset_s);
        at_s.saturating_sub(origin_s + self.length_s()).div_euclid(DAY_S)
    }

    /// Seconds until it opens; 0 while it is open.
    #[must_use]
    pub fn opens_in_s(self, now_s: i64) -> i64 {
        let (from_s, _) = self.number(self.last_ended(now_s).saturating_add(1));
        from_s.saturating_sub(now_s).max(0)
    }

    fn number(self, number: i64) -> (i64, i64) {
        let origin_s = i64::from(self.start_min) * 60 - i64::from(self.offset_s);
        let start_s = number.saturating_mul(DAY_S).saturating_add(origin_s);
        (start_s, start_s.saturating_add(self.length_s()))
    }
}

impl TryFrom<RawWindow> for QuietWindow {
    type Error = WindowError;

    fn try_from(raw: RawWindow) -> Result<Self, WindowError> {
        Self::new(raw.start_min, raw.end_min, raw.offset_s)
    }
}

impl From<QuietWindow> for RawWindow {
    fn from(window: QuietWindow) -> Self {
        Self { start_min: window.start_min, end_min: window.end_min, offset_s: window.offset_s }
    }
}

/// When the restart is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Due {
    /// No window may be waited for.
    Now,
    /// Inside this window, Unix seconds; `from_s` is in the past while the window is open.
    Window {
        /// Start of the window.
        from_s: i64,
        /// First second after the window.
        until_s: i64,
    },
}

impl Due {
    /// Whether the restart may be done at `now_s`.
    #[must_use]
    pub fn is_due(self, now_s: i64) -> bool {
        match self {
            Self::Now => true,
            Self::Window { from_s, until_s } => (from_s..until_s).contains(&now_s),
        }
    }
}

/// The last window after which ONE more whole window still fits before `exhaustion_earliest_s`, so that
/// a missed one is survivable; the window open at `now_s` may be the one, never the spare. With none left: now.
///
/// Moments are Unix seconds.
#[must_use]
pub fn next_restart(exhaustion_earliest_s: i64, window: QuietWindow, now_s: i64) -> Due {
    let spare = window.last_ended(exhaustion_earliest_s);
    let first_usable = window.last_ended(now_s).saturating_add(1);
    let chosen = spare.saturating_sub(1);
    if chosen < first_usable {
        return Due::Now;
    }
    let (from_s, until_s) = window.number(chosen);
    Due::Window { from_s, until_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    fn night() -> QuietWindow {
        QuietWindow::new(60, 360, 0).unwrap()
    }

    fn at(day: i64, hour: i64) -> i64 {
        day * DAY_S + hour * HOUR
    }

    fn window(day: i64) -> Due {
        Due::Window { from_s: at(day, 1), until_s: at(day, 6) }
    }

    #[test]
    fn picks_the_last_window_that_leaves_one_spare() {
        assert_eq!(next_restart(at(10, 12), night(), at(0, 12)), window(9));
    }

    #[test]
    fn the_spare_must_end_before_exhaustion() {
        assert_eq!(next_restart(at(10, 6), night(), at(0, 12)), window(9), "ends just in time");
        assert_eq!(next_restart(at(10, 6) - 1, night(), at(0, 12)), window(8), "cut short by a second");
    }

    #[test]
    fn an_open_window_can_be_the_one_but_not_the_spare() {
        assert_eq!(next_restart(at(1, 12), night(), at(0, 3)), window(0));
        assert!(window(0).is_due(at(0, 3)) && !window(0).is_due(at(0, 6)) && !window(0).is_due(0));
        assert_eq!(next_restart(at(0, 12), night(), at(0, 3)), Due::Now, "the open one would be the last");
        assert_eq!(next_restart(at(1, 12), night(), at(0, 6)), Due::Now, "the window has just closed");
        assert_eq!(next_restart(at(1, 12), night(), at(0, 6) - 1), window(0), "open for one more second");
    }

    #[test]
    fn a_window_opens_at_its_first_second_and_is_open_up_to_its_last() {
        for (at_s, opens_in_s) in
            [(at(0, 0), HOUR), (at(0, 1) - 1, 1), (at(0, 1), 0), (at(0, 6) - 1, 0), (at(0, 6), 19 * HOUR)]
        {
            assert_eq!(night().opens_in_s(at_s), opens_in_s, "{at_s}");
        }
        let late = QuietWindow::new(23 * 60, 2 * 60, 0).unwrap();
        assert_eq!((late.opens_in_s(at(1, 1)), late.opens_in_s(at(1, 2))), (0, 21 * HOUR));
    }

    #[test]
    fn exhaustion_before_the_next_window_means_now() {
        assert_eq!(next_restart(at(0, 20), night(), at(0, 12)), Due::Now);
        assert_eq!(next_restart(at(0, 12), night(), at(0, 12)), Due::Now, "exhausted");
        assert_eq!(next_restart(at(-3, 0), night(), at(0, 12)), Due::Now, "exhausted days ago");
        assert!(Due::Now.is_due(0));
    }

    #[test]
    fn a_window_across_midnight_belongs_to_the_day_it_starts_on() {
        let late = QuietWindow::new(23 * 60, 2 * 60, 0).unwrap();
        let from_s = at(0, 23);
        assert_eq!(next_restart(at(2, 2), late, at(0, 12)), Due::Window { from_s, until_s: at(1, 2) });
        assert_eq!(
            next_restart(at(2, 2), late, at(1, 1)),
            Due::Window { from_s, until_s: at(1, 2) },
            "open after midnight"
        );
        assert_eq!(next_restart(at(2, 2), late, at(1, 2)), Due::Now, "closed; only the spare is left");
    }

    #[test]
    fn the_zone_moves_the_window() {
        let tokyo = QuietWindow::new(60, 360, 9 * 3_600).unwrap();
        let due = next_restart(at(10, 12), tokyo, at(0, 12));
        assert_eq!(due, Due::Window { from_s: at(8, 16), until_s: at(8, 21) });
        let new_york = QuietWindow::new(60, 360, -5 * 3_600).unwrap();
        assert_eq!(next_restart(at(10, 12), new_york, at(0, 12)), Due::Window { from_s: at(9, 6), until_s: at(9, 11) });
    }

    #[test]
    fn moments_before_the_epoch_and_at_the_ends_of_time_do_not_overflow() {
        assert_eq!(next_restart(at(-2, 12), night(), at(-9, 0)), window(-3));
        assert_ne!(next_restart(i64::MAX, night(), 0), Due::Now);
        assert_eq!(next_restart(i64::MIN, night(), i64::MAX), Due::Now);
    }

    #[test]
    fn windows_that_are_none_are_refused() {
        assert_eq!(QuietWindow::new(60, 1_440, 0), Err(WindowError::Minute(1_440)));
        assert_eq!(QuietWindow::new(60, 60, 0), Err(WindowError::Empty(60)));
        assert_eq!(QuietWindow::new(60, 61, 90_000), Err(WindowError::Offset(90_000)));
    }
}
