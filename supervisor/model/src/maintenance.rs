//! When disruptive actions may be done: the administrator's maintenance windows. Nouns only: zone rules are the
//! engine's.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action::Class;

/// Windows outside which actions of a class and above wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// The time zone of all windows by its name in the IANA database, `Europe/Berlin`.
    pub zone: String,
    /// Actions of this class and above wait for a window; gentler ones do not.
    #[serde(default = "default_class")]
    pub from_class: Class,
    /// The windows, 1 to 16.
    pub windows: Vec<MaintenanceWindow>,
}

const fn default_class() -> Class {
    Class::A3
}

/// One window on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceWindow {
    /// The days on which it opens; every day if there are none.
    #[serde(default)]
    pub days: Vec<Day>,
    /// It opens at this local time.
    pub from: TimeOfDay,
    /// It closes at this local time; of the next day if that is not later than `from`.
    pub to: TimeOfDay,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

/// A time on a clock on the wall, `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    /// The hour, 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// The minute, 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u8 {
        self.minute
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = |part: &str| digits(part).then(|| part.parse::<u8>().ok()).flatten();
        let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
        match parts {
            Some((hour @ 0..=23, minute @ 0..=59)) => Ok(Self { hour, minute }),
            Some(_) | None => Err(format!("{text:?} is not a time of day: write 00:00 to 23:59, in quotes")),
        }
    }
}

/// Start and end, in minutes of the day, of `HH:MM-HH:MM`; the window may cross midnight.
#[must_use]
pub fn window_minutes(text: &str) -> Option<(u16, u16)> {
    let (start, end) = text.split_once('-')?;
    let (start, end) = (minute_of_day(start)?, minute_of_day(end)?);
    (start != end).then_some((start, end))
}

/// The minute of the day of `HH:MM`.
#[must_use]
pub fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits =
        |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>().ok());
    let (hours, minutes) = (two_digits(hours)??, two_digits(minutes)??);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_two_times_of_the_day() {
        assert_eq!(window_minutes("01:00-06:00"), Some((60, 360)));
        assert_eq!(window_minutes("23:30-00:15"), Some((1410, 15)));
        for text in ["", "1:00-6:00", "01:00", "24:00-01:00", "01:60-02:00", "01:00-01:00"] {
            assert_eq!(window_minutes(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_day_are_read_and_written_back() {
        for text in ["00:00", "01:05", "23:59"] {
            assert_eq!(TimeOfDay::try_from(text.to_owned()).map(String::from).as_deref(), Ok(text));
        }
        for text in ["", "1:00", "24:00", "12:60", "12:00:00", "+1:00", "ab:cd", "noon"] {
            assert!(TimeOfDay::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
