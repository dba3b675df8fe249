//! `process.state`: whether a process is there, and in which state.
use super::declared::{Answered, Binding, Declaration};
use crate::declared::Parameter;
use crate::observation::{Field, Unit};
use crate::profile::ProcessSelector;

/// Which process.
pub type Parameters = ProcessSelector;

/// Processes that have the name and do not count; of every probe that counts processes by name.
pub(super) const OTHERS: &str = "processes of that name that do not count, each with the reason, empty for none";

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "process.state",
    asks: "Is the process there, and in which state?",
    parameters: &[Parameter::PROCESS],
    needs: &[],
    answered: Answered::Host,
    of_host: false,
    costly: false,
    fields: &[
        Field::truth("alive", "runs", "at least one such process runs (a zombie does not)"),
        Field::number("count", Unit::Count, "processes", "how many run"),
        Field::number("pid", Unit::Id, "process id", "process id of the oldest; unknown when none runs"),
        Field::text("state", "state", "running, sleeping, disk, stopped, traced, zombie or other; none when none runs"),
        Field::number("age_s", Unit::Seconds, "age", "seconds since it started; unknown when none runs"),
        Field::truth("traced", "traced", "a debugger or tracer holds it"),
        Field::truth(
            "starved",
            "starved",
            "frozen, throttled by its cgroup, or the host is under such pressure that silence proves nothing",
        ),
        Field::text("starved_why", "starved by", "what starves it, empty if nothing does"),
        Field::truth("replaced", "program replaced", "the program file was replaced since the process started"),
        Field::text("others", "others of that name", OTHERS),
    ],
    unknown: "All of it where /proc cannot be listed, or where none was found and some processes could not be looked at \
              (wbd does not run as root). One field where its file in /proc, or the files of its control group, cannot \
              be read.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    binding.process("process")
}
