//! Who ran out of memory: counts of the control groups that outlive the killed process. It reads no log and names no
//! culprit.
use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::runner::ProbeRunner;
use crate::under::{self, under};

/// What a control group has counted so far, itself and everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomCounts {
    group: PathBuf,
    /// How often a limit was hit and nothing could be given back.
    limits: u64,
    /// Processes killed for want of memory, whoever ran out of it.
    kills: u64,
}

/// Whose want of memory ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomScope {
    /// A control group's limit was hit.
    Limit,
    /// The host had none left.
    Host,
}

impl OomCounts {
    /// The counts of the topmost group around this process; `None` where the kernel keeps none that outlive it (no
    /// unified control groups, or a group at the very top) or they cannot be read.
    #[must_use]
    pub fn around(runner: &ProbeRunner, pid: u32) -> Option<Self> {
        let groups = cgroup::all(&runner.proc, pid).ok()?;
        let path = Path::new(cgroup::unified(&groups)?.strip_prefix('/')?);
        // The group of its own goes with the process, and its counts with it.
        let mut parts = path.components();
        let (top, _) = (parts.next()?, parts.next()?);
        Self::of(under(&runner.sys.join("fs/cgroup"), Path::new(top.as_os_str())))
    }

    /// The counts of the process's own group, which are gone soon after it; `None` as above.
    #[must_use]
    pub fn own(runner: &ProbeRunner, pid: u32) -> Option<Self> {
        let groups = cgroup::all(&runner.proc, pid).ok()?;
        Self::of(under(&runner.sys.join("fs/cgroup"), Path::new(cgroup::unified(&groups)?)))
    }

    /// Whether anybody was killed for want of memory since `before`.
    #[must_use]
    pub fn has_killed_since(&self, before: &Self) -> bool {
        self.group == before.group && self.kills > before.kills
    }

    /// The same group's counts now.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        Self::of(self.group.clone())
    }

    /// Whose want of memory the kills since `before` were for; `None` when there were none.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<OomScope> {
        // A host that runs out hits nobody's limit.
        let scope = if self.limits > before.limits { OomScope::Limit } else { OomScope::Host };
        self.has_killed_since(before).then_some(scope)
    }

    fn of(group: PathBuf) -> Option<Self> {
        let text = under::text(&group.join("memory.events")).ok()?;
        let count = |key| cgroup::count(&text, key);
        Some(Self { limits: count("oom")?, kills: count("oom_kill")?, group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    fn host(cgroup: &str, events: &str) -> Host {
        let host = Host::new();
        host.file("proc/5/cgroup", cgroup);
        host.file("sys/fs/cgroup/system.slice/memory.events", events);
        host
    }

    fn counts(host: &Host) -> Option<OomCounts> {
        OomCounts::around(&host.runner(), 5)
    }

    #[test]
    fn a_limit_is_told_from_a_host_without_memory() {
        let group = "0::/system.slice/wbd-agent.service\n";
        let before = counts(&host(group, "max 7\noom 3\noom_kill 2\noom_group_kill 0\n")).unwrap();
        let after = |limits, kills| OomCounts { limits, kills, ..before.clone() };
        assert_eq!(after(4, 3).since(&before), Some(OomScope::Limit));
        assert_eq!(after(3, 3).since(&before), Some(OomScope::Host));
        assert_eq!(after(3, 2).since(&before), None);
        // A limit was hit and something could still be given back, or it was somebody who may not be killed.
        assert_eq!(after(4, 2).since(&before), None);
    }

    #[test]
    fn counts_that_do_not_outlive_the_process_or_are_not_there_tell_nothing() {
        let events = "oom 3\noom_kill 2\n";
        assert!(counts(&host("0::/system.slice/a.service\n", events)).is_some());
        assert_eq!(OomCounts::own(&host("0::/system.slice/a.service\n", events).runner(), 5), None);
        assert!(OomCounts::own(&host("0::/system.slice\n", events).runner(), 5).is_some());
        for group in ["0::/\n", "0::/system.slice\n", "4:memory:/system.slice/a\n", "", "0::/other.slice/a\n"] {
            assert_eq!(counts(&host(group, events)), None, "{group}");
        }
        assert_eq!(counts(&host("0::/system.slice/a.service\n", "oom many\noom_kill 2\n")), None);
        assert_eq!(counts(&host("0::/system.slice/a.service\n", "oom_kill 2\n")), None);
    }
}
