//! What stands against an action just before it: the ledger, what is seen now, and what cannot be told. Does none.
use std::collections::BTreeMap;

use wbd_engine::guard::approval;
use wbd_engine::judge;
use wbd_engine::state::{ActionRequest, Incident, State};
use wbd_model::action::Action;
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{Guard, IncidentId, Refusal};
use wbd_model::observation::{Observation, Observations};
use wbd_model::plan::Plan;
use wbd_model::probe::Probe;
use wbd_model::time::Now;

use crate::event::CheckEvent;
use crate::follow::Follow;
use crate::view::View;

/// A look that failed is made once more after this: a want of file handles passes, and a mount may come back.
const AGAIN_MS: u64 = 10_000;

/// What an incident would ask for if it began this plan, or went on with it, now; `None`: its check is gone.
pub(super) fn request(plan: &Plan, step: usize, view: &View<'_>) -> Option<ActionRequest> {
    let key = CheckKey { code: plan.code.clone(), target: plan.target.clone() };
    let look = view.checks.look(&key, view.state(), &[])?;
    Some(ActionRequest {
        incident: IncidentId(0),
        key,
        playbook: plan.playbook.clone(),
        step,
        undoes: None,
        action: plan.steps.get(step)?.clone(),
        attempts: look.attempts,
        waits: look.windows.get(&plan.rung).copied(),
        plan: plan.clone(),
    })
}

/// I17: without a ledger that can be written only restarts of the agent, and only from the reserve.
pub(super) fn ledger_forbids(view: &View<'_>, action: &Action) -> Option<String> {
    if view.writer.degraded.is_empty() {
        return None;
    }
    let restarts = action.on_agent().starts();
    (!restarts || view.writer.reserve_left() == 0).then(|| view.writer.degraded.clone())
}

/// I6: the trigger must still be true, and lead to the same action. Its values are those of this last look:
/// on a busy host they differ at every look, and waiting for two that agree would never end.
pub(super) fn still_wanted(
    want: &mut ActionRequest,
    answers: &BTreeMap<Probe, Observation>,
    view: &View<'_>,
    now: &Now,
) -> Result<Observations, String> {
    let (seen, plan) = last_look(want, answers, view, now)?;
    let Some(plan) = plan else { return Ok(seen) };
    // An approval is of values too.
    let plan = approval::as_shown(view.state().incidents.get(&want.incident), plan);
    match plan.steps.get(want.step).cloned() {
        Some(action) if same_actions(&plan, &want.plan) => {
            want.action = action;
            want.plan = plan;
            Ok(seen)
        }
        Some(_) | None => Err("the plan has changed".to_owned()),
    }
}

/// What was seen, and for the first step of a rung the plan that it leads to.
fn last_look(
    want: &ActionRequest,
    answers: &BTreeMap<Probe, Observation>,
    view: &View<'_>,
    now: &Now,
) -> Result<(Observations, Option<Plan>), String> {
    let check = view.checks.get(&want.key).ok_or("its check is gone")?;
    let mut seen = Observations::new();
    for (name, probe) in &check.bound.probes {
        let answer = view.own_answer(probe, now).or_else(|| answers.get(probe).cloned());
        seen.insert(name.clone(), answer.ok_or("a probe did not answer")?);
    }
    let judgement = judge::judge(&check.bound, &seen);
    if judgement.verdict == Verdict::Unknown {
        return Err(format!("could not be seen: {}", judgement.reason));
    }
    if want.step > 0 {
        return Ok((seen, None));
    }
    if judgement.verdict != Verdict::Fail {
        return Err(format!("the check says {} now", judgement.verdict.as_str()));
    }
    let mut from = 0;
    while let Some(plan) = judge::plan::plan(&check.bound, &judgement, &seen, from)? {
        if plan.rung == want.plan.rung {
            return Ok((seen, Some(plan)));
        }
        from = plan.rung + 1;
    }
    Err("its rung does not apply any more".to_owned())
}

pub(super) fn refuse(state: &State, about: Subject, refusal: Refusal) -> Option<Follow> {
    let held = about.incident.and_then(|id| state.incidents.get(&id)).and_then(|incident| incident.held());
    let is_new = held.is_none_or(|held| held.guard != refusal.guard);
    is_new.then(|| Follow::Write(about, Box::new(Body::Refused(refusal))))
}

/// Whether what the next action of this incident would change could not be told a moment ago.
pub(super) fn failed_just_now(state: &State, id: IncidentId, now: &Now) -> bool {
    let of_this_boot = |incident: &&Incident| incident.changed.boot == now.boot;
    let incident = state.incidents.get(&id).filter(of_this_boot);
    incident.and_then(unseen).and_then(|held| held.until_ms).is_some_and(|until_ms| now.boot_ms < until_ms)
}

fn unseen(incident: &Incident) -> Option<&Refusal> {
    incident.held().filter(|held| held.guard == Guard::Unseen)
}

/// It cannot be told: looked at once more later, and then a person has to look.
pub(super) fn cannot_be_told(want: &ActionRequest, error: &str, view: &View<'_>, now: &Now) -> Vec<Follow> {
    let reason = format!("what it would change cannot be told: {error}");
    if view.state().incidents.get(&want.incident).and_then(unseen).is_some() {
        return hand_over(want, reason, view).into();
    }
    let refusal = Refusal { guard: Guard::Unseen, reason, until_ms: Some(now.boot_ms + AGAIN_MS) };
    // The engine goes on from what was written.
    vec![Follow::Write(about(want), Box::new(Body::Refused(refusal))), Follow::Check(CheckEvent::Now(want.key.clone()))]
}

/// A person has to do it: nothing was intended, so nothing is paid for, and it stays with the person until the
/// failure was seen gone.
pub(super) fn hand_over(want: &ActionRequest, reason: String, view: &View<'_>) -> [Follow; 2] {
    let guide = view.checks.look(&want.key, view.state(), &[]).map(|look| look.guide).unwrap_or_default();
    // The engine goes on from what was written.
    [
        Follow::Write(about(want), Box::new(Body::Escalated { reason, guide })),
        Follow::Check(CheckEvent::Now(want.key.clone())),
    ]
}

/// The same actions of the same rung, whatever their values.
fn same_actions(one: &Plan, other: &Plan) -> bool {
    let names = |plan: &Plan| plan.steps.iter().map(Action::name).collect::<Vec<_>>();
    one.digest == other.digest && one.rung == other.rung && one.approval == other.approval && names(one) == names(other)
}

pub(super) fn about(want: &ActionRequest) -> Subject {
    Subject {
        incident: Some(want.incident),
        code: Some(want.key.code.clone()),
        target: Some(want.key.target.clone()),
        playbook: Some(want.playbook.clone()),
    }
}
