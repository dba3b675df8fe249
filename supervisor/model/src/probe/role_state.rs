//! `role.state`: whether a process of a product is there, and what says that it should be.
use serde::{Deserialize, Serialize};

use super::declared::{Answered, Binding, Declaration, Item};
use super::process_state::OTHERS;
use crate::declared::{Parameter, Takes};
use crate::name::ProfileName;
use crate::observation::{Field, Unit};
use crate::profile::ProcessSelector;

/// Which process of which product; larger than what other questions ask.
pub type Parameters = Box<Role>;

/// A process of a product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Role {
    /// The product.
    pub product: ProfileName,
    /// The process by its role.
    pub role: String,
    /// How it is told from others.
    pub selector: ProcessSelector,
    /// The unit that the profile names for it.
    pub unit: Option<String>,
    /// The packages that bring the product.
    pub packages: Vec<String>,
}

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "role.state",
    asks: "Does the process of a role run, and if not: should it?",
    parameters: &[Parameter { name: "role", takes: Takes::Role, required: true, doc: "`role`: the item of `each`." }],
    needs: &[],
    answered: Answered::Host,
    of_host: false,
    costly: false,
    fields: &[
        Field::flag(
            "runs",
            "a process of the role runs",
            "no process of the role runs",
            "at least one such process runs on this host; one in a container does not count",
        ),
        Field::number("pid", Unit::Id, "process id", "process id of the oldest; unknown when none runs"),
        Field::text("others", "others of that name", OTHERS),
        Field::text(
            "program",
            "program file",
            "there; gone: it was there when the process was seen to run; absent: it was never seen there; unnamed: \
             neither the profile nor a process that was seen to run tells where it is",
        ),
        Field::text("file", "program", "the program file that was looked for, empty where none is known"),
        Field::text("package", "package", "the package of the profile that is installed, empty where none is"),
        Field::text("unit", "unit", "the unit that the process was last seen in, else the profile's; empty for none"),
        Field::text("active", "state of the unit", "ActiveState of that unit; none without a unit or a manager"),
        Field::text("result", "last result", "Result of the unit's last run; none without a unit or a manager"),
        Field::flag(
            "enabled",
            "the unit is enabled",
            "the unit is not enabled",
            "the unit that the profile names is enabled, so that it starts at boot",
        ),
        Field::flag(
            "ran",
            "it ran since the last boot",
            "it has not run since the last boot",
            "it was seen to run in this boot, or its unit was active in this boot",
        ),
        Field::flag(
            "stopped",
            "a stop job ended the unit",
            "no stop job ended the unit",
            "a stop job of the service manager ended the unit, or is about to",
        ),
        Field::flag("masked", "the unit is masked", "the unit is not masked", "an administrator masked the unit"),
        Field::flag(
            "condition_failed",
            "a condition of the unit is not met",
            "no condition of the unit keeps it from starting",
            "the service manager did not start the unit since one of its conditions does not hold",
        ),
        Field::flag(
            "collected",
            "systemd no longer knows how the unit ended",
            "systemd knows how the unit ended",
            "the service manager has dropped the unit from its memory, as it does with one that is not enabled and \
             ended well, so nobody can tell who ended it",
        ),
    ],
    unknown: "All of it as for process.state. Everything about the unit while the process runs (it is not asked then), or \
              where systemd cannot be reached over the bus or does not answer in time. program where its folder cannot \
              be looked into, package where the list of packages cannot be read.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    let (spec, Item::Role { product, role }) = (binding.profile?, binding.item?) else { return None };
    Some(Box::new(Role {
        product: product.clone(),
        role: role.to_owned(),
        selector: spec.process.get(role)?.clone(),
        unit: spec.unit_of(role).cloned(),
        packages: spec.packages(),
    }))
}
