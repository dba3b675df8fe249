//! Whether this process itself did not run for a while (stopped, suspended, starved): then the agent did not run either,
//! perhaps, and its old health document says nothing yet. Judges nothing.

/// The agent writes its health document this often.
const HEARTBEAT_MS: u64 = 1_000;
/// A gap that is longer than a heartbeat makes the document look old. Then the agent gets a heartbeat to write another
/// one, and as long again: a machine that has just woken up is slow.
const GRACE_MS: u64 = 2 * HEARTBEAT_MS;

/// What the loop noticed of its own gaps.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    /// When the loop goes on at the latest, milliseconds of this boot; `None`: it has not slept yet.
    goes_on_ms: Option<u64>,
    /// Until then the agent's document is not judged.
    grace_until_ms: u64,
}

impl Gap {
    /// The loop sleeps, until that moment at the latest.
    pub(crate) fn sleeps(&mut self, until_ms: u64) {
        self.goes_on_ms = Some(until_ms);
    }

    /// The loop runs. Gives until when the agent's document is not judged, where it comes out of a gap.
    pub(crate) fn runs(&mut self, now_ms: u64) -> Option<u64> {
        // Up to the next call or sleep it works, which takes no time to speak of.
        let late_ms = now_ms.saturating_sub(self.goes_on_ms.replace(now_ms)?);
        if late_ms <= HEARTBEAT_MS {
            return None;
        }
        self.grace_until_ms = now_ms + GRACE_MS;
        Some(self.grace_until_ms)
    }

    fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.grace_until_ms
    }

    /// When that is next to change.
    pub(crate) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        (!self.is_over(now_ms)).then_some(self.grace_until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_comes_back_late_gives_the_agent_time_to_write() {
        let mut gap = Gap::default();
        gap.sleeps(5_000);
        assert_eq!(gap.runs(19_000), Some(21_000));
        assert!(!gap.is_over(20_999) && gap.is_over(21_000));
        assert_eq!((gap.next_ms(19_000), gap.next_ms(21_000)), (Some(21_000), None));
        assert_eq!(gap.runs(19_010), None, "told once");
        assert_eq!(gap.runs(40_000), Some(42_000), "it stood still in the middle of its work");
    }

    #[test]
    fn a_loop_that_comes_back_in_time_or_a_little_late_gives_none() {
        let mut gap = Gap::default();
        assert_eq!(gap.runs(60_000), None, "it has not slept yet");
        for now_ms in [3_000, 5_000, 6_000] {
            gap.sleeps(5_000);
            assert_eq!(gap.runs(now_ms), None, "{now_ms}");
            assert!(gap.is_over(now_ms) && gap.next_ms(now_ms).is_none());
        }
        gap.sleeps(5_000);
        assert!(gap.runs(6_001).is_some());
    }
}
