//! What a check says where no case holds: healthy, or not known and why. Judges no case.
use wbd_model::check::Verdict;
use wbd_model::observation::{Fact, Value};

use super::evidence;
use crate::expr::Scope;
use crate::playbook::Bound;

/// The verdict where no case holds, why, and whether it is unknown although all was seen.
pub(super) fn without_case(bound: &Bound, scope: &Scope<'_>) -> (Verdict, String, bool) {
    let Some(healthy) = &bound.content.healthy else { return (Verdict::Pass, String::new(), false) };
    match healthy.evaluate(scope) {
        Fact::Known(Value::Bool(true)) => (Verdict::Pass, String::new(), false),
        Fact::Known(Value::Bool(false)) => {
            let facts = evidence::of_names(bound, healthy.blamed(scope), scope).join("; ");
            (Verdict::Unknown, format!("no case fits, and what this check calls healthy does not hold: {facts}"), true)
        }
        Fact::Known(value @ (Value::Int(_) | Value::Text(_))) => {
            (Verdict::Unknown, format!("healthy gave {value}, which is no truth value: report this bug"), false)
        }
        Fact::Unknown(why) => {
            let why = evidence::unknown(bound, healthy, scope, &why);
            (Verdict::Unknown, format!("no case fits, and whether it is healthy is not known: {why}"), false)
        }
    }
}
