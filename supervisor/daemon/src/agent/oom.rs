//! Whose want of memory ended the agent: its own limit's or the host's. Looks at counts only, and acts on nothing.
use wbd_model::entry::{Exit, ExitHow};
use wbd_probes::{OomCounts, OomScope, ProbeRunner};

/// So far apart are two looks at the counts; an exit is compared with the last but one, which is from before it
/// even if the kernel had counted and not yet killed at the last one.
const APART_MS: u64 = 5_000;

/// What the kernel ends a process with.
const SIGKILL: i64 = 9;

/// The counts around the agent's process as they were lately.
#[derive(Debug, Default)]
pub(crate) struct OomWatch {
    older: Option<OomCounts>,
    newer: Option<OomCounts>,
    next_ms: u64,
    /// The process, and the counts of its own group when it was first seen.
    own: Option<(u32, OomCounts)>,
    /// The last process that was seen to be killed for want of memory.
    killed: Option<u32>,
}

impl OomWatch {
    /// Looks, when it is time to. The process is one that runs.
    pub(crate) fn look(&mut self, runner: &ProbeRunner, pid: u32, now_ms: u64) {
        if self.own.as_ref().is_none_or(|(whose, _)| *whose != pid) {
            self.own = OomCounts::own(runner, pid).map(|counts| (pid, counts));
        }
        if now_ms >= self.next_ms {
            self.next_ms = now_ms + APART_MS;
            self.older = self.newer.take();
            self.newer = OomCounts::around(runner, pid);
        }
    }

    /// This process is gone. Its group's counts go with it, and systemd, when it is busy, does not look at them.
    pub(crate) fn gone(&mut self, pid: u32) {
        let own = self.own.as_ref().filter(|(whose, _)| *whose == pid);
        if own.is_some_and(|(_, before)| before.again().is_some_and(|after| after.has_killed_since(before))) {
            self.killed = Some(pid);
        }
    }

    /// Says of an exit for want of memory whose that was, as far as it can be told.
    pub(crate) fn name(&mut self, exit: &mut Exit) {
        let Ok(pid) = u32::try_from(exit.pid) else { return };
        self.gone(pid);
        // Also where systemd told a signal only, or nothing in time.
        let may_be = exit.how == ExitHow::Unknown || exit.how == ExitHow::Signal && exit.code == SIGKILL;
        if exit.how != ExitHow::Oom && !(may_be && self.killed == Some(pid)) {
            return;
        }
        exit.code = if exit.how == ExitHow::Unknown { SIGKILL } else { exit.code };
        let before = self.older.as_ref().or(self.newer.as_ref());
        exit.how = match before.and_then(|before| before.again()?.since(before)) {
            Some(OomScope::Limit) => ExitHow::OomLimit,
            Some(OomScope::Host) => ExitHow::OomHost,
            None => ExitHow::Oom,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const PID: u32 = 5;

    fn counted(root: &Path, limits: u32, kills: u32) {
        fs::create_dir_all(root.join("sys/fs/cgroup/system.slice")).unwrap();
        let text = format!("oom {limits}\noom_kill {kills}\n");
        fs::write(root.join("sys/fs/cgroup/system.slice/memory.events"), text).unwrap();
    }

    /// The process's own group has killed so many.
    fn own(root: &Path, kills: u32) {
        let group = root.join("sys/fs/cgroup/system.slice/wbd-agent.service");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("memory.events"), format!("oom {kills}\noom_kill {kills}\n")).unwrap();
    }

    fn runner(root: &Path) -> ProbeRunner {
        fs::create_dir_all(root.join("proc/5")).unwrap();
        fs::write(root.join("proc/5/cgroup"), "0::/system.slice/wbd-agent.service\n").unwrap();
        let mut runner = ProbeRunner::new(root.to_path_buf());
        (runner.proc, runner.sys) = (root.join("proc"), root.join("sys"));
        runner
    }

    fn named(watch: &mut OomWatch, how: ExitHow) -> ExitHow {
        let mut exit = Exit { pid: i64::from(PID), how, code: 9, asked: false, by: String::new() };
        watch.name(&mut exit);
        exit.how
    }

    #[test]
    fn an_exit_is_compared_with_what_was_counted_before_it() {
        let root = tempfile::tempdir().unwrap();
        let runner = runner(root.path());
        // Somebody else's limit, long ago.
        counted(root.path(), 1, 1);
        let mut watch = OomWatch::default();
        watch.look(&runner, PID, 0);
        watch.look(&runner, PID, APART_MS);
        assert_eq!(named(&mut watch, ExitHow::Oom), ExitHow::Oom, "nobody was killed since");
        counted(root.path(), 1, 2);
        assert_eq!(named(&mut watch, ExitHow::Oom), ExitHow::OomHost);
        // The kernel had counted at the last look already.
        watch.look(&runner, PID, 2 * APART_MS);
        assert_eq!(named(&mut watch, ExitHow::Oom), ExitHow::OomHost);
        watch.look(&runner, PID, 3 * APART_MS);
        counted(root.path(), 2, 3);
        assert_eq!(named(&mut watch, ExitHow::Oom), ExitHow::OomLimit);
        assert_eq!(named(&mut watch, ExitHow::Signal), ExitHow::Signal, "other ends stay what they are");
    }

    #[test]
    fn without_counts_it_stays_unknown_whose_memory_it_was() {
        let root = tempfile::tempdir().unwrap();
        let mut watch = OomWatch::default();
        assert_eq!(named(&mut watch, ExitHow::Oom), ExitHow::Oom);
        watch.look(&runner(root.path()), PID, 0);
        assert_eq!(named(&mut watch, ExitHow::Oom), ExitHow::Oom);
    }

    #[test]
    fn a_kill_in_its_own_group_counts_though_systemd_saw_a_signal_only() {
        let root = tempfile::tempdir().unwrap();
        let runner = runner(root.path());
        counted(root.path(), 1, 1);
        own(root.path(), 1);
        let mut watch = OomWatch::default();
        watch.look(&runner, PID, 0);
        counted(root.path(), 2, 2);
        assert_eq!(named(&mut watch, ExitHow::Signal), ExitHow::Signal, "somebody else's group");
        own(root.path(), 2);
        assert_eq!(named(&mut watch, ExitHow::Exit), ExitHow::Exit);
        // Seen while the group was still there.
        watch.gone(PID);
        fs::remove_dir_all(root.path().join("sys/fs/cgroup/system.slice/wbd-agent.service")).unwrap();
        assert_eq!(named(&mut watch, ExitHow::Signal), ExitHow::OomLimit);
        assert_eq!(named(&mut watch, ExitHow::Unknown), ExitHow::OomLimit, "systemd told nothing in time");
        assert_eq!(named(&mut OomWatch::default(), ExitHow::Signal), ExitHow::Signal);
    }
}
