//! `unit.restart`: a service that playbooks may ask for is restarted.
use wbd_model::action::UnitRestart;

use crate::done::Done;
use crate::error::ActionError;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::reach::Machine;
use crate::units::{self, Job};

/// Services whose restart a playbook may ask for: resolvers of names, nothing that holds data.
pub const RESTARTABLE_UNITS: [&str; 5] =
    ["systemd-resolved.service", "dnsmasq.service", "unbound.service", "named.service", "bind9.service"];

pub(super) fn preview(
    UnitRestart { unit }: &UnitRestart,
    machine: Result<&Machine, ActionError>,
) -> Result<Preview, ActionError> {
    allowed(unit)?;
    machine.map(|_| Preview::of_job(unit, Job::Restart))
}

pub(super) async fn act(
    UnitRestart { unit }: &UnitRestart,
    machine: Result<&Machine, ActionError>,
    execution: &Execution<'_>,
) -> Result<Done, ActionError> {
    allowed(unit)?;
    Ok(units::run(machine?, unit, Job::Restart, execution.start_by).await)
}

/// Whether this unit may be restarted for a playbook.
fn allowed(unit: &str) -> Result<(), ActionError> {
    if RESTARTABLE_UNITS.contains(&unit) {
        return Ok(());
    }
    let rule = "wbd restarts resolvers of names only (systemd-resolved, dnsmasq, unbound, named, bind9)";
    Err(ActionError::NotAllowed { verb: "restart", what: unit.to_owned(), rule: rule.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_resolvers_may_be_restarted() {
        for unit in RESTARTABLE_UNITS {
            assert!(allowed(unit).is_ok(), "{unit}");
        }
        for unit in ["wbd-supervisord.service", "sshd.service", "dnsmasq", "../named.service", ""] {
            assert!(allowed(unit).is_err(), "{unit}");
        }
    }
}
