//! `command.run`: a program that the profile's vendor documents is run.
use std::path::Path;
use std::time::Instant;

use wbd_model::action::{Change, CommandRun};
use wbd_model::entry::Outcome;
use wbd_model::forbidden::Purpose;

use crate::done::Done;
use crate::error::ActionError;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::program::{self, Parent, Rule};
use crate::reach::Reach;

pub(super) fn preview(CommandRun { command, .. }: &CommandRun, root: &Path) -> Result<Preview, ActionError> {
    program::checked(root, command, Rule::For(Purpose::Act))?;
    let after = format!("run, at most {}", command.timeout);
    Ok(Preview::of(Change { what: command.argv.join(" "), before: None, after }))
}

/// Runs it and says what became of it, unless it is found only after the start deadline.
pub(super) async fn act(
    CommandRun { command, .. }: &CommandRun,
    execution: &Execution<'_>,
) -> Result<Done, ActionError> {
    let program = program::checked(execution.reach.root(), command, Rule::For(Purpose::Act))?;
    // I3: on a dead mount that look hangs until the mount is back; the window, the pause and the actions since then are
    // not those that the guards saw.
    if Instant::now() > execution.start_by {
        let late = "not begun: looking at its program outlasted its start deadline; look for a dead mount";
        return Ok(Done::new(Outcome::Aborted, late));
    }
    program::start(&program, command, parent(execution.reach), &[]).await
}

fn parent(reach: &Reach) -> Parent {
    match reach {
        Reach::Machine(machine) if machine.root().join("run/systemd/system").is_dir() => Parent::Systemd,
        Reach::Machine(_) | Reach::Alone(_) => Parent::Us,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::{Alone, Machine};

    #[test]
    fn where_systemd_runs_a_program_is_its_child_and_elsewhere_it_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let kernel = Box::new(crate::kernel::Running);
        let machine = Reach::Machine(Machine::made_up(root.clone(), "wbd-agent.service", kernel));
        let alone = Reach::Alone(Alone { root: root.clone(), agent: root.join("agent"), args: Vec::new() });
        assert_eq!((parent(&machine), parent(&alone)), (Parent::Us, Parent::Us));
        std::fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        assert_eq!((parent(&machine), parent(&alone)), (Parent::Systemd, Parent::Us));
    }
}
