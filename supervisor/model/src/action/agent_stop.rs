//! `agent.stop`: the agent is stopped as an administrator's wish.
use serde::{Deserialize, Serialize};

use super::declared::{Conflict, Declaration, NamedBy, OnAgent};
use super::does::Does;
use crate::class::Class;
use crate::declared::Need;

/// Its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AgentStop {
    /// Who asked.
    pub who: String,
}

/// All that is said of it.
pub(super) const DECLARATION: Declaration = Declaration {
    key: "agent.stop",
    does: "Stop the agent and leave the note that an administrator did.",
    class: Class::A2,
    named_by: NamedBy::Person,
    parameters: &[],
    needs: &[Need::Health],
    agent: OnAgent::Stops,
    provable: true,
    conflicts: "another action on the agent",
    undo: None,
    alone: None,
};

impl Does for AgentStop {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }
    fn describe(&self) -> String {
        "stop the agent".to_owned()
    }
    fn conflict(&self) -> Conflict {
        Conflict::Agent
    }
}
