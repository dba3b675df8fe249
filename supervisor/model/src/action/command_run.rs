//! `command.run`: a program that the vendor documents is run.
use serde::{Deserialize, Serialize};

use super::declared::{Conflict, Declaration, Given, NamedBy, OnAgent};
use super::does::Does;
use crate::class::Class;
use crate::declared::{Parameter, Takes};
use crate::profile::Command;

/// Its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommandRun {
    /// Its name in the profile (`restart`).
    pub name: String,
    /// The program itself.
    pub command: Command,
}

/// All that is said of it.
pub(super) const DECLARATION: Declaration = Declaration {
    key: "command.run",
    does: "Run a program that the vendor documents. Its class is A3, whatever the profile says. No shell, no code in the \
           arguments of an interpreter, no program that runs another one, and none that is for the machine, services, \
           packages, packet filters, mounts or disks, behind links too. Under another root than / it must lie below that root.",
    // What a program does is not known from its name, and its author's word for it is no measure.
    class: Class::A3,
    named_by: NamedBy::Playbook,
    parameters: &[Parameter {
        name: "command",
        takes: Takes::Command,
        required: true,
        doc: "A program of the profile by its name: `restart`.",
    }],
    needs: &[],
    agent: OnAgent::Nothing,
    provable: false,
    conflicts: "another run of the same program",
    undo: None,
    alone: None,
};

/// With the values of a step.
pub(super) fn of(given: &Given<'_>) -> Result<CommandRun, String> {
    let (name, command) = given.command("command")?;
    Ok(CommandRun { name: name.to_owned(), command: command.clone() })
}

impl Does for CommandRun {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }
    fn class(&self) -> Class {
        self.command.class.max(DECLARATION.class)
    }
    fn describe(&self) -> String {
        format!("run {}", self.command.argv.join(" "))
    }
    fn conflict(&self) -> Conflict {
        Conflict::Program(self.command.argv.first().cloned().unwrap_or_default())
    }
    fn reads(&self) -> Option<&str> {
        self.command.argv.first().map(String::as_str)
    }
    fn takes_ms(&self) -> u64 {
        self.command.timeout.as_ms()
    }
}
