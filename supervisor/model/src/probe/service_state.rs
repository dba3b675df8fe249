//! `service.state`: what the service manager says of the profile's unit.
use serde::{Deserialize, Serialize};

use super::declared::{Answered, Binding, Declaration};
use crate::observation::{Field, Unit};

/// Which unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parameters {
    /// The unit; `None` where the product has none (stand-alone).
    pub unit: Option<String>,
}

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "service.state",
    asks: "What does the service manager say of the unit?",
    parameters: &[],
    needs: &[],
    answered: Answered::Host,
    of_host: false,
    costly: false,
    fields: &[
        Field::word(
            "manager",
            "service manager",
            &["systemd", "none"],
            "systemd, or none (stand-alone: the supervisor is the parent)",
        ),
        Field::text(
            "active",
            "state of the unit",
            "ActiveState: active, inactive, failed, activating, deactivating; none without a manager",
        ),
        Field::text("sub", "sub-state of the unit", "SubState; none without a manager"),
        Field::text(
            "result",
            "result of the last run",
            "Result of the last run: success, exit-code, signal, oom-kill, start-limit-hit, ...; none without a manager",
        ),
        Field::number(
            "restarts",
            Unit::Count,
            "restarts by the service manager",
            "restarts by the manager since the unit was last reset",
        ),
        Field::flag(
            "start_limit_hit",
            "the start limit of the unit is reached",
            "the start limit of the unit is not reached",
            "the manager gave up starting it",
        ),
        Field::flag(
            "stop_noted",
            "an administrator stopped it",
            "nobody asked for a stop",
            "an administrator stopped it, and that is on record for this boot",
        ),
        Field::text("stop_by", "stopped by", "who stopped it, empty if nobody did"),
        Field::number(
            "stop_age_s",
            Unit::Seconds,
            "stopped for",
            "seconds since it was stopped; unknown if nobody did",
        ),
        Field::flag(
            "masked",
            "the unit is masked or disabled",
            "the unit is enabled",
            "the unit is masked or disabled for starting",
        ),
    ],
    unknown: "What the manager says, where systemd cannot be reached over the bus or does not answer in time. \
              stop_noted and stop_by where the note of a stop cannot be read.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    Some(Parameters { unit: binding.profile?.unit.clone() })
}
