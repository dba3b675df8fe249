//! The value of an expression. Three-valued: what was not seen makes the result unknown, unless the other
//! side of `&&` or `||` decides. Whole numbers are checked; nothing wraps.
use std::collections::BTreeMap;

use wbd_model::observation::{Fact, Observations, Value};

use super::ir::{Calculation, Comparison, Extreme, Ir, TextTest, a};
use super::names::Reference;

/// The values of all names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// What was seen.
    pub(crate) seen: &'a Observations,
    /// What was seen before the action.
    pub(crate) before: Option<&'a Observations>,
    /// The values of `let`.
    pub(crate) lets: &'a BTreeMap<String, Fact>,
    /// The true case.
    pub(crate) case: Option<&'a str>,
    /// Constants of the profile.
    pub(crate) profile: &'a BTreeMap<String, Value>,
    /// Fields of the item.
    pub(crate) item: &'a BTreeMap<String, Value>,
}

impl Scope<'_> {
    /// The value of one name.
    pub(crate) fn value(&self, reference: &Reference) -> Fact {
        let fact = match reference {
            Reference::Fact { observation, field } => observed(Some(self.seen), observation, field),
            Reference::Before { observation, field } => observed(self.before, observation, field),
            Reference::Profile(path) => constant(self.profile, path, "the profile does not state it"),
            Reference::Let(name) => {
                self.lets.get(name).cloned().unwrap_or_else(|| Fact::Unknown("it was not computed".to_owned()))
            }
            Reference::Case => match self.case {
                Some(case) => Fact::Known(case.into()),
                None => Fact::Unknown("no case is true".to_owned()),
            },
            Reference::Item { field, .. } => constant(self.item, field, "the item does not state it"),
        };
        match fact {
            Fact::Known(value) => Fact::Known(value),
            Fact::Unknown(reason) => Fact::Unknown(format!("{reference}: {reason}")),
        }
    }
}

fn observed(observations: Option<&Observations>, observation: &str, field: &str) -> Fact {
    match observations.and_then(|all| all.get(observation)) {
        Some(seen) => seen.fact(field),
        None => Fact::Unknown("was not observed".to_owned()),
    }
}

fn constant(values: &BTreeMap<String, Value>, name: &str, absent: &str) -> Fact {
    values.get(name).cloned().map_or_else(|| Fact::Unknown(absent.to_owned()), Fact::Known)
}

pub(super) fn evaluate(ir: &Ir, scope: &Scope<'_>) -> Fact {
    value(ir, scope).map_or_else(Fact::Unknown, Fact::Known)
}

/// The value, or why it is not known.
fn value(ir: &Ir, scope: &Scope<'_>) -> Result<Value, String> {
    match ir {
        Ir::Const(value) => Ok(value.clone()),
        Ir::Ref(reference) => match scope.value(reference) {
            Fact::Known(value) => Ok(value),
            Fact::Unknown(reason) => Err(reason),
        },
        Ir::Has(reference) => Ok(matches!(scope.value(reference), Fact::Known(_)).into()),
        Ir::Not(inner) => truth(inner, scope).map(|value| (!value).into()),
        Ir::Negate(inner) => number(inner, scope)?.checked_neg().map(Value::Int).ok_or_else(too_large),
        Ir::And(left, right) => decide(left, right, scope, false),
        Ir::Or(left, right) => decide(left, right, scope, true),
        Ir::If(parts) => {
            let (condition, yes, no) = &**parts;
            if truth(condition, scope)? { value(yes, scope) } else { value(no, scope) }
        }
        Ir::Compare(how, left, right) => compare(*how, &value(left, scope)?, &value(right, scope)?),
        Ir::Calculate(how, left, right) => calculate(*how, number(left, scope)?, number(right, scope)?),
        Ir::Join(left, right) => Ok((text(left, scope)? + &text(right, scope)?).into()),
        Ir::In(needle, list) => {
            let needle = value(needle, scope)?;
            let mut unknown = None;
            for element in list {
                match value(element, scope) {
                    Ok(element) if element == needle => return Ok(true.into()),
                    Ok(_) => {}
                    Err(reason) => unknown = unknown.or(Some(reason)),
                }
            }
            unknown.map_or(Ok(false.into()), Err)
        }
        Ir::Extreme(how, list) => {
            let numbers = list.iter().map(|element| number(element, scope)).collect::<Result<Vec<i64>, String>>()?;
            let extreme = match how {
                Extreme::Least => numbers.into_iter().min(),
                Extreme::Greatest => numbers.into_iter().max(),
            };
            extreme.map(Value::Int).ok_or_else(|| "of no numbers there is none".to_owned())
        }
        Ir::Look(how, haystack, needle) => {
            let (haystack, needle) = (text(haystack, scope)?, text(needle, scope)?);
            Ok(match how {
                TextTest::Contains => haystack.contains(&needle),
                TextTest::StartsWith => haystack.starts_with(&needle),
                TextTest::EndsWith => haystack.ends_with(&needle),
            }
            .into())
        }
        Ir::Size(inner) => i64::try_from(text(inner, scope)?.chars().count()).map(Value::Int).map_err(|_| too_large()),
    }
}

