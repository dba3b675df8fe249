//! The running boot as a span of the kernel's clock, from the first process until now; it has no name here.
//!
//! The kernel's name of a boot is no measure: systemd-nspawn and LXC cover `/proc/sys/kernel/random/boot_id`, and a
//! service with a `/proc/sys` of its own reads another name there than a shell beside it. Clock and first process are the
//! same for both.

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use std::fs;
use std::path::Path;

/// The boot of this host or container until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThisBoot {
    /// Start of process 1 in clock ticks; 0 where it cannot be seen, and about that on a host without containers.
    begun_ticks: u64,
    ticks_per_second: u64,
    /// CLOCK_BOOTTIME in milliseconds.
    now_ms: u64,
}

impl ThisBoot {
    /// As the kernel tells it now; `proc` is where its process list is mounted.
    #[must_use]
    pub fn now(proc: &Path) -> Self {
        let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
        Self {
            begun_ticks: fs::read(proc.join("1/stat")).ok().and_then(|stat| start_ticks(&stat)).unwrap_or(0),
            ticks_per_second: ticks_per_second.filter(|ticks| *ticks > 0).unwrap_or(100),
            now_ms: boottime_ms(),
        }
    }

    /// Whether a moment of CLOCK_BOOTTIME, in milliseconds, can lie in this boot. On a host without containers an earlier
    /// boot's moment comes to do so once this boot has lasted for longer: what must not outlive its boot lies in `/run`.
    #[must_use]
    pub fn holds(&self, at_ms: u64) -> bool {
        at_ms <= self.now_ms && at_ms >= self.begun_ticks.saturating_mul(1000) / self.ticks_per_second
    }

    /// Whether a process that began so many clock ticks after the boot, and lived at a moment of CLOCK_MONOTONIC, can be
    /// one of this boot.
    #[must_use]
    pub fn holds_process(&self, start_ticks: u64, lived_ms: u64) -> bool {
        start_ticks >= self.begun_ticks && lived_ms <= self.now_ms
    }
}

/// CLOCK_BOOTTIME in milliseconds: it also counts the time a host sleeps.
#[must_use]
pub fn boottime_ms() -> u64 {
    // Every Linux has this clock; 0 makes everything look as if it were of another boot.
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
    })
}

/// Field 22 of `/proc/PID/stat`: when the process started, in clock ticks since the boot.
#[must_use]
pub fn start_ticks(stat: &[u8]) -> Option<u64> {
    // The name in brackets may hold anything, brackets and spaces too: count from the last one.
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(after + 2..)?).ok()?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(begun_ticks: u64) -> (tempfile::TempDir, ThisBoot) {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("1")).unwrap();
        let stat = format!("1 (a) b) c) S 0 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {begun_ticks} 0 0\n");
        fs::write(proc.path().join("1/stat"), stat).unwrap();
        let boot = ThisBoot::now(proc.path());
        (proc, boot)
    }

    #[test]
    fn what_is_ahead_of_the_clock_is_of_an_earlier_boot() {
        let (_proc, boot) = container(0);
        let now_ms = boottime_ms();
        assert!(now_ms > 0 && boot.holds(0) && boot.holds(boot.now_ms));
        assert!(!boot.holds(now_ms + 60_000));
        assert!(boot.holds_process(5, boot.now_ms) && !boot.holds_process(5, now_ms + 60_000));
    }

    #[test]
    fn what_was_before_the_first_process_is_of_an_earlier_life_of_the_container() {
        let (_proc, boot) = container(3);
        let boot = ThisBoot { ticks_per_second: 100, now_ms: 1_000, ..boot };
        assert!(!boot.holds(29) && boot.holds(30) && boot.holds(1_000));
        assert!(!boot.holds_process(2, 900) && boot.holds_process(3, 900));
    }

    #[test]
    fn a_first_process_that_cannot_be_seen_makes_nothing_void() {
        let proc = tempfile::tempdir().unwrap();
        let boot = ThisBoot::now(proc.path());
        assert!(boot.holds(1) && boot.holds_process(1, 1));
    }

    #[test]
    fn the_real_first_process_is_seen() {
        let boot = ThisBoot::now(Path::new("/proc"));
        assert!(boot.holds(boot.now_ms));
        let own = fs::read("/proc/self/stat").unwrap();
        assert!(start_ticks(&own).is_some_and(|ticks| boot.holds_process(ticks, boot.now_ms)));
    }
}
