//! The next action that an incident wants done, and what looking before it captured. Permits nothing.
use wbd_model::action::{Action, Change, Undo};
use wbd_model::check::CheckKey;
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::name::PlaybookName;
use wbd_model::observation::Observations;
use wbd_model::plan::{Attempts, Plan, Waits};

/// The next action of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRequest {
    /// The incident.
    pub incident: IncidentId,
    /// Its failure and target.
    pub key: CheckKey,
    /// Its playbook.
    pub playbook: PlaybookName,
    /// The rung, resolved; for a rollback the rung that is taken back.
    pub plan: Plan,
    /// The step.
    pub step: usize,
    /// The action that is taken back, if this is a rollback.
    pub undoes: Option<ActionId>,
    /// The action.
    pub action: Action,
    /// The playbook's own budget.
    pub attempts: Attempts,
    /// The window that its rung waits for, if it has one.
    pub waits: Option<Waits>,
}

/// What looking before the action captured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// What it will change.
    pub changes: Vec<Change>,
    /// How it can be taken back.
    pub undo: Option<Undo>,
    /// The observations now.
    pub before: Observations,
}
