//! `doctor --fix`: asks the supervisor for each fix and waits for what comes of it. Does none itself.
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wbd_model::action::Action;
use wbd_model::check::CheckKey;
use wbd_model::control::{IncidentRow, Request, Response};
use wbd_model::incident::{Closing, Guard, Phase, Refusal};
use wbd_model::plan::Approval;
use wbd_model::report::{Cause, Fix, Report};

use crate::ask;
use crate::client::Client;
use crate::exit::Failure;
use crate::incidents;
use crate::out::{Out, Tone};
use crate::plan::{approval, change_line};

/// Longer than any action with its verification as shipped.
const PATIENCE: Duration = Duration::from_secs(120);
/// An incident that was asked for is there by then.
const OPENING: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

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

/// Asks the supervisor what each fix would change; where it cannot tell, or not in time, that stays open.
pub(crate) fn preview(client: &Client, report: &mut Report, until: Instant) {
    // Whoever did not answer the examination is not asked again.
    if report.daemon.is_none() {
        return;
    }
    for cause in &mut report.causes {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let Some(fix) = &mut cause.fix else { continue };
        let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
        if let Ok(Response::Preview { plan, changes, .. }) = client.within(left).call(&Request::PreviewFix { key }) {
            // It may have seen something else meanwhile: then it would do something else, and that is said.
            fix.plan = plan.steps.iter().map(Action::describe).collect();
            fix.class = plan.class();
            fix.changes = changes;
        }
    }
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
    let row = newest(client, cause)?;
    if let Some(came) = needs_a_word(cause, fix, row.as_ref()) {
        return Ok(Fixed { what, good: false, came });
    }
    let before = row;
    let (playbook, target) = (fix.playbook.clone(), Some(cause.target.clone()));
    // What is in force may be stricter than the settings that were read here.
    let request = Request::RunPlaybook { playbook, target, without_approval: true };
    if let Err(failure) = ask::done(client.call(&request)?) {
        return Ok(Fixed { what, good: false, came: failure.message });
    }
    let begun = Instant::now();
    loop {
        let row = newest(client, cause)?.filter(|row| is_of_this_asking(row, before.as_ref()));
        if let Some((good, came)) = row.as_ref().and_then(ended) {
            return Ok(Fixed { what, good, came });
        }
        if row.is_none() && begun.elapsed() >= OPENING {
            return Ok(Fixed {
                what,
                good: false,
                came: "the supervisor opened no incident for it; see wbdctl status".to_owned(),
            });
        }
        if begun.elapsed() >= PATIENCE {
            let stands = row.as_ref().map(incidents::phase).unwrap_or_default();
            return Ok(Fixed { what, good: false, came: format!("not finished yet: {stands}") });
        }
        sleep(PAUSE);
    }
}

/// An incident that was over before says nothing of what was asked for since.
fn is_of_this_asking(row: &IncidentRow, before: Option<&IncidentRow>) -> bool {
    before.is_none_or(|before| row.id > before.id || row.id == before.id && !is_closed(before))
}

fn is_closed(row: &IncidentRow) -> bool {
    matches!(row.phase, Phase::Closed { .. })
}

/// Why a fix is not asked for: where an approval is needed or it was denied, a person must say so to what was shown.
/// What wbd does not do is not asked for either.
fn needs_a_word(cause: &Cause, fix: &Fix, row: Option<&IncidentRow>) -> Option<String> {
    if fix.withheld.is_some() {
        return Some(approval(fix));
    }
    let waits = row.filter(|row| held(row).is_some_and(|held| matches!(held.guard, Guard::Approval | Guard::Denied)));
    match (waits.and_then(ended), fix.approval) {
        (Some((_, came)), Approval::Auto | Approval::Operator) => Some(came),
        (None, Approval::Operator) => {
            Some(format!("waits for your approval: wbdctl playbook run {} --target {}", fix.playbook, cause.target))
        }
        (None, Approval::Auto) => None,
    }
}

fn newest(client: &Client, cause: &Cause) -> Result<Option<IncidentRow>, Failure> {
    let Response::Incidents(rows) = ask::refusals(client.call(&Request::Incidents {})?)? else {
        return Err(ask::mismatch("incidents"));
    };
    let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
    Ok(rows.into_iter().filter(|row| row.key() == key).max_by_key(|row| row.id))
}

/// Whether it is over: closed, or waiting for a person.
fn ended(row: &IncidentRow) -> Option<(bool, String)> {
    let id = row.id;
    match &row.phase {
        Phase::Closed { how } => {
            let good = matches!(how, Closing::Healed | Closing::SelfHealed | Closing::Subsumed);
            Some((good, format!("{} ({id})", how.as_str())))
        }
        Phase::Gated { .. } => {
            let refusal = held(row)?;
            match refusal.guard {
                Guard::Approval => Some((false, format!("waits for your approval: wbdctl approve {id}"))),
                Guard::Mode
                | Guard::Hold
                | Guard::Denied
                | Guard::HostBudget
                | Guard::Attempts
                | Guard::Suspended
                | Guard::Window
                | Guard::Ledger
                | Guard::Reach => {
                    Some((false, format!("held by {}: {} ({id})", refusal.guard.as_str(), refusal.reason)))
                }
                Guard::Backoff | Guard::Conflict | Guard::Unseen => None,
            }
        }
        Phase::Suppressed { .. }
        | Phase::Acting { .. }
        | Phase::Indeterminate { .. }
        | Phase::Verifying
        | Phase::RollingBack { .. }
        | Phase::Probation => None,
    }
}

/// What holds a waiting one.
fn held(row: &IncidentRow) -> Option<&Refusal> {
    if let Phase::Gated { held } = &row.phase { held.as_ref().or(row.held.as_ref()) } else { None }
}

#[cfg(test)]
mod tests {
    use wbd_model::incident::IncidentId;
    use wbd_model::name::{Code, PlaybookName, TargetName};

    use super::*;

    fn incident(id: u64, phase: Phase, acts: u32) -> IncidentRow {
        IncidentRow {
            id: IncidentId(id),
            code: Code::new("TOY-1").unwrap(),
            target: TargetName::new("toy").unwrap(),
            playbook: PlaybookName::new("toy-match").unwrap(),
            case: "differ".into(),
            phase,
            opened: 0,
            changed: 0,
            acts,
            held: None,
            guide: vec![],
        }
    }

    #[test]
    fn an_end_counts_only_for_what_was_asked_for_before_it() {
        let closed = |id, acts| incident(id, Phase::Closed { how: Closing::Healed }, acts);
        let open = |id| incident(id, Phase::Gated { held: None }, 0);
        assert!(!is_of_this_asking(&closed(5, 1), Some(&closed(5, 1))), "it was over before");
        assert!(is_of_this_asking(&closed(6, 0), Some(&closed(5, 1))), "it began since");
        assert!(is_of_this_asking(&closed(5, 0), Some(&open(5))), "it ended since, by itself");
        assert!(is_of_this_asking(&closed(5, 1), Some(&open(5))), "it ended since");
        assert!(is_of_this_asking(&closed(1, 0), None), "it is the first one");
    }
}
