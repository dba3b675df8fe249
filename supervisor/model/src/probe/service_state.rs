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
            "unit",
            "ActiveState: active, inactive, failed, activating, deactivating; none without a manager",
        ),
        Field::text("sub", "unit, more closely", "SubState; none without a manager"),
        Field::text(
            "result",
            "last result",
            "Result of the last run: success, exit-code, signal, oom-kill, start-limit-hit, ...; none without a manager",
        ),
        Field::number("restarts", Unit::Count, "restarts", "restarts by the manager since the unit was last reset"),
        Field::truth("start_limit_hit", "start limit hit", "the manager gave up starting it"),
        Field::truth(
            "stop_noted",
            "stopped by a person",
            "an administrator stopped it, and that is on record for this boot",
        ),
        Field::text("stop_by", "stopped by", "who stopped it, empty if nobody did"),
        Field::number(
            "stop_age_s",
            Unit::Seconds,
            "stopped for",
            "seconds since it was stopped; unknown if nobody did",
        ),
        Field::truth("masked", "masked", "the unit is masked or disabled for starting"),
    ],
    unknown: "What the manager says, where systemd cannot be reached over the bus or does not answer in time. \
              stop_noted and stop_by where the note of a stop cannot be read.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    Some(Parameters { unit: binding.profile?.unit.clone() })
}
