//! What is said of an action, once and of each one with its values. Declares none itself.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::class::Class;
use crate::declared::{Need, Parameter};
use crate::observation::Value;
use crate::profile::Command;

/// All that is said once of an action.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// Its name as playbooks and the ledger spell it.
    pub key: &'static str,
    /// What it does, in a sentence or two.
    pub does: &'static str,
    /// How much it disturbs. It belongs to the action, never to the author of a playbook.
    pub class: Class,
    /// Who may name it.
    pub named_by: NamedBy,
    /// What a playbook gives.
    pub parameters: &'static [Parameter],
    /// What the profile must have, beside what the parameters name.
    pub needs: &'static [Need],
    /// What it does to the agent's process.
    pub agent: OnAgent,
    /// After a crash or a lost reply, looking again can prove that it had no effect, so that the same rung may be tried
    /// once more. The others are never repeated in the same incident.
    pub provable: bool,
    /// What no other action may act on at the same time, in words.
    pub conflicts: &'static str,
    /// How it is taken back, in words; `None`: it is not.
    pub undo: Option<&'static str>,
    /// It changes the machine itself (its kernel, its units) and not only what lies below wbd's root, so a stand-alone
    /// supervisor does not do it: what a person is told instead.
    pub alone: Option<&'static str>,
}

impl Declaration {
    /// What follows from [`Self::provable`], in a sentence.
    #[must_use]
    pub const fn again(&self) -> &'static str {
        if self.provable {
            "After a crash it may be tried once more where a check shows that it had no effect."
        } else {
            "After a crash it is not repeated in the same incident: no check can show that it had no effect."
        }
    }
}

/// Who may name an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// A playbook, in its steps.
    Playbook,
    /// A person only.
    Person,
    /// Nobody: it is made by `undo` and by a rollback.
    Undo,
}

/// What an action does to the agent's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAgent {
    /// Nothing.
    Nothing,
    /// It reads its settings again.
    Reloads,
    /// It starts.
    Starts,
    /// It ends and starts.
    Restarts,
    /// It ends and stays ended.
    Stops,
}

/// What may not be acted on by two at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conflict {
    /// The agent.
    Agent,
    /// A kernel setting.
    Sysctl(String),
    /// A service's unit.
    Unit(String),
    /// A vendor's program.
    Program(String),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent => f.write_str("agent"),
            Self::Sysctl(key) => write!(f, "sysctl:{key}"),
            Self::Unit(unit) => write!(f, "unit:{unit}"),
            Self::Program(path) => write!(f, "program:{path}"),
        }
    }
}

impl OnAgent {
    /// It concerns the agent's process at all.
    #[must_use]
    pub const fn concerns(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Reloads | Self::Starts | Self::Restarts | Self::Stops => true,
        }
    }

    /// A running agent ends by it.
    #[must_use]
    pub const fn ends(self) -> bool {
        match self {
            Self::Restarts | Self::Stops => true,
            Self::Nothing | Self::Reloads | Self::Starts => false,
        }
    }

    /// An agent runs after it.
    #[must_use]
    pub const fn starts(self) -> bool {
        match self {
            Self::Starts | Self::Restarts => true,
            Self::Nothing | Self::Reloads | Self::Stops => false,
        }
    }
}

/// What the values of a step are taken from: what the playbook gave, and what it names in the profile.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The values of the playbook, by parameter.
    pub values: &'a BTreeMap<&'static str, Value>,
    /// The programs of the profile.
    pub commands: &'a BTreeMap<String, Command>,
    /// The units that the profile names.
    pub units: &'a BTreeSet<String>,
    /// The units of resolvers that were seen on this host.
    pub found: &'a BTreeSet<String>,
}

impl Given<'_> {
    /// A number.
    ///
    /// # Errors
    /// It is none, in words.
    pub fn number(&self, parameter: &str) -> Result<i64, String> {
        match self.values.get(parameter) {
            Some(Value::Int(number)) => Ok(*number),
            Some(value @ (Value::Bool(_) | Value::Text(_))) => Err(format!("{value} is no whole number")),
            None => Err(format!("{parameter} is missing")),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// It is none, in words.
    pub fn text(&self, parameter: &str) -> Result<&str, String> {
        match self.values.get(parameter) {
            Some(Value::Text(text)) => Ok(text),
            Some(value @ (Value::Bool(_) | Value::Int(_))) => Err(format!("{value} is no {parameter}")),
            None => Err(format!("{parameter} is missing")),
        }
    }

    /// Whether something was said to be so; left out, it is not.
    #[must_use]
    pub fn truth(&self, parameter: &str) -> bool {
        self.values.get(parameter) == Some(&Value::Bool(true))
    }

    /// The program of the name that was given.
    ///
    /// # Errors
    /// The profile has none, in words.
    pub fn command(&self, parameter: &str) -> Result<(&str, &Command), String> {
        let name = self.text(parameter)?;
        let command = self.commands.get(name);
        command.map(|command| (name, command)).ok_or_else(|| format!("the profile has no program {name:?}"))
    }
}
