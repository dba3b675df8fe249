//! Exit codes and failures, in one place. Prints nothing.
use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use wbd_model::report::Overall;

/// How a command ends; scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Failed or refused.
    Failed,
    /// Doctor's verdict.
    Verdict(Overall),
    /// The command line is wrong.
    Usage,
    /// The supervisor cannot be reached.
    Unreachable,
    /// Not possible just now.
    TryAgain,
    /// Not permitted.
    NotPermitted,
    /// A setting, a playbook or a catalogue is broken.
    BadConfig,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Verdict(verdict) => verdict.exit_code(),
            Self::Usage => 64,
            Self::Unreachable => 69,
            Self::TryAgain => 75,
            Self::NotPermitted => 77,
            Self::BadConfig => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work: one message for standard error, one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    /// What, on what, and what the operator can do.
    pub(crate) message: String,
    /// Further lines below it.
    #[serde(default)]
    pub(crate) more: Vec<String>,
}

impl Failure {
    /// With a code of its own.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), more: Vec::new() }
    }

    /// With further lines. A line feed within one of them is the host's and is shown as such.
    pub(crate) fn and<L: Into<String>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.more.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Failed or refused.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A state that only our own mistake can make.
    pub(crate) fn bug(message: impl fmt::Display) -> Self {
        Self::failed(format!("bug: {message}; please report it"))
    }
}

/// What every command returns.
pub(crate) type Ended = Result<Exit, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Verdict(Overall::Ok), 0),
            (Exit::Verdict(Overall::Warn), 1),
            (Exit::Verdict(Overall::Fail), 2),
            (Exit::Verdict(Overall::Unknown), 3),
            (Exit::Usage, 64),
            (Exit::Unreachable, 69),
            (Exit::TryAgain, 75),
            (Exit::NotPermitted, 77),
            (Exit::BadConfig, 78),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
