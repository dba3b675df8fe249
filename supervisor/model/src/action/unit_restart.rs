//! `unit.restart`: another service's unit is restarted.
use serde::{Deserialize, Serialize};

use super::declared::{Conflict, Declaration, Given, NamedBy, OnAgent};
use super::does::Does;
use crate::class::Class;
use crate::declared::{Parameter, Takes};
use crate::unit;

/// Its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnitRestart {
    /// The unit's name.
    pub unit: String,
}

/// All that is said of it.
pub(super) const DECLARATION: Declaration = Declaration {
    key: "unit.restart",
    does: "Restart a service: a unit that the profile names (its `unit`, or that of a process), a resolver of names \
           (systemd-resolved, dnsmasq, unbound, named, bind9), or the resolver that dns.servers found in `local_unit`. Never \
           wbd's own units, dbus, systemd-journald or systemd-logind, under none of their names, nor what would take one of \
           them down. What else goes down with it is shown before.",
    class: Class::A3,
    named_by: NamedBy::Playbook,
    parameters: &[Parameter {
        name: "unit",
        takes: Takes::Unit,
        required: true,
        doc: "The unit: its name, `{cel: profile.unit}`, or `{cel: NAME.local_unit}` where NAME observes dns.servers.",
    }],
    needs: &[],
    agent: OnAgent::Nothing,
    provable: false,
    conflicts: "another action on the same unit",
    undo: None,
    alone: Some("which `systemctl restart` to type"),
};

/// With the values of a step.
pub(super) fn of(given: &Given<'_>) -> Result<UnitRestart, String> {
    let unit = given.text("unit")?;
    unit::restartable(unit, given.units, given.found)?;
    Ok(UnitRestart { unit: unit.to_owned() })
}

impl Does for UnitRestart {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }
    fn describe(&self) -> String {
        format!("restart {}", self.unit)
    }
    fn conflict(&self) -> Conflict {
        Conflict::Unit(self.unit.clone())
    }
    fn reads(&self) -> Option<&str> {
        Some(&self.unit)
    }
    fn typed(&self) -> Option<String> {
        Some(format!("systemctl restart {}", self.unit))
    }
}
