//! What the service manager says of the agent's unit. Follows it elsewhere (`follow`).
use std::path::Path;

use wbd_agent_api::{paths, stop};
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;

/// The unit's properties, as far as they were told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UnitView {
    /// `ActiveState`
    pub(crate) active: String,
    /// `SubState`
    pub(crate) sub: String,
    /// `Result`
    pub(crate) result: String,
    /// `LoadState`
    pub(crate) load: String,
    /// `NRestarts`
    pub(crate) restarts: u32,
    /// `MainPID`
    pub(crate) main_pid: u32,
    /// `ExecMainPID`
    pub(crate) exec_pid: u32,
    /// `ExecMainCode`: how waitid(2) says the process ended (1 exited, 2 killed, 3 dumped)
    pub(crate) exec_code: i32,
    /// `ExecMainStatus`
    pub(crate) exec_status: i32,
    /// `ExecMainExitTimestampMonotonic`
    pub(crate) exec_exit: u64,
}

/// Answer to `service.state` from what was followed; `None`: the manager cannot be reached.
pub(crate) fn observe(view: Option<&UnitView>, root: &Path, boot_id: &str) -> Observation {
    let mut seen = match view {
        Some(view) => {
            let mut seen = Observation::default();
            seen.know("manager", "systemd")
                .know("active", view.active.as_str())
                .know("sub", view.sub.as_str())
                .know("result", view.result.as_str())
                .know("restarts", i64::from(view.restarts))
                .know("start_limit_hit", view.result == "start-limit-hit")
                .know("masked", view.load == "masked");
            seen
        }
        None => Observation::unseen(ProbeName::ServiceState.fields(), "the service manager cannot be reached over the bus"),
    };
    note_stop(&mut seen, root, boot_id);
    seen
}

/// Stand-alone there is no service manager: the supervisor itself is the parent.
pub(crate) fn observe_standalone(root: &Path, boot_id: &str) -> Observation {
    let mut seen = Observation::default();
    for field in ["active", "sub", "result"] {
        seen.know(field, "none");
    }
    seen.know("manager", "none").know("restarts", 0).know("start_limit_hit", false).know("masked", false);
    note_stop(&mut seen, root, boot_id);
    seen
}

fn note_stop(seen: &mut Observation, root: &Path, boot_id: &str) {
    match stop::read(&paths::stop_note(root), boot_id) {
        Ok(Some(note)) => seen.know("stop_noted", true).know("stop_by", note.who),
        Ok(None) => seen.know("stop_noted", false).know("stop_by", ""),
        Err(error) => seen.miss("stop_noted", error.to_string()).miss("stop_by", error.to_string()),
    };
}
