//! What a check says where no case holds: healthy, or not known and why. Judges no case.
use wbd_model::check::Verdict;
use wbd_model::observation::{Fact, Field, Unit, Value};

use crate::expr::{Reference, Scope};
use crate::playbook::Bound;

/// Longest text of the host that is repeated.
const MOST_CHARS: usize = 200;

/// The verdict where no case holds, why, and whether it is unknown although all was seen.
pub(super) fn without_case(bound: &Bound, scope: &Scope<'_>) -> (Verdict, String, bool) {
    let Some(healthy) = &bound.content.healthy else { return (Verdict::Pass, String::new(), false) };
    match healthy.evaluate(scope) {
        Fact::Known(Value::Bool(true)) => (Verdict::Pass, String::new(), false),
        Fact::Known(Value::Bool(false)) => {
            let facts: Vec<String> =
                healthy.blamed(scope).into_iter().filter_map(|name| fact(bound, name, scope)).collect();
            let facts = facts.join("; ");
            (Verdict::Unknown, format!("no case fits, and what this check calls healthy does not hold: {facts}"), true)
        }
        Fact::Known(value @ (Value::Int(_) | Value::Text(_))) => {
            (Verdict::Unknown, format!("healthy gave {value}, which is no truth value: report this bug"), false)
        }
        Fact::Unknown(why) => {
            (Verdict::Unknown, format!("no case fits, and whether it is healthy is not known: {why}"), false)
        }
    }
}

/// A fact in the words of its declaration: `heartbeat: 12000 milliseconds`.
fn fact(bound: &Bound, reference: &Reference, scope: &Scope<'_>) -> Option<String> {
    let name = match reference {
        Reference::Fact { observation, field } => match declared(bound, observation, field) {
            Some(field) => return Some(format!("{}: {}", field.label, value(&scope.value(reference), field.unit))),
            None => reference.to_string(),
        },
        Reference::Let(_) => reference.to_string(),
        // What the profile states was known before.
        Reference::Before { .. } | Reference::Profile(_) | Reference::Case | Reference::Item { .. } => return None,
    };
    Some(format!("{name}: {}", value(&scope.value(reference), Unit::None)))
}

fn declared(bound: &Bound, observation: &str, field: &str) -> Option<&'static Field> {
    bound.probes.get(observation)?.name().fields().iter().find(|known| known.name == field)
}

fn value(fact: &Fact, unit: Unit) -> String {
    match fact {
        Fact::Known(Value::Bool(true)) => "yes".to_owned(),
        Fact::Known(Value::Bool(false)) => "no".to_owned(),
        Fact::Known(Value::Int(number)) => match unit.word() {
            Some(unit) => format!("{number} {unit}"),
            None => number.to_string(),
        },
        Fact::Known(Value::Text(text)) if text.is_empty() => "empty".to_owned(),
        Fact::Known(Value::Text(text)) => text.chars().take(MOST_CHARS).collect(),
        Fact::Unknown(_) => "not known".to_owned(),
    }
}
