//! What the agent and its supervisor share: paths, health document, commands, codes, the stop note, and whose a process is; no I/O loop, no bus, no policy.

mod boot;
mod bytes_path;
mod codes;
mod file;
mod journal_stream;
mod shown;
mod target;
mod whole;

pub mod command;
pub mod health;
pub mod paths;
pub mod program;
pub mod standing;
pub mod stop;

pub use boot::{ThisBoot, boottime_ms, start_ticks};
pub use bytes_path::BytesPath;
pub use codes::Code;
pub use command::{Command, INTERFACE_NAME, MAX_CALL_BYTES, METHOD_NAME, OBJECT_PATH, Reply};
pub use health::{
    Error, FailedAt, HealthDocument, HealthError, LinkReport, MAX_HEALTH_BYTES, MAX_UNCOVERED, SCHEMA, SettingsProblem,
    SettingsReport, SettingsSource, State, TargetReport, WasKind, WasProcess, WasReport, WasRequirement, WatchReport,
    read,
};
pub use journal_stream::is_journal;
pub use shown::{Lines, shown};
pub use stop::{StopError, StopNote};
pub use target::{InvalidTargetId, Language, MAX_TARGETS, Target, TargetId};
pub use whole::Whole;
