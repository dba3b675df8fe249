//! Which action comes next for an open incident: a rung, its next step, or a rollback. Asks no guard.
use wbd_model::entry::Intent;
use wbd_model::plan::{Approval, Plan};

use crate::judge::snapshot::CheckSnapshot;
use crate::state::{ActionRequest, Incident};

/// The rung in progress as it was resolved when it began; else a higher one than was tried last; else the same
/// again (never a lower one).
pub(super) fn next_rung(snapshot: &CheckSnapshot, incident: &Incident) -> Option<Plan> {
    if incident.step > 0 {
        // What its own first steps changed must not make a rung forget its later ones.
        return incident.intent.as_ref().map(|begun| begun_plan(incident, begun));
    }
    let allowed = || snapshot.ladder.iter().filter(|plan| plan.rung >= incident.rung);
    if incident.attempts == 0 {
        return allowed().next().cloned();
    }
    let tried = incident.intent.as_ref().map_or(0, |intent| intent.rung);
    allowed().find(|plan| plan.rung > tried).or_else(|| allowed().next()).cloned()
}

/// What would be done next for an open incident, whatever the guards say: what an operator is shown.
///
/// # Errors
/// Why there is nothing to approve.
pub fn next_plan(snapshot: &CheckSnapshot, incident: &Incident) -> Result<Plan, String> {
    if !incident.rollback.is_empty() {
        return Err("what was tried before is taken back first; try again when it waits".to_owned());
    }
    if let Some(reason) = snapshot.ladder_unknown.as_ref().filter(|_| incident.step == 0) {
        return Err(format!("the plan cannot be made: {reason}"));
    }
    next_rung(snapshot, incident)
        .ok_or_else(|| format!("{} has nothing that wbd could do; its guide is for a person", incident.id))
}

fn begun_plan(incident: &Incident, begun: &Intent) -> Plan {
    Plan {
        code: incident.key.code.clone(),
        target: incident.key.target.clone(),
        playbook: incident.playbook.clone(),
        digest: incident.digest.clone(),
        rung: begun.rung,
        rung_id: begun.rung_id.clone(),
        approval: Approval::Auto,
        steps: begun.plan.clone(),
    }
}

/// The last action that has to be taken back before anything else is done.
pub(super) fn rollback(snapshot: &CheckSnapshot, incident: &Incident) -> Option<ActionRequest> {
    let (undone, undo) = incident.rollback.last()?;
    let rung = incident.intent.as_ref().map_or(incident.rung, |intent| intent.rung);
    let plan = Plan {
        code: incident.key.code.clone(),
        target: incident.key.target.clone(),
        playbook: incident.playbook.clone(),
        digest: incident.digest.clone(),
        rung,
        rung_id: "rollback".to_owned(),
        approval: Approval::Auto,
        steps: vec![undo.action.clone()],
    };
    Some(ActionRequest {
        incident: incident.id,
        key: incident.key.clone(),
        playbook: incident.playbook.clone(),
        plan,
        step: 0,
        undoes: Some(*undone),
        action: undo.action.clone(),
        attempts: snapshot.attempts,
        waits: None,
    })
}
