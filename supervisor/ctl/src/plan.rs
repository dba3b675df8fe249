//! What a step would change, before -> after. Chooses and does nothing.
use wbd_model::action::Change;
use wbd_model::control::{Offer, Request, Response};
use wbd_model::incident::IncidentId;
use wbd_model::plan::{Approval, Plan};
use wbd_model::report::Fix;

use crate::Context;
use crate::ask;
use crate::exit::Failure;
use crate::out::Out;
use crate::{moment, phase};

/// A rung that waits for an approval.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// The rung.
    pub(crate) plan: Plan,
    /// What it would change.
    pub(crate) changes: Vec<Change>,
    /// What an approval of exactly this names.
    pub(crate) digest: String,
    /// What the guards say to it now.
    pub(crate) offer: Option<Box<Offer>>,
}

/// Asks which rung of an incident waits.
///
/// # Errors
/// No answer, or nothing waits.
pub(crate) fn waiting(context: &Context, incident: IncidentId) -> Result<Waiting, Failure> {
    let request = Request::Preview { incident };
    let Response::Preview { plan, changes, digest, offer } = ask::refusals(context.client().call(&request)?)? else {
        return Err(ask::mismatch("a plan"));
    };
    Ok(Waiting { plan, changes, digest, offer })
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
    if let Some(held) = waiting.offer.as_ref().and_then(|offer| offer.by_hand.as_ref()) {
        let held = phase::refusal(held, &moment::clocks());
        out.paragraph("  ", &format!("An approval does not have it done now: {held}"));
    }
}

/// One change: before -> after.
pub(crate) fn change_line(change: &Change) -> String {
    let before = change.before.as_deref().unwrap_or("(none, or not known)");
    format!("{}: {} -> {}", change.what, one_line(before), one_line(&change.after))
}

/// Who has to approve a fix, in words, and what stands against it now; or why wbd does not do it.
pub(crate) fn approval(fix: &Fix) -> String {
    let (said, but) = match (&fix.withheld, fix.approval) {
        (Some(why), Approval::Auto | Approval::Operator) => return format!("not done: {why}"),
        (None, Approval::Auto) => ("wbd does it by itself", "but not now:"),
        (None, Approval::Operator) => ("waits for your approval", "which would be refused now by"),
    };
    match (&fix.held, &fix.command) {
        (Some(held), _) => format!("{said}, {but} {held}"),
        (None, Some(command)) => format!("{said}: {command}"),
        (None, None) => said.to_owned(),
    }
}

/// Files are shown in one line; their line ends are made visible.
fn one_line(text: &str) -> String {
    text.trim_end().replace('\n', " | ")
}
