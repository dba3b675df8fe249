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
        Field::flag(
            "enough",
            "there are enough samples",
            "there are too few samples",
            "there are samples enough for a verdict",
        ),
        Field::text(
            "known_from",
            "first day with enough samples",
            "the first day on which there can be samples enough, YYYY-MM-DD in local time; empty where there are",
        ),
        Field::flag(
            "leaking",
            "the number of open files grows",
            "the number of open files does not grow",
            "growth is shown; that most descriptors are open is none",
        ),
        Field::text(
            "lane",
            "kind of growth",
            "none, slow (days), fast (days) or headroom: the limit is near, whether with growth or without",
        ),
        Field::number("per_day", Unit::PerDay, "growth", "growth a day, rounded; 0 without a leak"),
        Field::number(
            "earliest_min",
            Unit::Minutes,
            "limit reached, at the earliest",
            "minutes until the limit at the earliest; unknown without a leak",
        ),
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
        Field::flag(
            "due",
            "the restart is due now",
            "the restart is not due now",
            "a leak, and the last window that leaves a spare one is open, or there is none such; false without a leak",
        ),
        Field::number(
            "window_in_min",
            Unit::Minutes,
            "window opens in",
            "minutes until the leak window opens; 0 while it is open",
        ),
        Field::text("reason", "verdict", "the verdict in words"),
    ],
    unknown: "While there are too few samples all but enough, known_from, window_in_min and reason, and where the limit \
              is near leaking alone; all of it where the profile has no leak window, where no sample was taken for six \
              hours or where the samples cannot be read. due and window_in_min where the window cannot be understood.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    binding.process("process")
}
