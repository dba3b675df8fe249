//! How a run of the program ends other than well: an exit code with one line for the operator; it prints nothing itself.

use std::fmt;

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The work failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// The agent or the bus cannot be reached.
    Unreachable = 69,
    /// Another agent holds the lock, or a deadline passed: try again.
    TryAgain = 75,
    /// The caller may not do this.
    NotPermitted = 77,
    /// The settings cannot be read.
    Settings = 78,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// An exit code with its one line.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the program exits with.
    pub(crate) exit: Exit,
    /// Operation, object, cause, and what the operator can do.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A refusal of the operating system: not permitted is told apart from the rest.
    pub(crate) fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        let exit = if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::NotPermitted } else { Exit::Failed };
        Self::new(exit, format!("{what}: {error}"))
    }
}
