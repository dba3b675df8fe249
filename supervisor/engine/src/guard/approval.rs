//! An operator's approval: of exactly what was shown. Compares a plan and what it would change with that; asks nobody.
use sha2::{Digest as _, Sha256};
use wbd_model::action::{Action, Change};
use wbd_model::incident::{Guard, IncidentId, Refusal};
use wbd_model::plan::{Plan, Shown};

use crate::state::{ActionRequest, Incident, State};

/// What names a shown plan in an approval, lower-case hex.
#[must_use]
pub fn digest(incident: IncidentId, shown: &Shown) -> String {
    let text = serde_json::to_vec(&(incident, shown)).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a plan is not the one that was shown; `None`: it is. The value of a kernel setting follows what is measured
/// and differs at every look on a busy host; then the value that was shown is the one that is set.
#[must_use]
pub fn other_plan(shown: &Plan, plan: &Plan) -> Option<String> {
    if shown.digest != plan.digest {
        return Some(format!("the playbook {} was changed", plan.playbook));
    }
    let same = shown.rung == plan.rung
        && shown.steps.len() == plan.steps.len()
        && shown.steps.iter().zip(&plan.steps).all(|(shown, fresh)| same_but_value(shown, fresh));
    if same {
        return None;
    }
    let words = |plan: &Plan| plan.steps.iter().map(Action::describe).collect::<Vec<_>>().join(", ");
    Some(format!("it would now {} instead of {}", words(plan), words(shown)))
}

fn same_but_value(shown: &Action, fresh: &Action) -> bool {
    shown.without_value() == fresh.without_value()
}

/// The plan with the values that an operator approved, where it is that plan.
#[must_use]
pub fn as_shown(incident: Option<&Incident>, plan: Plan) -> Plan {
    let shown = incident.and_then(|incident| incident.shown.as_deref());
    match shown.filter(|shown| other_plan(&shown.plan, &plan).is_none()) {
        Some(shown) => Plan { steps: shown.plan.steps.clone(), ..plan },
        None => plan,
    }
}

/// Whether an action is what an operator approved, if one did: the plan, and what it would change on this host now.
///
/// # Errors
/// What differs; then the operator is asked anew.
pub(crate) fn permits(state: &State, want: &ActionRequest, changes: &[Change]) -> Result<(), Refusal> {
    if want.undoes.is_some() {
        return Ok(());
    }
    let shown = state.incidents.get(&want.incident).and_then(|incident| incident.shown.as_deref());
    let Some(differs) = shown.and_then(|shown| differs(shown, want, changes)) else { return Ok(()) };
    let id = want.incident;
    let reason = format!(
        "what it would change is no longer what was approved: {differs}; see it and approve again: wbdctl approve {id}"
    );
    Err(Refusal { guard: Guard::Approval, reason, until_ms: None })
}

fn differs(shown: &Shown, want: &ActionRequest, changes: &[Change]) -> Option<String> {
    if let Some(other) = other_plan(&shown.plan, &want.plan) {
        return Some(other);
    }
    if shown.plan.steps.get(want.step) != Some(&want.action) {
        return Some(format!("it would now {}", want.action.describe()));
    }
    let told = shown.changes.get(want.step).map(Vec::as_slice).unwrap_or_default();
    // What an earlier step of the same rung changes is another before for the later one.
    let earlier: Vec<&str> =
        shown.changes.iter().take(want.step).flatten().map(|change| change.what.as_str()).collect();
    // Whether the agent runs at this very moment changes by itself in a crash loop; the check has just been judged
    // anew.
    let flaps = want.action.on_agent().concerns();
    let own = |change: &Change| flaps || earlier.contains(&change.what.as_str());
    let same = |told: &Change, now: &Change| {
        told.what == now.what && told.after == now.after && (told.before == now.before || own(now))
    };
    if let Some(now) = changes.iter().find(|now| !told.iter().any(|told| same(told, now))) {
        let before = now.before.as_deref().unwrap_or("not there");
        return Some(format!("{} is {before} and would become {}", now.what, now.after));
    }
    let missed = told.iter().find(|told| !own(told) && !changes.iter().any(|now| same(told, now)));
    missed.map(|missed| format!("{} would not change", missed.what))
}

#[cfg(test)]
mod tests {
    use wbd_model::action::{SysctlSet, UnitRestart};
    use wbd_model::name::{Code, PlaybookName, TargetName};
    use wbd_model::plan::Approval;

    use super::*;

    fn raise(key: &str, value: i64) -> Action {
        Action::SysctlSet(SysctlSet { key: key.to_owned(), value, persist: false })
    }

    fn plan(steps: &[Action]) -> Plan {
        Plan {
            code: Code::new("WBD-5404").unwrap(),
            target: TargetName::new("wbd").unwrap(),
            playbook: PlaybookName::new("limits").unwrap(),
            digest: "digest-1".to_owned(),
            rung: 1,
            rung_id: "raise".to_owned(),
            approval: Approval::Operator,
            steps: steps.to_vec(),
        }
    }

    #[test]
    fn another_value_is_the_same_plan_and_everything_else_is_another_one() {
        let steps = [raise("k.a", 5), Action::AgentReload {}];
        let shown = plan(&steps);
        assert_eq!(other_plan(&shown, &plan(&steps)), None);
        assert_eq!(other_plan(&shown, &plan(&[raise("k.a", 6), Action::AgentReload {}])), None);
        let edited = Plan { digest: "digest-2".to_owned(), ..plan(&steps) };
        assert_eq!(other_plan(&shown, &edited), Some("the playbook limits was changed".to_owned()));
        let says = |now: &str| Some(format!("it would now {now} instead of set k.a to 5, reload the agent"));
        let rung = Plan { rung: 2, ..plan(&steps) };
        assert_eq!(other_plan(&shown, &rung), says("set k.a to 5, reload the agent"));
        for (now, words) in [
            (vec![raise("k.b", 5), Action::AgentReload {}], "set k.b to 5, reload the agent"),
            (vec![raise("k.a", 5)], "set k.a to 5"),
            (
                vec![
                    raise("k.a", 5),
                    Action::AgentReload {},
                    Action::UnitRestart(UnitRestart { unit: "a.service".to_owned() }),
                ],
                "set k.a to 5, reload the agent, restart a.service",
            ),
        ] {
            assert_eq!(other_plan(&shown, &plan(&now)), says(words));
        }
    }

    #[test]
    fn the_name_of_what_was_shown_is_its_own_and_its_incidents() {
        let shown = |value| Shown { plan: plan(&[raise("k.a", value)]), changes: vec![vec![]] };
        let name = digest(IncidentId(1), &shown(5));
        assert!(name.len() == 64 && name.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{name}");
        assert_eq!(name, digest(IncidentId(1), &shown(5)));
        assert_ne!(name, digest(IncidentId(2), &shown(5)));
        assert_ne!(name, digest(IncidentId(1), &shown(6)));
    }
}
