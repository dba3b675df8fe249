//! How far the executor reaches: a machine with its kernel and its service manager, or a stand-alone root and nothing
//! else. Changes nothing.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wbd_model::action::Action;

use crate::error::ActionError;
use crate::kernel::{Kernel, Running};

/// What the executor may touch. Only a [`Machine`] has a kernel and a service manager to give, so what works on a root
/// of its own cannot be led to those of the machine that it happens to run on.
#[derive(Debug)]
pub enum Reach {
    /// systemd's host.
    Machine(Machine),
    /// What lies below a root, and the agent as our child.
    Alone(Alone),
}

/// A host with its files, its kernel and its service manager.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    agent_unit: String,
    kernel: Box<dyn Kernel>,
}

impl Machine {
    /// This one: the root is `/`, the kernel is the running one, and systemd starts and stops the agent.
    #[must_use]
    pub fn this(agent_unit: &str) -> Self {
        Self { root: PathBuf::from("/"), agent_unit: agent_unit.to_owned(), kernel: Box::new(Running) }
    }

    /// A made-up one, for tests, with a made-up kernel: the running one cannot be named from outside of this crate.
    #[must_use]
    pub fn made_up(root: PathBuf, agent_unit: &str, kernel: Box<dyn Kernel>) -> Self {
        Self { root, agent_unit: agent_unit.to_owned(), kernel }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn agent_unit(&self) -> &str {
        &self.agent_unit
    }

    pub(crate) fn kernel(&self) -> &dyn Kernel {
        self.kernel.as_ref()
    }
}

/// A root that a stand-alone supervisor has to itself. There is no service manager, and the kernel is the machine's.
#[derive(Debug)]
pub struct Alone {
    /// The root.
    pub root: PathBuf,
    /// The agent's program.
    pub agent: PathBuf,
    /// Its arguments (`--foreground --root ROOT`).
    pub args: Vec<OsString>,
}

impl Reach {
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Machine(machine) => machine.root(),
            Self::Alone(alone) => &alone.root,
        }
    }

    /// The machine that this action changes.
    ///
    /// # Errors
    /// It is none of ours.
    pub(crate) fn machine(&self, action: &Action) -> Result<&Machine, ActionError> {
        match self {
            Self::Machine(machine) => Ok(machine),
            Self::Alone(alone) => Err(ActionError::OutOfReach {
                action: action.name(),
                root: alone.root.clone(),
                instead: action.on_the_machine().unwrap_or_else(|| "see the guide of the failure".to_owned()),
            }),
        }
    }

    /// Why this action can never be done from here, with the line that a person types instead.
    pub(crate) fn beyond(&self, action: &Action) -> Option<ActionError> {
        action.on_the_machine()?;
        self.machine(action).err()
    }
}
