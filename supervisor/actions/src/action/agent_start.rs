//! `agent.start`: the agent is started, unless it runs or an administrator stopped it.
use wbd_model::entry::Outcome;

use crate::agent;
use crate::done::Done;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::process::{Process, ProcessRef};
use crate::reach::{Alone, Reach};
use crate::units::{self, Job};

pub(super) fn preview(reach: &Reach) -> Preview {
    agent::preview(reach, Job::Start)
}

pub(super) async fn act(execution: &Execution<'_>) -> Done {
    let root = execution.reach.root();
    if let Some(done) = agent::take_stop_back(execution).or_else(|| agent::unwanted(root)) {
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
