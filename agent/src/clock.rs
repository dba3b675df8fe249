//! The clocks and the identity of the boot; nothing here decides by them.

use nix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// CLOCK_MONOTONIC in milliseconds.
pub(crate) fn monotonic_ms() -> u64 {
    read_ms(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_BOOTTIME in milliseconds: it also counts the time a host sleeps.
pub(crate) fn boottime_ms() -> u64 {
    read_ms(ClockId::CLOCK_BOOTTIME)
}

/// Unix time in seconds, for people only.
pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn read_ms(clock: ClockId) -> u64 {
    // These clocks exist on every Linux; 0 would only make the heartbeat look old, which is the honest direction.
    clock_gettime(clock).ok().map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
    })
}

/// The kernel's name for this boot; empty if it cannot be read.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_string()).unwrap_or_default()
}

/// Start time of a process in clock ticks since boot, which with its pid names it for good; `None` if it is gone.
pub(crate) fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets and spaces too: count from the last one.
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(after + 2..)?).ok()?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_this_process_and_this_boot() {
        assert!(start_ticks(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(boot_id().len(), 36);
        assert!(boottime_ms() >= monotonic_ms());
    }
}
