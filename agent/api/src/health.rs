//! The health document: how the agent is, in its own words; what to make of it is the supervisor's to decide.
//!
//! It only grows: readers ignore keys and names they do not know, since the agent may be newer than its reader.

use crate::{BytesPath, Code, Language, TargetId, ThisBoot, Whole, file};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Version of the document's shape.
pub const SCHEMA: u32 = 1;
/// A longer document is not read, in bytes: room for the settings' 64 KiB said again with their state.
pub const MAX_HEALTH_BYTES: u64 = 256 * 1024;
/// So many uncovered folders are named; the rest is only counted.
pub const MAX_UNCOVERED: usize = 8;

/// How the agent is, written every second and on every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the running agent.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot (`/proc/PID/stat` field 22); with the pid it names one process for good.
    pub start_ticks: u64,
    /// What it is doing.
    pub state: State,
    /// Generation of the settings in force; 0 for none.
    pub generation: u64,
    /// Where the settings came from.
    pub settings: SettingsReport,
    /// The registered targets.
    pub targets: Vec<TargetReport>,
    /// The web application servers.
    pub was: WasReport,
    /// The inotify watches.
    pub watches: WatchReport,
    /// Open file descriptors of the agent; `None` if it could not count them.
    pub fds_open: Option<u64>,
    /// What is wrong now.
    pub errors: Vec<Error>,
    /// CLOCK_MONOTONIC in milliseconds when this was written, by the event loop itself.
    pub heartbeat_ms: u64,
    /// Unix time in seconds when this was written; for people, never for decisions.
    pub written_at: i64,
}

impl HealthDocument {
    /// Whether it can have been written in this boot. Where it does not, its process is no process of now, whatever has its
    /// id; where it does, pid and start ticks tell whether that process still runs.
    #[must_use]
    pub fn is_of(&self, boot: &ThisBoot) -> bool {
        boot.holds_process(self.start_ticks, self.heartbeat_ms)
    }
}

/// What the agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Reading its settings, looking for the first time.
    Starting,
    /// Detecting, maybe with errors.
    Active,
    /// Running, told not to detect.
    Inactive,
    /// On its way out.
    Stopping,
    /// A state of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// Where the settings came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsReport {
    /// Which copy is in force.
    pub source: SettingsSource,
    /// What is wrong with the current file, if it could not be used.
    pub problem: Option<SettingsProblem>,
}

/// Which settings are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingsSource {
    /// The current file.
    Current,
    /// The last good copy: the current file is broken.
    Good,
    /// None: there is no file yet, or none that can be used.
    Empty,
    /// A source of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// The first place where the settings are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsProblem {
    /// The file, as it was named when it was read.
    pub file: BytesPath,
    /// Line, from 1; 0 if the problem has no line.
    pub line: u64,
    /// Column, from 1; 0 if the problem has no line.
    pub column: u64,
    /// What is wrong there.
    pub message: String,
}

/// One target and how far it is covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Its name.
    pub id: TargetId,
    /// Its web root.
    pub web_root: BytesPath,
    /// Its upload path, where it has one.
    pub upload_path: Option<BytesPath>,
    /// Its language.
    pub language: Language,
    /// Folders of it that are watched.
    pub watches: u64,
    /// Folders of it that should be watched and are not.
    pub missing: u64,
}

/// The web application servers on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasReport {
    /// What the targets' languages ask for, one entry a language; empty without targets.
    pub required: Vec<WasRequirement>,
    /// Every server found, a master with its workers once; none without targets: then nobody looks.
    pub found: Vec<WasProcess>,
    /// Servers that run but are not supported, by program name.
    pub unsupported: Vec<String>,
    /// What looks like a server and is a user's own or a container's, in words; it does not count.
    #[serde(default)]
    pub others: Vec<String>,
    /// Processes that could not be looked at; if not 0, a server may be among them.
    pub unreadable: u64,
}

impl WasReport {
    /// Exactly the right number of servers runs for every language asked for; `None` where none is asked for, or
    /// nobody has looked yet.
    #[must_use]
    pub fn counts_right(&self) -> Option<bool> {
        let right = |required: &WasRequirement| required.running == required.allowed;
        (!self.required.is_empty()).then(|| self.required.iter().all(right))
    }
}

/// How many servers a language has, and may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasRequirement {
    /// The language.
    pub language: Language,
    /// Servers of that language running now (a php-fpm belongs to its nginx and is not counted).
    pub running: u32,
    /// Servers allowed, and needed.
    pub allowed: u32,
}

