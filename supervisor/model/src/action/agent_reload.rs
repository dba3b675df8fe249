//! `agent.reload`: the agent reads its settings and looks again.
use super::declared::{Conflict, Declaration, NamedBy, OnAgent};
use super::does::Does;
use crate::class::Class;
use crate::declared::Need;

/// It has no values.
#[derive(Debug)]
pub(super) struct Values;

/// All that is said of it.
pub(super) const DECLARATION: Declaration = Declaration {
    key: "agent.reload",
    does: "Ask the agent to read its settings and look again.",
    class: Class::A1,
    named_by: NamedBy::Playbook,
    parameters: &[],
    needs: &[Need::Health],
    agent: OnAgent::Reloads,
    provable: true,
    conflicts: "another action on the agent",
    undo: None,
    alone: None,
};

impl Does for Values {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }
    fn describe(&self) -> String {
        "reload the agent".to_owned()
    }
    fn conflict(&self) -> Conflict {
        Conflict::Agent
    }
}
