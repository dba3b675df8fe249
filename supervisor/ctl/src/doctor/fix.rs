//! `doctor --fix`: asks the supervisor for each fix and waits for what comes of it. Does none itself.
use serde_json::{Value, json};
use wbd_model::check::CheckKey;
use wbd_model::control::{IncidentRow, Request};
use wbd_model::incident::Guard;
use wbd_model::plan::Approval;
use wbd_model::report::{Cause, Fix, Report};

use crate::ask;
use crate::client::Client;
use crate::exit::Failure;
use crate::out::{Out, Tone};
use crate::plan::{approval, change_line};
use crate::wait::{self, Asking, End};
use crate::{moment, phase};

/// What came of one fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    what: String,
    good: bool,
    came: String,
}

impl Fixed {
    /// For programs.
    pub(crate) fn document(&self) -> Value {
        json!({"what": self.what, "healed": self.good, "result": self.came})
    }

    /// For people.
    pub(crate) fn show(&self, out: &mut Out) {
        let tone = if self.good { Tone::Good } else { Tone::Bad };
        out.spans(&[(Tone::Plain, &format!("  {}: ", self.what)), (tone, &self.came)]);
    }
}

/// The causes that have a fix.
pub(crate) fn fixable(report: &Report) -> impl Iterator<Item = (&Cause, &Fix)> {
    report.causes.iter().filter_map(|cause| cause.fix.as_ref().map(|fix| (cause, fix)))
}

/// What the fixes would do.
pub(crate) fn show_plans(out: &mut Out, report: &Report) {
    out.heading("What --fix would do (nothing was done)");
    if fixable(report).next().is_none() {
        out.line("  Nothing: wbd has no fix for these causes.");
    }
    for (cause, fix) in fixable(report) {
        let (code, target, approval) = (&cause.code, &cause.target, approval(fix));
        let what = format!("{code} on {target}: playbook {}, class {}, {approval}", fix.playbook, fix.class);
        out.paragraph("  ", &what);
        for step in &fix.plan {
            out.paragraph("    - ", step);
        }
        for change in &fix.changes {
            out.paragraph("      ", &change_line(change));
        }
        if fix.changes.is_empty() {
            out.paragraph("      ", "Only the running supervisor can tell the values before and after.");
        }
    }
}

/// Asks for one fix and waits for its end.
///
/// # Errors
/// The supervisor cannot be asked.
pub(crate) fn fix(client: &Client, cause: &Cause, fix: &Fix) -> Result<Fixed, Failure> {
    let what = format!("{} on {}", cause.code, cause.target);
    let asking = Asking::begin(client.clone())?;
    let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
    if let Some(came) = needs_a_word(fix, asking.before(&key)) {
        return Ok(Fixed { what, good: false, came });
    }
    let (playbook, target) = (fix.playbook.clone(), Some(cause.target.clone()));
    // What is in force may be stricter than the settings that were read here.
    let request = Request::RunPlaybook { playbook, target, without_approval: true };
    if let Err(failure) = ask::done(client.call(&request)?) {
        return Ok(Fixed { what, good: false, came: failure.message });
    }
    let came = asking.ends_of(&[key])?.pop().ok_or_else(|| Failure::bug("nothing was waited for"))?;
    Ok(Fixed { what, good: came.end == End::Proven, came: came.words })
}

/// Why a fix is not asked for: where an approval is needed or it was denied, a person must say so to what was shown.
/// What wbd does not do is not asked for either.
fn needs_a_word(fix: &Fix, row: Option<&IncidentRow>) -> Option<String> {
    if fix.withheld.is_some() {
        return Some(approval(fix));
    }
    let waits =
        |row: &&IncidentRow| phase::held(row).is_some_and(|held| matches!(held.guard, Guard::Approval | Guard::Denied));
    let came = row.filter(waits).and_then(|row| wait::ended(row, &moment::clocks()));
    match (came, fix.approval) {
        (Some((_, came)), Approval::Auto | Approval::Operator) => Some(came),
        (None, Approval::Operator) => Some(approval(fix)),
        (None, Approval::Auto) => None,
    }
}
