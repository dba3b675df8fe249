//! What the service manager told of the agent's unit: its state, and how its process ended. Follows it
//! elsewhere (`follow`).
use wbd_model::entry::{Exit, ExitHow};
use wbd_probes::UnitState;
use zbus::zvariant::{OwnedValue, Value};

/// The unit's properties, as far as they were told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UnitView {
    /// What `service.state` is made of.
    pub(crate) state: UnitState,
    exec_pid: u32,
    /// How waitid(2) says the process ended: 1 exited, 2 killed, 3 dumped.
    exec_code: i32,
    exec_status: i32,
    /// When its reload program was started last, microseconds; 0: never.
    pub(crate) reloaded: u64,
    /// Its main process.
    pub(crate) main_pid: u32,
}

impl UnitView {
    /// Takes over one property.
    pub(crate) fn set(&mut self, name: &str, value: &OwnedValue) {
        match name {
            "ExecReload" => self.reloaded = started(value),
            "MainPID" => self.main_pid = u32::try_from(value).unwrap_or_default(),
            "ExecMainPID" => self.exec_pid = u32::try_from(value).unwrap_or_default(),
            "ExecMainCode" => self.exec_code = i32::try_from(value).unwrap_or_default(),
            "ExecMainStatus" => self.exec_status = i32::try_from(value).unwrap_or_default(),
            _ => self.state.set(name, value),
        }
    }

    /// Whether the main process ended since `before`.
    pub(crate) fn has_ended_since(&self, before: &Self) -> bool {
        self.state.exec_exit != 0 && self.state.exec_exit != before.state.exec_exit
    }

    /// Whether it was started since it stood still, whatever became of it then.
    pub(crate) fn was_started_since(&self, before: &Self) -> bool {
        before.state.is_at_rest() && self.exec_pid != 0 && self.exec_pid != before.exec_pid
    }

    /// How the main process ended, if it did since `before`; `asked`: a stop or restart job was under way.
    pub(crate) fn ended_since(&self, before: &Self, asked: bool) -> Option<Exit> {
        if !self.has_ended_since(before) {
            return None;
        }
        let how = match (self.state.result.as_str(), self.exec_code) {
            ("oom-kill", _) => ExitHow::Oom,
            (_, 1) => ExitHow::Exit,
            (_, 2 | 3) => ExitHow::Signal,
            _ => ExitHow::Unknown,
        };
        let by = if asked { "a job of the service manager".to_owned() } else { String::new() };
        Some(Exit { pid: i64::from(self.exec_pid), how, code: i64::from(self.exec_status), asked, by })
    }
}

/// When the last of a list of commands (path, arguments, flag, begun, begun on the monotonic clock, ...) was started.
fn started(commands: &Value<'_>) -> u64 {
    const MONOTONIC: usize = 4;
    let Value::Array(commands) = commands else { return 0 };
    let begun = commands.iter().filter_map(|command| {
        let Value::Structure(fields) = command else { return None };
        fields.fields().get(MONOTONIC).and_then(|field| u64::try_from(field).ok())
    });
    begun.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(view: &mut UnitView, properties: &[(&str, Value<'_>)]) {
        for (name, value) in properties {
            view.set(name, &value.try_to_owned().unwrap());
        }
    }

    /// The unit's main process, running.
    fn running() -> UnitView {
        let mut view = UnitView::default();
        let running = [("ActiveState", "active".into()), ("Result", "success".into()), ("ExecMainPID", Value::U32(77))];
        set(&mut view, &running);
        set(&mut view, &[("ExecMainExitTimestampMonotonic", Value::U64(0))]);
        view
    }

    fn ended(code: i32, status: i32, result: &str) -> UnitView {
        let mut view = running();
        let exit = [
            ("ExecMainCode", Value::I32(code)),
            ("ExecMainStatus", Value::I32(status)),
            ("ExecMainExitTimestampMonotonic", Value::U64(5_000)),
            ("Result", result.into()),
        ];
        set(&mut view, &exit);
        view
    }

    #[test]
    fn an_end_is_told_with_its_cause() {
        for (code, status, result, how) in [
            (1, 3, "exit-code", ExitHow::Exit),
            (2, 9, "signal", ExitHow::Signal),
            (3, 11, "core-dump", ExitHow::Signal),
            (2, 9, "oom-kill", ExitHow::Oom),
            (0, 0, "resources", ExitHow::Unknown),
        ] {
            let exit = ended(code, status, result).ended_since(&running(), false).unwrap();
            let wanted = Exit { pid: 77, how, code: i64::from(status), asked: false, by: String::new() };
            assert_eq!(exit, wanted, "{result}");
        }
    }

    #[test]
    fn an_end_is_told_once() {
        let after = ended(2, 9, "signal");
        assert!(after.ended_since(&running(), false).is_some());
        let mut later = after.clone();
        set(&mut later, &[("ActiveState", "failed".into()), ("NRestarts", Value::U32(1))]);
        assert_eq!(later.ended_since(&after, false), None, "other properties changed, the end is the same");
        assert_eq!(running().ended_since(&after, false), None, "a new process has not ended");
        let mut again = running();
        set(&mut again, &[("ExecMainPID", Value::U32(78)), ("ExecMainExitTimestampMonotonic", Value::U64(9_000))]);
        assert_eq!(again.ended_since(&after, false).map(|exit| exit.pid), Some(78), "the next one is told again");
    }

    #[test]
    fn an_end_during_a_job_was_asked_for() {
        let exit = ended(1, 0, "success").ended_since(&running(), true).unwrap();
        assert!(exit.asked && !exit.by.is_empty(), "{exit:?}");
    }

    #[test]
    fn who_ended_first_tells_a_stop_from_an_end_of_its_own() {
        let left = |begun: u64, at: u64| {
            let mut view = ended(1, 0, "success");
            set(&mut view, &[("ExecMainStartTimestampMonotonic", Value::U64(begun))]);
            set(&mut view, &[("ActiveExitTimestampMonotonic", Value::U64(at))]);
            view
        };
        assert!(left(3_000, 4_000).state.was_stopped(), "stopping, then the end");
        assert!(!left(3_000, 5_001).state.was_stopped(), "the end, then inactive");
        assert!(!left(3_000, 0).state.was_stopped(), "never active");
        assert!(!left(3_000, 2_000).state.was_stopped(), "the stop of an earlier process");
        assert!(!running().state.was_stopped(), "it has not ended");
        let mut killed = left(3_000, 4_000);
        set(&mut killed, &[("Result", "oom-kill".into())]);
        assert!(!killed.state.was_stopped(), "nobody asked for that");
    }

    #[test]
    fn a_start_is_seen_also_of_a_process_that_has_ended_since() {
        let mut stopped = ended(1, 0, "success");
        set(&mut stopped, &[("ActiveState", "inactive".into())]);
        let mut again = stopped.clone();
        assert!(!again.was_started_since(&stopped));
        set(&mut again, &[("ExecMainPID", Value::U32(78))]);
        assert!(again.was_started_since(&stopped));
        set(&mut stopped, &[("ActiveState", "failed".into())]);
        assert!(again.was_started_since(&stopped), "a stop may have left it as failed");
        assert!(!again.was_started_since(&running()), "one that ran was not started by hand");
    }

    #[test]
    fn a_property_of_another_type_is_none() {
        let mut view = running();
        set(&mut view, &[("ExecMainPID", "seventy".into()), ("ExecMainExitTimestampMonotonic", Value::U64(1))]);
        assert_eq!(view.ended_since(&running(), false).map(|exit| exit.pid), Some(0));
    }
}
