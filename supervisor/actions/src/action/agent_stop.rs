//! `agent.stop`: the agent is stopped as an administrator's wish, which is noted.
use wbd_model::action::AgentStop;
use wbd_model::entry::Outcome;

use crate::done::Done;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::process::Process;
use crate::reach::Reach;
use crate::units::{self, Job};
use crate::{agent, notes};

pub(super) fn preview(reach: &Reach) -> Preview {
    agent::preview(reach, Job::Stop)
}

pub(super) async fn act(AgentStop { who }: &AgentStop, execution: &Execution<'_>) -> Done {
    let &Execution { reach, current, .. } = execution;
    // Noted first: an agent that is found gone without a note is started again.
    if let Err(error) = notes::note_stop(reach.root(), who, execution.now.boot_ms, "asked for by hand") {
        return Done::new(Outcome::Failed, format!("not begun: the stop cannot be noted: {error}"));
    }
    let done = match reach {
        Reach::Machine(machine) => units::run(machine, machine.agent_unit(), Job::Stop, execution.start_by).await,
        Reach::Alone(_) => match agent::end(current).await {
            Ok(ended) => Done::new(Outcome::Done, ended),
            Err(done) => done,
        },
    };
    let failed = matches!(done.outcome, Outcome::Failed | Outcome::Aborted);
    let runs = || current.is_some_and(|current| matches!(Process::open(current), Ok(Some(_))));
    // It runs on, so its next failure is a failure again.
    if failed
        && runs()
        && let Err(error) = notes::forget_stop(reach.root())
    {
        return done.after(&format!("it runs on, and the note of its stop cannot be removed: {error}"));
    }
    done
}
