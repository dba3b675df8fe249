//! The closed list of actions; each is declared in a file of its own. Does nothing itself.
//!
//! An action is added by its file, its variant, its line in `does` and its line in `ALL`; what does it stands in
//! wbd-actions.
use serde::{Deserialize, Serialize};

pub use crate::class::Class;

mod agent_reload;
mod agent_restart;
mod agent_start;
mod agent_stop;
mod command_run;
mod declared;
mod does;
mod sysctl_restore;
mod sysctl_set;
mod unit_restart;

pub use agent_stop::AgentStop;
pub use command_run::CommandRun;
pub use declared::{Conflict, Declaration, Given, NamedBy, OnAgent};
pub use sysctl_restore::SysctlRestore;
pub use sysctl_set::SysctlSet;
pub use unit_restart::UnitRestart;

use does::Does;

/// One action with nothing left to choose. The ledger keeps it in this form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// See [`SysctlSet`].
    #[serde(rename = "sysctl.set")]
    SysctlSet(SysctlSet),
    /// See [`SysctlRestore`].
    #[serde(rename = "sysctl.restore")]
    SysctlRestore(SysctlRestore),
    /// Ask the agent to read its settings and look again.
    #[serde(rename = "agent.reload")]
    AgentReload {},
    /// Start the agent.
    #[serde(rename = "agent.start")]
    AgentStart {},
    /// Stop the agent and start it.
    #[serde(rename = "agent.restart")]
    AgentRestart {},
    /// See [`AgentStop`].
    #[serde(rename = "agent.stop")]
    AgentStop(AgentStop),
    /// See [`UnitRestart`].
    #[serde(rename = "unit.restart")]
    UnitRestart(UnitRestart),
    /// See [`CommandRun`].
    #[serde(rename = "command.run")]
    CommandRun(CommandRun),
}

/// The kind of an action, without its values.
#[derive(Debug, Clone, Copy)]
pub struct ActionName {
    declaration: &'static Declaration,
    of: fn(&Given<'_>) -> Result<Action, String>,
}

/// One that no step can name is never made from what a step gives.
fn never(_: &Given<'_>) -> Result<Action, String> {
    Err("no playbook can name it".to_owned())
}

/// Every action, in the manual's order.
static ALL: [ActionName; 8] = [
    ActionName { declaration: &sysctl_set::DECLARATION, of: |given| sysctl_set::of(given).map(Action::SysctlSet) },
    ActionName { declaration: &agent_reload::DECLARATION, of: |_| Ok(Action::AgentReload {}) },
    ActionName { declaration: &agent_start::DECLARATION, of: |_| Ok(Action::AgentStart {}) },
    ActionName { declaration: &agent_restart::DECLARATION, of: |_| Ok(Action::AgentRestart {}) },
    ActionName {
        declaration: &unit_restart::DECLARATION,
        of: |given| unit_restart::of(given).map(Action::UnitRestart),
    },
    ActionName { declaration: &command_run::DECLARATION, of: |given| command_run::of(given).map(Action::CommandRun) },
    ActionName { declaration: &agent_stop::DECLARATION, of: never },
    ActionName { declaration: &sysctl_restore::DECLARATION, of: never },
];

impl ActionName {
    /// Every action, in the manual's order.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    /// The one that a step names so.
    #[must_use]
    pub fn of_step(key: &str) -> Option<Self> {
        Self::all().find(|it| it.declaration.key == key && it.declaration.named_by == NamedBy::Playbook)
    }

    /// All that is said of it.
    #[must_use]
    pub const fn declaration(self) -> &'static Declaration {
        self.declaration
    }

    /// The action of a step.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn action(self, given: &Given<'_>) -> Result<Action, String> {
        (self.of)(given)
    }
}

impl Action {
    fn does(&self) -> &dyn Does {
        match self {
            Self::SysctlSet(it) => it,
            Self::SysctlRestore(it) => it,
            Self::AgentReload {} => &agent_reload::Values,
            Self::AgentStart {} => &agent_start::Values,
            Self::AgentRestart {} => &agent_restart::Values,
            Self::AgentStop(it) => it,
            Self::UnitRestart(it) => it,
            Self::CommandRun(it) => it,
        }
    }

    /// What is said of all of its kind.
    #[must_use]
    pub fn declaration(&self) -> &'static Declaration {
        self.does().declaration()
    }

    /// Its name as playbooks and the ledger spell it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.declaration().key
    }

    /// Its one line for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.does().describe()
    }

    /// How much it disturbs.
    #[must_use]
    pub fn class(&self) -> Class {
        self.does().class()
    }

    /// Whether looking again can prove that it had no effect; see [`Declaration::provable`].
    #[must_use]
    pub fn is_provable(&self) -> bool {
        self.declaration().provable
    }

    /// What it does to the agent's process.
    #[must_use]
    pub fn on_agent(&self) -> OnAgent {
        self.declaration().agent
    }

    /// What a person types on the machine instead, for an action that a stand-alone supervisor says and does not do.
    #[must_use]
    pub fn on_the_machine(&self) -> Option<String> {
        self.does().typed()
    }

    /// What may not be acted on by two at once.
    #[must_use]
    pub fn conflict(&self) -> Conflict {
        self.does().conflict()
    }

    /// The same without the value that follows what is measured: on a busy host that differs at every look.
    #[must_use]
    pub fn without_value(&self) -> Self {
        if let Self::SysctlSet(set) = self {
            Self::SysctlSet(SysctlSet { value: 0, ..set.clone() })
        } else {
            self.clone()
        }
    }

    /// What a look at what it would change reads; `None`: nothing that could hang.
    #[must_use]
    pub fn reads(&self) -> Option<&str> {
        self.does().reads()
    }

    /// How long what it runs may take by itself, in milliseconds.
    #[must_use]
    pub fn takes_ms(&self) -> u64 {
        self.does().takes_ms()
    }
}

/// How an action can be taken back: the state captured before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Undo {
    /// The action that restores the captured state.
    pub action: Action,
}

/// One thing that an action changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    /// A sysctl key, a file, a unit, a process.
    pub what: String,
    /// As it is; `None` if it is not there or cannot be told.
    pub before: Option<String>,
    /// As it will be.
    pub after: String,
}

#[cfg(test)]
mod tests;
