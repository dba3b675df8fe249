//! Each action's own file, and which one does what. Does nothing itself.
//!
//! An action is added by its file and its line in `preview` and in `act`; it is declared in wbd-model.
mod agent_reload;
mod agent_restart;
mod agent_start;
mod agent_stop;
mod command_run;
mod sysctl_restore;
mod sysctl_set;
mod unit_restart;

use wbd_model::action::Action;

use crate::done::Done;
use crate::error::ActionError;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::reach::Reach;

/// What it would change, as the host is now.
pub(crate) fn preview(action: &Action, reach: &Reach) -> Result<Preview, ActionError> {
    match action {
        Action::SysctlSet(values) => sysctl_set::preview(values, reach.machine(action)?),
        Action::SysctlRestore(values) => sysctl_restore::preview(values, reach.machine(action)?),
        Action::AgentReload {} => Ok(agent_reload::preview(reach)),
        Action::AgentStart {} => Ok(agent_start::preview(reach)),
        Action::AgentRestart {} => Ok(agent_restart::preview(reach)),
        Action::AgentStop(_) => Ok(agent_stop::preview(reach)),
        Action::UnitRestart(values) => unit_restart::preview(values, reach.machine(action)),
        Action::CommandRun(values) => command_run::preview(values, reach.root()),
    }
}

/// Does it.
pub(crate) async fn act(execution: &Execution<'_>) -> Result<Done, ActionError> {
    let (action, reach) = (&execution.intent.action, execution.reach);
    match action {
        Action::SysctlSet(values) => sysctl_set::act(values, reach.machine(action)?, execution.intent.undo.as_ref()),
        Action::SysctlRestore(values) => sysctl_restore::act(values, reach.machine(action)?),
        Action::AgentReload {} => Ok(agent_reload::act(execution).await),
        Action::AgentStart {} => Ok(agent_start::act(execution).await),
        Action::AgentRestart {} => Ok(agent_restart::act(execution).await),
        Action::AgentStop(values) => Ok(agent_stop::act(values, execution).await),
        Action::UnitRestart(values) => unit_restart::act(values, reach.machine(action), execution).await,
        Action::CommandRun(values) => command_run::act(values, execution).await,
    }
}
