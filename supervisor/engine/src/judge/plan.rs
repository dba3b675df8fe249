//! From a failing check to deeds with nothing left to choose. Permits nothing and does nothing.
use wbd_model::action::Action;
use wbd_model::check::Verdict;
use wbd_model::observation::{Fact, Observations, Value};
use wbd_model::plan::Plan;

use super::verdict::Judgement;
use crate::expr::{Expr, Scope};
use crate::playbook::{Bound, Deed, unit_fault};

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

fn rung(bound: &Bound, judgement: &Judgement, seen: &Observations, index: usize) -> Result<Option<Plan>, String> {
    let Some(rung) = bound.content.rungs.get(index) else { return Ok(None) };
    let scope = Scope {
        seen,
        before: None,
        lets: &judgement.lets,
        case: judgement.case.as_deref(),
        profile: &bound.facts.constants,
        item: &bound.item,
    };
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
    let steps = rung.steps.iter().map(|deed| action(bound, deed, &scope)).collect::<Result<Vec<Action>, String>>();
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

fn action(bound: &Bound, deed: &Deed, scope: &Scope<'_>) -> Result<Action, String> {
    Ok(match deed {
        Deed::SysctlSet { key, value, persist } => {
            let value = number(value, scope).map_err(|why| format!("value of {key}: {why}"))?;
            if value <= 0 {
                return Err(format!("{key} would be set to {value}: only values above 0 make sense"));
            }
            Action::SysctlSet { key: (*key).to_owned(), value, persist: *persist }
        }
        Deed::AgentReload => Action::AgentReload {},
        Deed::AgentStart => Action::AgentStart {},
        Deed::AgentRestart => Action::AgentRestart {},
        Deed::UnitRestart { unit } => {
            let unit = match unit.evaluate(scope) {
                Fact::Known(Value::Text(unit)) => unit,
                Fact::Known(value @ (Value::Bool(_) | Value::Int(_))) => return Err(format!("{value} is no unit")),
                Fact::Unknown(why) => return Err(format!("unit: {why}")),
            };
            if let Some(fault) = unit_fault(&unit) {
                return Err(format!("unit {unit:?} {fault}"));
            }
            Action::UnitRestart { unit }
        }
        Deed::CommandRun { command: name } => {
            let command =
                bound.facts.commands.get(name).ok_or_else(|| format!("the profile has no program {name:?}"))?;
            Action::CommandRun { name: name.clone(), command: command.clone() }
        }
    })
}

fn number(value: &Expr, scope: &Scope<'_>) -> Result<i64, String> {
    match value.evaluate(scope) {
        Fact::Known(Value::Int(value)) => Ok(value),
        Fact::Known(value @ (Value::Bool(_) | Value::Text(_))) => Err(format!("{value} is no whole number")),
        Fact::Unknown(why) => Err(why),
    }
}
