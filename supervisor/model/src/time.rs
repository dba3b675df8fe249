//! A moment as the thinking sees it: handed in, never read here.
use serde::{Deserialize, Serialize};

/// One boot of one host, as `/proc/sys/kernel/random/boot_id` names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// Now: `CLOCK_BOOTTIME` decides, the wall clock is for people and maintenance windows only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Now {
    /// The running boot.
    pub boot: BootId,
    /// Milliseconds since that boot (`CLOCK_BOOTTIME`, counts suspend).
    pub boot_ms: u64,
    /// Unix time in milliseconds; may jump.
    pub wall_ms: i64,
}

/// A Unix time in milliseconds in words that mean the same everywhere: `2026-12-31T18:00:00Z`.
#[must_use]
pub fn utc(wall_ms: i64) -> String {
    let (days, second) = (wall_ms.div_euclid(86_400_000), wall_ms.rem_euclid(86_400_000) / 1000);
    // The calendar repeats every 400 years of 146,097 days; counted from a March, the odd day of a leap year is the last.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// A length of time at a glance, rounded down: `1.2 s`, `15 s`, `2 min`, `3 h 30 min`, `4 days`.
#[must_use]
pub fn length(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 => format!("{ms} ms"),
        1..=9 => format!("{seconds}.{} s", ms % 1000 / 100),
        10..=119 => format!("{seconds} s"),
        120..=3599 => format!("{minutes} min"),
        3600..=172_799 if minutes % 60 == 0 => format!("{hours} h"),
        3600..=172_799 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} days"),
    }
}

impl Now {
    /// Milliseconds since a moment of this boot; `None` for a moment of another boot.
    #[must_use]
    pub fn since(&self, boot: &BootId, boot_ms: u64) -> Option<u64> {
        (self.boot == *boot).then(|| self.boot_ms.saturating_sub(boot_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_at_a_glance() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1250, "1.2 s"),
            (15_000, "15 s"),
            (119_999, "119 s"),
            (150_000, "2 min"),
            (3_599_999, "59 min"),
            (3_600_000, "1 h"),
            (9_000_000, "2 h 30 min"),
            (86_400_000, "24 h"),
            (200_000_000, "2 days"),
        ];
        for (ms, text) in cases {
            assert_eq!(length(ms), text);
        }
    }

    #[test]
    fn a_moment_is_written_in_utc() {
        for (wall_ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59Z"),
            (1_798_740_000_000, "2026-12-31T18:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(wall_ms), text);
        }
    }
}