/// A web application server: its master process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasProcess {
    /// What it is.
    pub kind: WasKind,
    /// The master's process id.
    pub pid: u32,
    /// The master's program.
    pub exe: BytesPath,
}

/// A kind of web application server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WasKind {
    /// apache2 or httpd.
    Apache,
    /// nginx.
    Nginx,
    /// php-fpm, the pool behind an nginx.
    PhpFpm,
    /// A java that runs catalina.
    Tomcat,
    /// A kind of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// How the inotify watches stand. Folders count once, however many targets hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchReport {
    /// Watches held.
    pub used: u64,
    /// Watches wanted: every folder seen below the targets.
    pub needed: u64,
    /// Watches wanted that the kernel refused; folders still to be walked are not among them.
    pub missing: u64,
    /// The tree is still being walked: `needed` and `missing` may yet grow.
    pub scanning: bool,
    /// Which limit refused.
    pub failed_at: FailedAt,
    /// Name of the kernel's last refusal, for example `ENOSPC`.
    pub errno: Option<String>,
    /// The first [`MAX_UNCOVERED`] folders that should be watched and are not.
    pub uncovered: Vec<BytesPath>,
    /// A folder that has not answered for a while: what is below it, and what is missing, nobody knows.
    #[serde(default)]
    pub unanswered: Option<BytesPath>,
    /// The first [`MAX_UNCOVERED`] links to folders that no target covers. Links are not followed.
    #[serde(default)]
    pub linked: Vec<LinkReport>,
    /// All of them.
    #[serde(default)]
    pub linked_count: u64,
}

/// A link below a target to a folder that no target covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The link.
    pub link: BytesPath,
    /// The folder that it leads to; `None`: it does not answer.
    pub leads_to: Option<BytesPath>,
}

/// The limit at which watching failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedAt {
    /// Nothing failed.
    #[default]
    None,
    /// `fs.inotify.max_user_watches`.
    Watches,
    /// `fs.inotify.max_user_instances` (or the process's own file limit; `errno` tells).
    Instances,
    /// `fs.inotify.max_queued_events`: events were dropped.
    QueuedEvents,
    /// Something else; `errno` tells.
    #[serde(other)]
    Other,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The documented code.
    pub code: Code,
    /// What exactly, with the object's name.
    pub detail: String,
    /// CLOCK_MONOTONIC in milliseconds since when it holds without a break.
    pub since_ms: u64,
}

/// Why there is no health document to be had. Each is another fact about the agent, so they are kept apart.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// No file.
    #[error("no health document at {path}; the agent has not run since boot")]
    NotThere {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file that cannot be read by this user.
    #[error("cannot read health document {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// A file that holds no health document.
    #[error("health document {path}:{line}:{column} is malformed: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A file above [`MAX_HEALTH_BYTES`].
    #[error("health document {path} is longer than {MAX_HEALTH_BYTES} bytes; it is not the agent's")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The document could not be written.
    #[error("cannot write health document {path}: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

/// Reads the document at `path`.
///
/// # Errors
/// Every variant of [`HealthError`] but `Unwritable`.
pub fn read(path: &Path) -> Result<HealthDocument, HealthError> {
    let path_buf = || path.to_path_buf();
    let bytes = match file::read_bounded(path, MAX_HEALTH_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(HealthError::TooLarge { path: path_buf() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HealthError::NotThere { path: path_buf() });
        }
        Err(source) => {
            return Err(HealthError::Unreadable { path: path_buf(), source });
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| HealthError::Malformed {
        path: path_buf(),
        line: error.line(),
        column: error.column(),
        message: error.to_string(),
    })
}

/// Writes the document at `path` so that a reader sees the old or the new one; mode 0644.
///
/// # Errors
/// [`HealthError::Unwritable`], and `TooLarge` for a document no reader would take.
pub fn write_atomically(path: &Path, document: &HealthDocument) -> Result<(), HealthError> {
    let unwritable = |source: io::Error| HealthError::Unwritable { path: path.to_path_buf(), source };
    let bytes = serde_json::to_vec(document).map_err(|error| unwritable(error.into()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_HEALTH_BYTES) {
        return Err(HealthError::TooLarge { path: path.to_path_buf() });
    }
    // Each second, and worth nothing after a reboot: no disk is waited for.
    Whole::at(path, 0o644).replace(&bytes).map_err(unwritable)
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
