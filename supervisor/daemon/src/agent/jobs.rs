//! Jobs of the service manager on the agent's unit: what each did, and whether it was ours or an administrator's.
//! Follows none itself.
use std::collections::VecDeque;

use crate::event::unit::UnitView;
use crate::event::{Effect, EndedJob};

/// Jobs whose owner is remembered or waited for; there is rarely more than one.
const KEPT: usize = 16;
/// The end of a job is told within this, on a bus that was too slow to be asked for it.
const TOLD_MS: u64 = 10_000;

/// Which jobs were ours: ours are known by number once their action ends, so others wait until then.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    ours: VecDeque<u32>,
    /// One more of ours has a number that nobody knows: the next by which the unit runs, until then.
    nameless_ms: Option<u64>,
    waiting: VecDeque<EndedJob>,
}

/// Whose job it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// That is known when the action under way has ended.
    Unknown,
    /// An action's.
    Ours,
    /// An administrator's.
    Others,
}

impl Jobs {
    /// An action ended, and this was its job; `is_nameless`: it asked for one to start the agent, and not over the bus,
    /// which alone tells the number. Gives the jobs that ended meanwhile.
    pub(super) fn own(&mut self, id: Option<u32>, is_nameless: bool, now_ms: u64) -> VecDeque<EndedJob> {
        self.nameless_ms = is_nameless.then(|| now_ms + TOLD_MS);
        self.ours.extend(id);
        while self.ours.len() > KEPT {
            self.ours.pop_front();
        }
        std::mem::take(&mut self.waiting)
    }

    /// Whose a job was that ended; `may_be_ours`: of the action under way.
    pub(super) fn whose(&mut self, job: EndedJob, may_be_ours: bool, now_ms: u64) -> Whose {
        if may_be_ours && self.waiting.len() < KEPT {
            self.waiting.push_back(job);
            Whose::Unknown
        } else if self.ours.contains(&job.id) || self.is_nameless(job.effect, now_ms) {
            Whose::Ours
        } else {
            Whose::Others
        }
    }

    /// Whether this job is the one without a number. Jobs on one unit end in order: once another one has ended, that is over.
    fn is_nameless(&mut self, effect: Effect, now_ms: u64) -> bool {
        let until_ms = self.nameless_ms.take();
        matches!(effect, Effect::Runs(_)) && until_ms.is_some_and(|until_ms| now_ms <= until_ms)
    }
}

/// What a job did, by its type (empty: it was over before its type was read), its result, and the unit before and
/// after it. `None`: nothing that an administrator would mean by it.
pub(crate) fn effect(kind: &str, result: &str, begun: Option<&UnitView>, view: &UnitView) -> Option<Effect> {
    let running = matches!(view.state.active.as_str(), "active" | "activating" | "reloading");
    // A job may be over before its type is read. Of those only a stop leaves a unit that ended well and is
    // inactive; the last try of a crash loop leaves a failed one.
    let ended_well = view.state.active == "inactive" && view.state.result == "success" && result == "done";
    // One that had to be killed, or failed as it ended, was being stopped before its process ended.
    let ended_badly = view.state.active == "failed" && view.state.was_stopped() && result == "done";
    let before = begun.map_or("", |begun| begun.state.active.as_str());
    match kind {
        // Where another job took its place, that one tells what is wanted.
        "stop" if result != "canceled" => Some(Effect::Stopped { ran: before != "inactive" }),
        "" if ended_well || ended_badly => Some(Effect::Stopped { ran: before != "inactive" }),
        "reload" if result == "done" => Some(Effect::Runs(Some("agent.reload"))),
        "start" | "restart" | "try-restart" | "" if running => Some(Effect::Runs(done(begun, view))),
        _ => None,
    }
}

