//! `unit.restart`: a service that playbooks may ask for is restarted.
use wbd_model::action::UnitRestart;

use crate::done::Done;
use crate::error::ActionError;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::reach::Machine;
use crate::unit_look;
use crate::units::{self, Job};

pub(super) fn preview(
    UnitRestart { unit }: &UnitRestart,
    machine: Result<&Machine, ActionError>,
) -> Result<Preview, ActionError> {
    unit_look::allowed(unit)?;
    Ok(Preview { changes: unit_look::look(machine?.root(), unit)?.changes(), undo: None })
}

/// What may be restarted is asked once more: its other names and what depends on it may have changed.
pub(super) async fn act(
    UnitRestart { unit }: &UnitRestart,
    machine: Result<&Machine, ActionError>,
    execution: &Execution<'_>,
) -> Result<Done, ActionError> {
    unit_look::allowed(unit)?;
    let machine = machine?;
    let restart = unit_look::look_aside(machine.root(), unit).await?;
    Ok(units::run(machine, &restart.id, Job::Restart, execution.start_by).await)
}
