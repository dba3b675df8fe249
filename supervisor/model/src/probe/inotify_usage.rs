//! `inotify.usage`: inotify use against its limits, for the user of a process.
use super::declared::{Answered, Binding, Declaration};
use crate::declared::Parameter;
use crate::observation::{Field, Unit};
use crate::profile::ProcessSelector;

/// The process whose user is meant.
pub type Parameters = ProcessSelector;

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "inotify.usage",
    asks: "inotify use against its limits, for the user of the process.",
    parameters: &[Parameter::PROCESS],
    needs: &[],
    answered: Answered::Host,
    of_host: false,
    costly: true,
    fields: &[
        Field::number(
            "user_used",
            Unit::Count,
            "watches of the user",
            "watches of all processes of that user; where unread is above 0, at least so many (the others' are up to 15 minutes old while nothing is missing and two tenths are free)",
        ),
        Field::number(
            "unread",
            Unit::Count,
            "processes not looked into",
            "processes of that user that even root could not look into",
        ),
        Field::number(
            "process_used",
            Unit::Count,
            "watches of the process",
            "watches of the process itself (its health document; the kernel's count without one)",
        ),
        Field::number(
            "user_instances",
            Unit::Count,
            "instances of the user",
            "inotify instances of all processes of that user",
        ),
        Field::number("needed", Unit::Count, "watches wanted", "watches the process wants (its health document)"),
        Field::number("missing", Unit::Count, "watches missing", "watches it wants and could not get"),
        Field::word(
            "failed_at",
            "limit that refused",
            &["watches", "instances", "queued_events", "other", "none"],
            "watches, instances, queued_events, other or none: which limit refused",
        ),
        Field::text("errno", "error", "the error's name, empty if none"),
        Field::number("max_watches", Unit::Count, "watches allowed", "fs.inotify.max_user_watches"),
        Field::number("max_instances", Unit::Count, "instances allowed", "fs.inotify.max_user_instances"),
        Field::number("max_queued", Unit::Count, "queue allowed", "fs.inotify.max_queued_events"),
    ],
    unknown: "The use where no such process runs, where it ended meanwhile, where a process of its user could not be \
              looked into (wbd does not run as root) or where there was no time for all of them. needed, missing, \
              failed_at and errno without a health document; needed and missing also where a folder does not answer the \
              agent; a limit where its file in /proc/sys cannot be read.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    binding.process("process")
}