/// What became of a unit that runs. systemd's own restart after a crash is a job too, of a unit that is starting.
fn done(begun: Option<&UnitView>, view: &UnitView) -> Option<&'static str> {
    let begun = begun?;
    match begun.state.active.as_str() {
        "inactive" | "failed" => Some("agent.start"),
        // A restart is a start once its stop is done; it also forgets when the unit was reloaded.
        "active" | "reloading" | "deactivating" if view.main_pid != begun.main_pid => Some("agent.restart"),
        "active" | "reloading" if view.reloaded > begun.reloaded => Some("agent.reload"),
        // A start of what runs changes nothing.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::Value;

    use super::*;

    /// One that ended as `failed`, in this order of times: begun, told to stop (0: never), ended.
    fn failed_at(times: [u64; 3]) -> UnitView {
        let mut view = unit("failed", "exit-code", 0, 0);
        let names =
            ["ExecMainStartTimestampMonotonic", "ActiveExitTimestampMonotonic", "ExecMainExitTimestampMonotonic"];
        for (name, at) in names.into_iter().zip(times) {
            view.set(name, &Value::U64(at).try_to_owned().unwrap());
        }
        view
    }

    #[test]
    fn a_stop_that_was_not_read_in_time_and_that_the_agent_answers_by_failing_is_still_a_stop() {
        let up = unit("active", "success", 7, 0);
        assert_eq!(effect("", "done", Some(&up), &failed_at([1, 2, 3])), Some(Effect::Stopped { ran: true }));
        // Twins: it failed by itself, and then its unit; a start that failed.
        assert_eq!(effect("", "done", Some(&up), &failed_at([1, 3, 2])), None);
        assert_eq!(effect("", "failed", Some(&up), &failed_at([1, 2, 3])), None);
    }

    fn unit(active: &str, result: &str, pid: u32, reloaded: u64) -> UnitView {
        let mut view = UnitView::default();
        (view.main_pid, view.reloaded) = (pid, reloaded);
        for (name, word) in [("ActiveState", active), ("Result", result)] {
            view.set(name, &Value::from(word).try_to_owned().unwrap());
        }
        view
    }

    #[test]
    fn each_job_is_told_by_what_it_did() {
        let up = unit("active", "success", 7, 0);
        let down = unit("inactive", "success", 0, 0);
        let crashed = unit("activating", "signal", 0, 0);
        let failed = unit("failed", "signal", 0, 0);
        let other = unit("active", "success", 8, 0);
        let reloaded = unit("active", "success", 7, 99);
        let runs = |what| Some(Effect::Runs(what));
        for (kind, begun, view, wanted) in [
            ("stop", &up, &down, Some(Effect::Stopped { ran: true })),
            ("stop", &down, &down, Some(Effect::Stopped { ran: false })),
            ("", &up, &down, Some(Effect::Stopped { ran: true })),
            ("", &up, &failed, None),
            ("start", &down, &up, runs(Some("agent.start"))),
            ("", &failed, &up, runs(Some("agent.start"))),
            ("start", &up, &up, runs(None)),
            ("", &up, &up, runs(None)),
            ("restart", &up, &other, runs(Some("agent.restart"))),
            ("", &up, &other, runs(Some("agent.restart"))),
            ("reload", &up, &up, runs(Some("agent.reload"))),
            ("", &up, &reloaded, runs(Some("agent.reload"))),
            ("start", &reloaded, &other, runs(Some("agent.restart"))),
            // Not by hand: systemd starts again what crashed.
            ("restart", &crashed, &other, runs(None)),
            ("start", &crashed, &other, runs(None)),
            ("verify-active", &up, &up, None),
        ] {
            assert_eq!(effect(kind, "done", Some(begun), view), wanted, "{kind} {begun:?} -> {view:?}");
        }
        assert_eq!(effect("reload", "failed", Some(&up), &up), None);
        let ending = unit("deactivating", "success", 7, 0);
        assert_eq!(effect("stop", "canceled", Some(&up), &ending), None, "a restart took its place");
        assert_eq!(effect("restart", "done", None, &other), runs(None), "nobody saw it begin");
    }
}
