//! `agent.start`: the agent is started, unless it runs or an administrator stopped it.
use wbd_model::entry::Outcome;
use wbd_model::text::chain;

use crate::done::Done;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::process::{Process, ProcessRef};
use crate::reach::{Alone, Reach};
use crate::units::{self, Job};
use crate::{agent, notes};

pub(super) fn preview(reach: &Reach) -> Preview {
    agent::preview(reach, Job::Start)
}

pub(super) async fn act(execution: &Execution<'_>) -> Done {
    let root = execution.reach.root();
    if execution.intent.takes_back_stop
        && let Err(error) = notes::take_stop_back(root, execution.recorded_ms)
    {
        return Done::new(Outcome::Failed, format!("not begun: the stop cannot be taken back: {}", chain(&error)));
    }
    if let Some(done) = agent::unwanted(root) {
        return done;
    }
    match execution.reach {
        Reach::Machine(machine) => units::run(machine, machine.agent_unit(), Job::Start, execution.start_by).await,
        Reach::Alone(alone) => start(execution.current, alone),
    }
}

fn start(current: Option<ProcessRef>, alone: &Alone) -> Done {
    match current.map(Process::open) {
        Some(Ok(Some(process))) => {
            Done::new(Outcome::Aborted, format!("already so: the agent runs as process {}", process.pid))
        }
        Some(Err(error)) => Done::new(Outcome::Failed, format!("cannot tell whether the agent runs: {error}")),
        Some(Ok(None)) | None => agent::spawn(alone),
    }
}
