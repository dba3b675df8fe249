//! `package.lock`: who holds the lock of a package manager.
use serde::{Deserialize, Serialize};

use super::declared::{Answered, Binding, Declaration};
use crate::declared::{Parameter, Takes};
use crate::observation::{Field, Unit};

/// Whose locks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parameters {
    /// One package manager; all of them where `None`.
    pub manager: Option<String>,
}

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "package.lock",
    asks: "Who holds the lock of a package manager?",
    parameters: &[Parameter {
        name: "manager",
        takes: Takes::Word(&["dpkg", "apt", "rpm", "dnf", "yum"]),
        required: false,
        doc: "Only the locks of this one.",
    }],
    needs: &[],
    answered: Answered::Host,
    of_host: true,
    costly: false,
    fields: &[
        Field::flag(
            "held",
            "a package manager holds its lock",
            "no package manager holds a lock",
            "a process holds such a lock",
        ),
        Field::text(
            "manager",
            "package manager",
            "whose lock it is: dpkg, apt, rpm, dnf or yum; none when none is held",
        ),
        Field::text("lock", "lock file", "the file of the first lock that is held, empty for none"),
        Field::number("pid", Unit::Id, "process number", "process id of its holder; unknown when none is held"),
        Field::text("program", "program", "the kernel's name of its holder, empty for none"),
        Field::number(
            "running_s",
            Unit::Seconds,
            "running for",
            "seconds since its holder started; unknown when none is held",
        ),
        Field::text("detail", "each lock", "a word for each lock that is held: file=process id, empty for none"),
    ],
    unknown: "All of it where a lock file cannot be looked at (wbd does not run as root) or names no process, and no other \
              lock is seen to be held. pid, program and running_s where the holder cannot be seen from here: it runs in another pid \
              namespace, or has ended since.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    Some(Parameters { manager: binding.text("manager").map(str::to_owned) })
}
