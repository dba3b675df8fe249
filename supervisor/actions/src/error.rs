//! Why an action cannot be begun. What became of a begun one is an outcome, not an error.
use std::io;
use std::path::{Path, PathBuf};

/// An action could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// It is not on the list of what wbd may do, whatever a playbook says.
    #[error("refused to {verb} {what}: {rule}")]
    NotAllowed {
        /// What was to be done.
        verb: &'static str,
        /// To what.
        what: String,
        /// The rule that forbids it, and what to do.
        rule: String,
    },
    /// A file that is needed cannot be used.
    #[error("cannot {operation} {path}; look at its mode and its file system")]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It is the machine's, and this executor has a root of their own and nothing else.
    #[error(
        "{action} is not for a stand-alone supervisor: it changes nothing outside of its root {root}; on the machine: {instead}"
    )]
    OutOfReach {
        /// The action.
        action: &'static str,
        /// The root.
        root: PathBuf,
        /// What a person types.
        instead: String,
    },
    /// A kernel setting cannot be read or written.
    #[error("cannot {operation} kernel setting {key}; in a container it is the machine's, to be set there")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// The setting.
        key: String,
        /// The refusal.
        source: io::Error,
    },
    /// A kernel setting is not what it should be.
    #[error("cannot use kernel setting {key}: {why}")]
    Setting {
        /// The setting.
        key: String,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// Somebody else could put another program in the place of the one that was looked at.
    #[error("cannot use {program}: {why}")]
    Exchangeable {
        /// The program.
        program: PathBuf,
        /// The folder, link or file on the way to it, what is wrong with it, and what to do.
        why: String,
    },
    /// systemd does not say what a restart would change.
    #[error("cannot ask systemd about units: {why}; try systemctl status")]
    Manager {
        /// What came instead of an answer.
        why: String,
    },
    /// A file is not what it should be.
    #[error("cannot use {path}: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
}

impl ActionError {
    pub(crate) fn file(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { operation, path: path.to_path_buf(), source }
    }

    pub(crate) fn kernel(operation: &'static str, key: &str, source: io::Error) -> Self {
        Self::Kernel { operation, key: key.to_owned(), source }
    }

    pub(crate) fn content(path: &Path, why: &'static str) -> Self {
        Self::Content { path: path.to_path_buf(), why }
    }
}
