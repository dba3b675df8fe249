//! From a failing check to actions with nothing left to choose. Permits nothing and does nothing.
use std::collections::{BTreeMap, BTreeSet};

use wbd_model::action::{Action, Given};
use wbd_model::check::Verdict;
use wbd_model::observation::{Fact, Observations, Value};
use wbd_model::plan::{Plan, Waits};
use wbd_model::unit;

use super::verdict::Judgement;
use crate::expr::{Expr, Scope};
use crate::playbook::{Bound, Step};

/// The first rung from `from_rung` on that fits; `None` where none does, or where the check does not fail.
///
/// # Errors
/// What is unknown, in words: then nothing is done, for "not seen" is no reason to act.
pub fn plan(
    bound: &Bound,
    judgement: &Judgement,
    seen: &Observations,
    from_rung: usize,
) -> Result<Option<Plan>, String> {
    if judgement.verdict != Verdict::Fail {
        return Ok(None);
    }
    for index in from_rung..bound.content.rungs.len() {
        if let Some(plan) = rung(bound, judgement, seen, index)? {
            return Ok(Some(plan));
        }
    }
    Ok(None)
}

/// All rungs that fit, in order: what an incident may try, one after the other.
///
/// # Errors
/// As [`plan`].
pub fn ladder(bound: &Bound, judgement: &Judgement, seen: &Observations) -> Result<Vec<Plan>, String> {
    if judgement.verdict != Verdict::Fail {
        return Ok(Vec::new());
    }
    let rungs = (0..bound.content.rungs.len()).map(|index| rung(bound, judgement, seen, index).transpose());
    rungs.flatten().collect()
}

/// The windows that these rungs wait for.
///
/// # Errors
/// Of one it cannot be told when it opens: then nothing is done.
pub(super) fn windows(
    bound: &Bound,
    judgement: &Judgement,
    seen: &Observations,
    ladder: &[Plan],
) -> Result<BTreeMap<usize, Waits>, String> {
    let scope = scope(bound, judgement, seen);
    let minutes = |expression: &Expr| match expression.evaluate(&scope) {
        Fact::Known(Value::Int(minutes)) => Ok(u64::try_from(minutes).unwrap_or(0)),
        Fact::Known(value @ (Value::Bool(_) | Value::Text(_))) => Err(format!("it gave {value}")),
        Fact::Unknown(why) => Err(why),
    };
    let mut windows = BTreeMap::new();
    for plan in ladder {
        let Some(rung) = bound.content.rungs.get(plan.rung) else { continue };
        let Some(at) = &rung.at else { continue };
        let opens_in_min = minutes(&at.opens_in)
            .map_err(|why| format!("cannot tell when the window of rung {} opens: {why}", rung.id))?;
        // What cannot be foretold gives no reason to hurry.
        let runs_out_in_min = at.runs_out_in.as_ref().and_then(|expression| minutes(expression).ok());
        windows.insert(plan.rung, Waits { opens_in_min, runs_out_in_min });
    }
    Ok(windows)
}

fn scope<'a>(bound: &'a Bound, judgement: &'a Judgement, seen: &'a Observations) -> Scope<'a> {
    Scope {
        seen,
        before: None,
        lets: &judgement.lets,
        case: judgement.case.as_deref(),
        profile: &bound.facts.constants,
        item: &bound.item,
    }
}

fn rung(bound: &Bound, judgement: &Judgement, seen: &Observations, index: usize) -> Result<Option<Plan>, String> {
    let Some(rung) = bound.content.rungs.get(index) else { return Ok(None) };
    let scope = scope(bound, judgement, seen);
    let fits = match &rung.condition {
        None => true,
        Some(condition) => match condition.evaluate(&scope) {
            Fact::Known(Value::Bool(fits)) => fits,
            Fact::Known(value @ (Value::Int(_) | Value::Text(_))) => {
                return Err(format!("rung {}: its condition gave {value}", rung.id));
            }
            Fact::Unknown(why) => return Err(format!("cannot tell whether rung {} fits: {why}", rung.id)),
        },
    };
    if !fits {
        return Ok(None);
    }
    let steps = rung.steps.iter().map(|step| action(bound, step, &scope)).collect::<Result<Vec<Action>, String>>();
    let steps = steps.map_err(|why| format!("rung {}: {why}", rung.id))?;
    Ok(Some(Plan {
        code: bound.key.code.clone(),
        target: bound.key.target.clone(),
        playbook: bound.playbook.clone(),
        digest: bound.digest.clone(),
        rung: index,
        rung_id: rung.id.clone(),
        approval: rung.approval,
        steps,
    }))
}

fn action(bound: &Bound, step: &Step, scope: &Scope<'_>) -> Result<Action, String> {
    let declaration = step.name.declaration();
    let mut values = BTreeMap::new();
    for parameter in declaration.parameters {
        let Some(expression) = step.given.get(parameter.name) else { continue };
        let value = match expression.evaluate(scope) {
            Fact::Known(value) => value,
            Fact::Unknown(why) => return Err(format!("{} of {}: {why}", parameter.name, declaration.key)),
        };
        values.insert(parameter.name, value);
    }
    let found = resolvers(bound, scope.seen);
    let facts = &bound.facts;
    step.name.action(&Given { values: &values, commands: &facts.commands, units: &facts.units, found: &found })
}

/// The units of resolvers that this look found on the host.
fn resolvers(bound: &Bound, seen: &Observations) -> BTreeSet<String> {
    let (probe, field) = unit::FOUND;
    let asked = bound.probes.iter().filter(|(_, question)| question.name() == probe);
    let units = asked.filter_map(|(name, _)| match seen.get(name)?.facts.get(field)? {
        Fact::Known(Value::Text(unit)) => Some(unit.clone()),
        Fact::Known(Value::Bool(_) | Value::Int(_)) | Fact::Unknown(_) => None,
    });
    units.collect()
}
