//! What a step would change, before -> after. Chooses and does nothing.
use wbd_model::action::Change;
use wbd_model::control::{Request, Response};
use wbd_model::incident::IncidentId;
use wbd_model::plan::{Approval, Plan};
use wbd_model::report::Fix;

use crate::Context;
use crate::ask;
use crate::exit::Failure;
use crate::out::Out;

/// A rung that waits for an approval.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// The rung.
    pub(crate) plan: Plan,
    /// What it would change.
    pub(crate) changes: Vec<Change>,
    /// What an approval of exactly this names.
    pub(crate) digest: String,
}

/// Asks which rung of an incident waits.
///
/// # Errors
/// No answer, or nothing waits.
pub(crate) fn waiting(context: &Context, incident: IncidentId) -> Result<Waiting, Failure> {
    let request = Request::Preview { incident };
    let Response::Preview { plan, changes, digest } = ask::refusals(context.client().call(&request)?)? else {
        return Err(ask::mismatch("a plan"));
    };
    Ok(Waiting { plan, changes, digest })
}

/// Shows it.
pub(crate) fn show(out: &mut Out, waiting: &Waiting) {
    let plan = &waiting.plan;
    out.heading(&format!(
        "Plan: {} on {}, playbook {}, step {}, class {}",
        plan.code,
        plan.target,
        plan.playbook,
        plan.rung_id,
        plan.class()
    ));
    for (number, step) in plan.steps.iter().enumerate() {
        out.paragraph(&format!("  {}. ", number + 1), &step.describe());
    }
    for change in &waiting.changes {
        out.paragraph("     ", &change_line(change));
    }
}

/// One change: before -> after.
pub(crate) fn change_line(change: &Change) -> String {
    let before = change.before.as_deref().unwrap_or("(none, or not known)");
    format!("{}: {} -> {}", change.what, one_line(before), one_line(&change.after))
}

/// Who has to approve a fix, in words; or why wbd does not do it.
pub(crate) fn approval(fix: &Fix) -> String {
    match (&fix.withheld, fix.approval) {
        (Some(why), Approval::Auto | Approval::Operator) => format!("not done: {why}"),
        (None, Approval::Auto) => "wbd does it by itself".to_owned(),
        (None, Approval::Operator) => "waits for your approval".to_owned(),
    }
}

/// Files are shown in one line; their line ends are made visible.
fn one_line(text: &str) -> String {
    text.trim_end().replace('\n', " | ")
}
