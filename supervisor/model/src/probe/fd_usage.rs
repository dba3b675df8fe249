//! `fd.usage`: open file descriptors against the process's own limit.
use super::declared::{Answered, Binding, Declaration};
use super::process_state::OTHERS;
use crate::declared::Parameter;
use crate::observation::{Field, Unit};
use crate::profile::ProcessSelector;

/// Which process.
pub type Parameters = ProcessSelector;

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "fd.usage",
    asks: "Open file descriptors against the process's own limit.",
    parameters: &[Parameter::PROCESS],
    needs: &[],
    answered: Answered::Host,
    of_host: false,
    costly: false,
    fields: &[
        Field::number("open", Unit::Count, "open files", "open file descriptors"),
        Field::number("soft", Unit::Count, "limit on open files", "the process's own soft limit"),
        Field::number("hard", Unit::Count, "highest possible limit", "its hard limit"),
        Field::number("percent", Unit::Percent, "share of the limit in use", "open in percent of soft"),
        Field::number("age_s", Unit::Seconds, "age of the process", "seconds since the process started"),
        Field::text("others", "other processes of that name", OTHERS),
    ],
    unknown: "All but others where no such process runs. One field where its file in /proc cannot be read; percent \
              where the soft limit is 0.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    binding.process("process")
}
