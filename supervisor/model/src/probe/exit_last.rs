//! `exit.last`: how the watched process ended last, as the ledger has it.
use super::declared::{Answered, Binding, Declaration};
use crate::name::TargetName;
use crate::observation::{Field, Unit};

/// Whose exits.
pub type Parameters = TargetName;

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "exit.last",
    asks: "How did the watched process end last?",
    parameters: &[],
    needs: &[],
    answered: Answered::Ledger,
    of_host: false,
    costly: false,
    fields: &[
        Field::flag(
            "seen",
            "the supervisor saw it end",
            "the supervisor did not see it end",
            "the supervisor saw an exit of it in this boot",
        ),
        Field::text(
            "how",
            "how the process ended",
            "exit, signal, oom-limit (its control group had no memory left), oom-host (the host had none), oom (not known which) or unknown; none when no exit was seen",
        ),
        Field::number("code", Unit::Id, "exit code or signal", "exit code or signal number; -1 when none is known"),
        Field::flag(
            "asked",
            "a stop was asked for",
            "nobody asked for a stop",
            "an administrator or wbd asked for that exit",
        ),
        Field::number(
            "recent",
            Unit::Count,
            "unwanted ends in 10 minutes",
            "exits that nobody asked for in the last ten minutes",
        ),
    ],
    unknown: "All of it where the ledger cannot be read (doctor without the supervisor).",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    Some(binding.target.clone())
}
