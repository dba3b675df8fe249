//! What the service manager told of the agent's unit: its state, and how its process ended. Follows it
//! elsewhere (`follow`).
use wbd_model::entry::{Exit, ExitHow};
use wbd_probes::UnitState;
use zbus::zvariant::OwnedValue;

/// The unit's properties, as far as they were told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UnitView {
    /// What `service.state` is made of.
    pub(crate) state: UnitState,
    exec_pid: u32,
    /// How waitid(2) says the process ended: 1 exited, 2 killed, 3 dumped.
    exec_code: i32,
    exec_status: i32,
    exec_exit: u64,
}

impl UnitView {
    /// Takes over one property.
    pub(crate) fn set(&mut self, name: &str, value: &OwnedValue) {
        match name {
            "ExecMainPID" => self.exec_pid = u32::try_from(value).unwrap_or_default(),
            "ExecMainCode" => self.exec_code = i32::try_from(value).unwrap_or_default(),
            "ExecMainStatus" => self.exec_status = i32::try_from(value).unwrap_or_default(),
            "ExecMainExitTimestampMonotonic" => self.exec_exit = u64::try_from(value).unwrap_or_default(),
            _ => self.state.set(name, value),
        }
    }

    /// How the main process ended, if it did since `before`; `asked`: a stop or restart job was under way.
    pub(crate) fn ended_since(&self, before: &Self, asked: bool) -> Option<Exit> {
        if self.exec_exit == 0 || self.exec_exit == before.exec_exit {
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
