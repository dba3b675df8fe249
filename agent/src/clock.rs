//! The clocks, and when a process began; nothing here decides by them.

use nix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// CLOCK_MONOTONIC in milliseconds.
pub(crate) fn monotonic_ms() -> u64 {
    read_ms(ClockId::CLOCK_MONOTONIC)
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

/// Start time of a process in clock ticks since boot, which with its pid names it for good; `None` if it is gone.
pub(crate) fn start_ticks(pid: u32) -> Option<u64> {
    wbd_agent_api::start_ticks(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_this_process() {
        assert!(start_ticks(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert!(wbd_agent_api::boottime_ms() >= monotonic_ms());
    }
}
