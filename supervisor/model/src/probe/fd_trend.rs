//! `fd.trend`: what the samples of the file descriptors say.
use super::declared::{Answered, Binding, Declaration};
use crate::declared::Parameter;
use crate::observation::{Field, Unit};
use crate::profile::ProcessSelector;

/// Which process.
pub type Parameters = ProcessSelector;

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "fd.trend",
    asks: "What the samples of the file descriptors say.",
    parameters: &[Parameter::PROCESS],
    needs: &[],
    answered: Answered::Samples,
    of_host: false,
    costly: false,
    fields: &[
        Field::truth("enough", "samples enough", "there are samples enough for a verdict"),
        Field::truth("leaking", "leaks", "a leak is confirmed"),
        Field::text("lane", "kind of leak", "none, slow, fast or headroom"),
        Field::number("per_day", Unit::PerDay, "growth", "growth a day, rounded; 0 without a leak"),
        Field::number(
            "earliest_h",
            Unit::Hours,
            "limit reached, at the earliest",
            "hours until the limit at the earliest; unknown without a leak",
        ),
        Field::number(
            "latest_h",
            Unit::Hours,
            "limit reached, at the latest",
            "hours until the limit at the latest; unknown without a leak",
        ),
        Field::truth(
            "due",
            "restart due",
            "the restart is due now: in the last window that leaves a spare one, or no window is left",
        ),
        Field::text("reason", "verdict", "the verdict in words"),
    ],
    unknown: "All but enough and reason while there are too few samples; all of it where the profile has no leak \
              window or the samples cannot be read. due where the window cannot be understood.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    binding.process("process")
}
