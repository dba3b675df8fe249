//! Whose want of memory ended the agent: its own limit's or the host's. Looks at counts only, and acts on nothing.
use wbd_model::entry::{Exit, ExitHow};
use wbd_probes::{Eyes, OomCounts, OomScope};

/// So far apart are two looks at the counts; an exit is compared with the last but one, which is from before it
/// even if the kernel had counted and not yet killed at the last one.
const APART_MS: u64 = 5_000;

/// The counts around the agent's process as they were lately.
#[derive(Debug, Default)]
pub(crate) struct OomWatch {
    older: Option<OomCounts>,
    newer: Option<OomCounts>,
    next_ms: u64,
}

impl OomWatch {
    /// Looks, when it is time to. The process is one that runs.
    pub(crate) fn look(&mut self, eyes: &Eyes, pid: u32, now_ms: u64) {
        if now_ms >= self.next_ms {
            self.next_ms = now_ms + APART_MS;
            self.older = self.newer.take();
            self.newer = OomCounts::around(eyes, pid);
        }
    }

    /// Says of an exit for want of memory whose that was, as far as it can be told.
    pub(crate) fn name(&self, exit: &mut Exit) {
        if exit.how != ExitHow::Oom {
            return;
        }
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

    fn eyes(root: &Path) -> Eyes {
        fs::create_dir_all(root.join("proc/5")).unwrap();
        fs::write(root.join("proc/5/cgroup"), "0::/system.slice/wbd-agent.service\n").unwrap();
        let mut eyes = Eyes::new(root.to_path_buf());
        (eyes.proc, eyes.sys) = (root.join("proc"), root.join("sys"));
        eyes
    }

    fn named(watch: &OomWatch, how: ExitHow) -> ExitHow {
        let mut exit = Exit { pid: i64::from(PID), how, code: 9, asked: false, by: String::new() };
        watch.name(&mut exit);
        exit.how
    }

    #[test]
    fn an_exit_is_compared_with_what_was_counted_before_it() {
        let root = tempfile::tempdir().unwrap();
        let eyes = eyes(root.path());
        // Somebody else's limit, long ago.
        counted(root.path(), 1, 1);
        let mut watch = OomWatch::default();
        watch.look(&eyes, PID, 0);
        watch.look(&eyes, PID, APART_MS);
        assert_eq!(named(&watch, ExitHow::Oom), ExitHow::Oom, "nobody was killed since");
        counted(root.path(), 1, 2);
        assert_eq!(named(&watch, ExitHow::Oom), ExitHow::OomHost);
        // The kernel had counted at the last look already.
        watch.look(&eyes, PID, 2 * APART_MS);
        assert_eq!(named(&watch, ExitHow::Oom), ExitHow::OomHost);
        watch.look(&eyes, PID, 3 * APART_MS);
        counted(root.path(), 2, 3);
        assert_eq!(named(&watch, ExitHow::Oom), ExitHow::OomLimit);
        assert_eq!(named(&watch, ExitHow::Signal), ExitHow::Signal, "other ends stay what they are");
    }

    #[test]
    fn without_counts_it_stays_unknown_whose_memory_it_was() {
        let root = tempfile::tempdir().unwrap();
        let mut watch = OomWatch::default();
        assert_eq!(named(&watch, ExitHow::Oom), ExitHow::Oom);
        watch.look(&eyes(root.path()), PID, 0);
        assert_eq!(named(&watch, ExitHow::Oom), ExitHow::Oom);
    }
}
