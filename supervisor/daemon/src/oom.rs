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
