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
        Field::flag(
            "alive",
            "the process runs",
            "the process does not run",
            "at least one such process runs (a zombie does not)",
        ),
        Field::number("count", Unit::Count, "processes", "how many run"),
        Field::number("pid", Unit::Id, "process number", "process id of the oldest; unknown when none runs"),
        Field::text(
            "state",
            "state of the process",
            "running, sleeping, disk, stopped, traced, zombie or other; none when none runs",
        ),
        Field::number("age_s", Unit::Seconds, "age of the process", "seconds since it started; unknown when none runs"),
        Field::flag(
            "traced",
            "a debugger holds the process",
            "no debugger holds the process",
            "a debugger or tracer holds it",
        ),
        Field::flag(
            "starved",
            "the process gets no CPU time",
            "the process gets CPU time",
            "frozen, throttled by its cgroup, or the host is under such pressure that silence proves nothing",
        ),
        Field::text("starved_why", "why it gets no CPU time", "what starves it, empty if nothing does"),
        Field::flag(
            "replaced",
            "the program file was replaced",
            "the program file is the one that runs",
            "the program file was replaced since the process started",
        ),
        Field::text("others", "other processes of that name", OTHERS),
    ],
    unknown: "All of it where /proc cannot be listed, or where none was found and some processes could not be looked at \
              (wbd does not run as root). One field where its file in /proc, or the files of its control group, cannot \
              be read.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    binding.process("process")
}