/// `&&` (decided by a false side) and `||` (decided by a true side), whichever side that is.
fn decide(left: &Ir, right: &Ir, scope: &Scope<'_>, decisive: bool) -> Result<Value, String> {
    let left = truth(left, scope);
    if left == Ok(decisive) {
        return Ok(decisive.into());
    }
    let right = truth(right, scope);
    if right == Ok(decisive) {
        return Ok(decisive.into());
    }
    left.and(right).map(Value::Bool)
}

pub(super) fn truth(ir: &Ir, scope: &Scope<'_>) -> Result<bool, String> {
    match value(ir, scope)? {
        Value::Bool(value) => Ok(value),
        other @ (Value::Int(_) | Value::Text(_)) => Err(unfit(&other)),
    }
}

fn number(ir: &Ir, scope: &Scope<'_>) -> Result<i64, String> {
    match value(ir, scope)? {
        Value::Int(value) => Ok(value),
        other @ (Value::Bool(_) | Value::Text(_)) => Err(unfit(&other)),
    }
}

fn text(ir: &Ir, scope: &Scope<'_>) -> Result<String, String> {
    match value(ir, scope)? {
        Value::Text(value) => Ok(value),
        other @ (Value::Bool(_) | Value::Int(_)) => Err(unfit(&other)),
    }
}

/// Observations may come from a ledger of another release, so a type is checked once more.
fn unfit(value: &Value) -> String {
    format!("{:?} is {}, where another type belongs", value.to_string(), a(value.kind()))
}

fn too_large() -> String {
    "the number is too large".to_owned()
}

fn compare(how: Comparison, left: &Value, right: &Value) -> Result<Value, String> {
    if left.kind() != right.kind() {
        return Err(unfit(right));
    }
    let ordering = match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(_) | Value::Text(_) | Value::Bool(_), _) => return Err(unfit(right)),
    };
    Ok(match how {
        Comparison::Equal => ordering.is_eq(),
        Comparison::Unequal => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    }
    .into())
}

fn calculate(how: Calculation, left: i64, right: i64) -> Result<Value, String> {
    let (result, word) = match how {
        Calculation::Add => (left.checked_add(right), "+"),
        Calculation::Subtract => (left.checked_sub(right), "-"),
        Calculation::Multiply => (left.checked_mul(right), "*"),
        Calculation::Divide => (left.checked_div(right), "/"),
        Calculation::Remainder => (left.checked_rem(right), "%"),
    };
    result.map(Value::Int).ok_or_else(|| format!("{left} {word} {right} is no whole number of 64 bits"))
}
