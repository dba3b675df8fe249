//! The closed list of deeds, each with its class. Does nothing itself.
use serde::{Deserialize, Serialize};

pub use crate::class::Class;
use crate::profile::Command;

/// One deed with nothing left to choose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Raise a kernel setting now, and for good in wbd's own sysctl.d drop-in when `persist`.
    #[serde(rename = "sysctl.set")]
    SysctlSet {
        /// One of the keys that wbd may set (`fs.inotify.*`).
        key: String,
        /// The new value.
        value: i64,
        /// Also write the drop-in.
        persist: bool,
    },
    /// Put a kernel setting and the drop-in back as they were. Made by `undo` and rollback only.
    #[serde(rename = "sysctl.restore")]
    SysctlRestore {
        /// The key.
        key: String,
        /// The value before.
        value: i64,
        /// The drop-in's text before; `None` if there was no file.
        dropin: Option<String>,
    },
    /// Ask the agent to read its settings and look again.
    #[serde(rename = "agent.reload")]
    AgentReload {},
    /// Start the agent (clears a start limit first).
    #[serde(rename = "agent.start")]
    AgentStart {},
    /// Stop the agent, by force after a deadline, and start it.
    #[serde(rename = "agent.restart")]
    AgentRestart {},
    /// Stop the agent and leave the note that an administrator did. By hand only: no playbook can name it.
    #[serde(rename = "agent.stop")]
    AgentStop {
        /// Who asked.
        who: String,
    },
    /// Restart another service's unit.
    #[serde(rename = "unit.restart")]
    UnitRestart {
        /// The unit's name.
        unit: String,
    },
    /// Run a program that the vendor documents.
    #[serde(rename = "command.run")]
    CommandRun {
        /// Its name in the profile (`restart`).
        name: String,
        /// The program itself.
        command: Command,
    },
}

impl Action {
    /// The deed's name as playbooks and the ledger spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SysctlSet { .. } => "sysctl.set",
            Self::SysctlRestore { .. } => "sysctl.restore",
            Self::AgentReload {} => "agent.reload",
            Self::AgentStart {} => "agent.start",
            Self::AgentRestart {} => "agent.restart",
            Self::AgentStop { .. } => "agent.stop",
            Self::UnitRestart { .. } => "unit.restart",
            Self::CommandRun { .. } => "command.run",
        }
    }

    /// The deed's one line for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::SysctlSet { key, value, persist } => {
                format!("set {key} to {value}{}", if *persist { ", now and at each boot" } else { "" })
            }
            Self::SysctlRestore { key, value, .. } => format!("put {key} back to {value}"),
            Self::AgentReload {} => "reload the agent".to_owned(),
            Self::AgentStart {} => "start the agent".to_owned(),
            Self::AgentRestart {} => "restart the agent".to_owned(),
            Self::AgentStop { .. } => "stop the agent".to_owned(),
            Self::UnitRestart { unit } => format!("restart {unit}"),
            Self::CommandRun { command, .. } => format!("run {}", command.argv.join(" ")),
        }
    }

    /// How much it disturbs.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::SysctlSet { .. } | Self::SysctlRestore { .. } | Self::AgentReload {} => Class::A1,
            Self::AgentStart {} | Self::AgentRestart {} | Self::AgentStop { .. } => Class::A2,
            Self::UnitRestart { .. } => Class::A3,
            // A vendor's program is never taken to be gentler than a restart.
            Self::CommandRun { command, .. } => command.class.max(Class::A2),
        }
    }

    /// After a crash or a lost reply, looking again can prove that it had no effect, so that the same
    /// rung may be tried once more. The others are never repeated in the same incident.
    #[must_use]
    pub const fn is_provable(&self) -> bool {
        match self {
            Self::SysctlSet { .. }
            | Self::SysctlRestore { .. }
            | Self::AgentReload {}
            | Self::AgentStart {}
            | Self::AgentRestart {}
            | Self::AgentStop { .. } => true,
            Self::UnitRestart { .. } | Self::CommandRun { .. } => false,
        }
    }

    /// What a person types on the machine instead, for an action that changes the machine itself (its kernel, its
    /// units) and not only what lies below wbd's root: a stand-alone supervisor says this and does not do it.
    #[must_use]
    pub fn on_the_machine(&self) -> Option<String> {
        match self {
            Self::SysctlSet { key, value, .. } | Self::SysctlRestore { key, value, .. } => {
                Some(format!("sysctl -w {key}={value}"))
            }
            Self::UnitRestart { unit } => Some(format!("systemctl restart {unit}")),
            Self::AgentReload {}
            | Self::AgentStart {}
            | Self::AgentRestart {}
            | Self::AgentStop { .. }
            | Self::CommandRun { .. } => None,
        }
    }

    /// What may not be acted on by two playbooks at once.
    #[must_use]
    pub fn conflict_key(&self) -> String {
        match self {
            Self::SysctlSet { key, .. } | Self::SysctlRestore { key, .. } => format!("sysctl:{key}"),
            Self::AgentReload {} | Self::AgentStart {} | Self::AgentRestart {} | Self::AgentStop { .. } => {
                "agent".to_owned()
            }
            Self::UnitRestart { unit } => format!("unit:{unit}"),
            Self::CommandRun { command, .. } => {
                format!("program:{}", command.argv.first().map_or("", String::as_str))
            }
        }
    }
}

/// How a deed can be taken back: the state captured before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Undo {
    /// The deed that restores the captured state.
    pub action: Action,
}

/// One thing that a deed changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    /// A sysctl key, a file, a unit, a process.
    pub what: String,
    /// As it is; `None` if it is not there or cannot be told.
    pub before: Option<String>,
    /// As it will be.
    pub after: String,
}
