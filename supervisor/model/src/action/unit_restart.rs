//! `unit.restart`: another service's unit is restarted.
use serde::{Deserialize, Serialize};

use super::declared::{Conflict, Declaration, Given, NamedBy, OnAgent};
use super::does::Does;
use crate::class::Class;
use crate::declared::{Parameter, Takes};

/// Its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnitRestart {
    /// The unit's name.
    pub unit: String,
}

/// All that is said of it.
pub(super) const DECLARATION: Declaration = Declaration {
    key: "unit.restart",
    does: "Restart another service's unit. wbd's own units cannot be named.",
    class: Class::A3,
    named_by: NamedBy::Playbook,
    parameters: &[Parameter {
        name: "unit",
        takes: Takes::Unit,
        required: true,
        doc: "The unit: its name, or `{cel: ...}`.",
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
    Ok(UnitRestart { unit: given.text("unit")?.to_owned() })
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
    fn typed(&self) -> Option<String> {
        Some(format!("systemctl restart {}", self.unit))
    }
}
