//! `agent.reload`: the agent is asked to read its settings and look again.
use rustix::process::Signal;
use wbd_model::entry::Outcome;

use crate::agent;
use crate::done::Done;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::process::{Process, ProcessRef};
use crate::reach::Reach;
use crate::units::{self, Job};

pub(super) fn preview(reach: &Reach) -> Preview {
    agent::preview(reach, Job::Reload)
}

pub(super) async fn act(execution: &Execution<'_>) -> Done {
    match execution.reach {
        Reach::Machine(machine) => units::run(machine, machine.agent_unit(), Job::Reload, execution.start_by).await,
        Reach::Alone(_) => tell(execution.current),
    }
}

fn tell(current: Option<ProcessRef>) -> Done {
    let gone = || Done::new(Outcome::Failed, "no agent runs to be reloaded");
    let Some(current) = current else { return gone() };
    match Process::open(current).and_then(|process| process.map(|process| process.signal(Signal::HUP)).transpose()) {
        Ok(Some(true)) => Done::new(Outcome::Done, format!("process {} was told to reload", current.pid)),
        Ok(Some(false) | None) => gone(),
        Err(error) => Done::new(Outcome::Failed, format!("cannot signal process {}: {error}", current.pid)),
    }
}
