//! `agent.restart`: the agent is stopped and started, unless a debugger holds it or an administrator stopped it.
use wbd_model::entry::Outcome;

use crate::agent;
use crate::done::Done;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::process::Process;
use crate::reach::Reach;
use crate::units::{self, Job};

pub(super) fn preview(reach: &Reach) -> Preview {
    agent::preview(reach, Job::Restart)
}

pub(super) async fn act(execution: &Execution<'_>) -> Done {
    let &Execution { reach, current, .. } = execution;
    // The guard looked for a debugger before; here is the last moment to spare its work.
    let tracer = current
        .and_then(|current| Process::open(current).ok().flatten())
        .and_then(|process| process.stopped_by_tracer());
    if let Some(tracer) = tracer {
        let text = format!("not begun: a debugger (process {tracer}) holds the agent; detach it first");
        return Done::new(Outcome::Aborted, text);
    }
    if let Some(done) = agent::take_stop_back(execution).or_else(|| agent::unwanted(reach.root())) {
        return done;
    }
    match reach {
        Reach::Machine(machine) => units::run(machine, machine.agent_unit(), Job::Restart, execution.start_by).await,
        Reach::Alone(alone) => match agent::end(current).await {
            // Somebody may have stopped it while it was ending.
            Ok(ended) => agent::unwanted(&alone.root).unwrap_or_else(|| agent::spawn(alone)).after(&ended),
            Err(done) => done,
        },
    }
}
