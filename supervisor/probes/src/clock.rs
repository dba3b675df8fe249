//! Reads this host's clocks and names its boot; it compares nothing.
//!
//! The name is this process's own view of it: a sandbox or a container's cover shows another name to another process. It
//! is compared with what the same program wrote earlier, and with nothing that somebody else wrote.
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use wbd_model::time::{BootId, Now};

use crate::under;

/// What a boot is called that cannot be named. It is never equal to a boot that could be.
pub const UNNAMED_BOOT: &str = "unnamed";

/// A boot's name is good for this long.
const REREAD_MS: u64 = 10_000;

/// What was read last, for the moments in which nothing can be read.
static LAST_ZONE: Mutex<Option<jiff::tz::TimeZone>> = Mutex::new(None);

/// The present moment: boot, `CLOCK_BOOTTIME` in milliseconds, wall clock in milliseconds.
///
/// Where the boot could never be named (no /proc), the boot is [`UNNAMED_BOOT`]. Where it cannot be named just now (no
/// free file descriptor), it has the name that it had: to a process another boot never comes, and an unnamed one would
/// make an administrator's stop, every hold and every debit look as if they were of another.
#[must_use]
pub fn now() -> Now {
    moment(boot())
}

fn moment(boot: String) -> Now {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall_ms = match since_epoch {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Now { boot: BootId(boot), boot_ms: read_ms(ClockId::CLOCK_BOOTTIME), wall_ms }
}

/// The present moment for whoever compares it with nobody's records: its boot is [`UNNAMED_BOOT`].
#[must_use]
pub fn unnamed() -> Now {
    moment(UNNAMED_BOOT.to_owned())
}

/// Whether a moment of `CLOCK_BOOTTIME`, in milliseconds, can lie in this boot, whatever anybody calls it.
#[must_use]
pub fn is_of_this_boot(boot_ms: u64) -> bool {
    wbd_agent_api::ThisBoot::now(Path::new("/proc")).holds(boot_ms)
}

/// The running boot, read again every ten seconds: it cannot change, but a container's manager may cover it with
/// another one while it sets the container up, and it is asked for many times a second.
fn boot() -> String {
    static LAST: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let now_ms = monotonic_ms();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.as_ref().is_none_or(|(at_ms, _)| now_ms.saturating_sub(*at_ms) >= REREAD_MS)
        && let Ok(boot) = boot_id(Path::new("/proc/sys/kernel/random/boot_id"))
    {
        *last = Some((now_ms, boot));
    }
    last.as_ref().map_or_else(|| UNNAMED_BOOT.to_owned(), |(_, boot)| boot.clone())
}

/// `CLOCK_MONOTONIC` in milliseconds: the clock of the agent's heartbeat.
#[must_use]
pub fn monotonic_ms() -> u64 {
    read_ms(ClockId::CLOCK_MONOTONIC)
}

/// How far the local time zone is ahead of UTC at a moment (Unix seconds), in seconds; 0 where the zone
/// could never be told.
#[must_use]
pub fn zone_offset_s(at_s: i64) -> i32 {
    let zone = remembered(&LAST_ZONE, jiff::tz::TimeZone::try_system().ok());
    let moment = jiff::Timestamp::from_second(at_s).ok();
    zone.zip(moment).map_or(0, |(zone, moment)| zone.to_offset(moment).seconds())
}

/// What was read, or what was read before if it cannot be now.
fn remembered<T: Clone>(last: &Mutex<Option<T>>, read: Option<T>) -> Option<T> {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if read.is_some() {
        *last = read;
    }
    last.clone()
}

fn boot_id(file: &Path) -> io::Result<String> {
    let text = under::text(file)?;
    let name = text.trim();
    if name.is_empty() {
        return Err(io::Error::other("the boot id is empty"));
    }
    Ok(name.to_owned())
}

fn read_ms(clock: ClockId) -> u64 {
    // Linux always has both clocks; a zero would at worst make something look young.
    let Ok(time) = clock_gettime(clock) else {
        return 0;
    };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec() / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_moments_lie_in_one_boot_and_in_order() {
        let (first, second) = (now(), now());
        assert_eq!(first.boot, second.boot);
        assert_ne!(first.boot.0, UNNAMED_BOOT);
        assert!(first.boot_ms > 0 && first.boot_ms <= second.boot_ms);
        assert!(first.wall_ms > 1_600_000_000_000);
        assert!(monotonic_ms() <= now().boot_ms);
    }

    #[test]
    fn what_cannot_be_read_for_a_moment_is_as_it_was() {
        let last = Mutex::new(None);
        assert_eq!(remembered::<&str>(&last, None), None);
        assert_eq!(remembered(&last, Some("this boot")), Some("this boot"));
        assert_eq!(remembered(&last, None), Some("this boot"));
        assert_eq!(remembered(&last, Some("that zone")), Some("that zone"));
    }

    #[test]
    fn a_boot_without_a_name_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("boot_id");
        assert!(boot_id(&file).is_err());
        std::fs::write(&file, "\n").unwrap();
        assert!(boot_id(&file).is_err());
    }
}
