//! Whether wbd's own agent detects web shells on this host, as doctor says it on its second line. Judges no check.
use wbd_model::observation::{Fact, Observation, Observations, Value};
use wbd_model::probe::Probe;
use wbd_model::report::{Protection, ProtectionState};

use crate::playbook::Bound;

/// By the check that looks at both the agent and its unit; `None`: there is none.
pub(super) fn of<'a>(
    mut checks: impl Iterator<Item = (&'a Bound, &'a Observations)>,
    started_ms: i64,
) -> Option<Protection> {
    checks.find_map(|(bound, seen)| {
        let seen = |wanted: fn(&Probe) -> bool| {
            let (name, _) = bound.probes.iter().find(|(_, probe)| wanted(probe))?;
            seen.get(name)
        };
        let agent = seen(|probe| matches!(probe, Probe::AgentHealth))?;
        let service = seen(|probe| matches!(probe, Probe::ServiceState(_)))?;
        Some(protection(agent, service, started_ms))
    })
}

fn protection(agent: &Observation, service: &Observation, started_ms: i64) -> Protection {
    let stopped_s = number(service, "stop_age_s").and_then(|age_s| i64::try_from(age_s).ok());
    let is = |state, why: String| Protection {
        state,
        targets: number(agent, "targets"),
        folders: number(agent, "folders"),
        since: None,
        why,
    };
    let off = |why: &str| is(ProtectionState::Off, why.to_owned());
    match agent.fact("live") {
        Fact::Unknown(why) => return is(ProtectionState::Unknown, why),
        Fact::Known(Value::Bool(true)) => {}
        Fact::Known(_) if truth(service, "stop_noted") => {
            let by = text(service, "stop_by").unwrap_or_default();
            let since = stopped_s.map(|age_s| started_ms.saturating_sub(age_s.saturating_mul(1_000)));
            return Protection { since, ..off(&format!("the agent was stopped by {by}")) };
        }
        Fact::Known(_) if truth(service, "masked") => return off("the unit of the agent is disabled"),
        Fact::Known(_) => return off("the agent does not run"),
    }
    match (text(agent, "state").as_deref(), number(agent, "targets"), number(agent, "folders")) {
        (Some("inactive" | "active"), Some(0), _) => off("no target is registered"),
        (Some("inactive"), _, _) => off("the agent is deactivated"),
        (Some("active"), _, Some(0)) => off("no folder is watched"),
        (Some("active"), Some(_), Some(_)) => is(ProtectionState::On, String::new()),
        (Some("stopping"), _, _) => off("the agent is stopping"),
        (Some("starting"), _, _) => is(ProtectionState::Unknown, "the agent is starting".to_owned()),
        (Some(_), _, _) | (None, _, _) => {
            is(ProtectionState::Unknown, "what the agent does could not be seen".to_owned())
        }
    }
}

fn truth(seen: &Observation, field: &str) -> bool {
    seen.fact(field) == Fact::Known(Value::Bool(true))
}

fn number(seen: &Observation, field: &str) -> Option<u64> {
    if let Fact::Known(Value::Int(number)) = seen.fact(field) { u64::try_from(number).ok() } else { None }
}

fn text(seen: &Observation, field: &str) -> Option<String> {
    if let Fact::Known(Value::Text(text)) = seen.fact(field) { Some(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(live: bool, state: &str, targets: i64, folders: i64) -> Observation {
        let mut seen = Observation::default();
        seen.know("live", live).know("state", state).know("targets", targets).know("folders", folders);
        seen
    }

    fn service(stop_by: &str, masked: bool) -> Observation {
        let mut seen = Observation::default();
        seen.know("stop_noted", !stop_by.is_empty())
            .know("stop_by", stop_by)
            .know("stop_age_s", 60)
            .know("masked", masked);
        seen
    }

    #[test]
    fn protection_is_on_only_where_an_active_agent_watches_folders_of_targets() {
        use ProtectionState::{Off, On, Unknown};
        for (seen, by, masked, state, why) in [
            (agent(true, "active", 2, 1_204), "", false, On, ""),
            (agent(true, "active", 2, 0), "", false, Off, "no folder is watched"),
            (agent(true, "active", 0, 0), "", false, Off, "no target is registered"),
            (agent(true, "inactive", 0, 0), "", false, Off, "no target is registered"),
            (agent(true, "inactive", 2, 0), "", false, Off, "the agent is deactivated"),
            (agent(true, "starting", 2, 0), "", false, Unknown, "the agent is starting"),
            (agent(true, "stopping", 2, 9), "", false, Off, "the agent is stopping"),
            (agent(false, "none", 2, 9), "", false, Off, "the agent does not run"),
            (agent(false, "none", 2, 9), "", true, Off, "the unit of the agent is disabled"),
            (agent(false, "none", 2, 9), "root", true, Off, "the agent was stopped by root"),
            // A note beside an agent that runs is an old one.
            (agent(true, "active", 2, 9), "root", false, On, ""),
        ] {
            let protection = protection(&seen, &service(by, masked), 100_000);
            assert_eq!((protection.state, protection.why.as_str()), (state, why));
            assert_eq!(protection.since, (why.contains("stopped by")).then_some(40_000));
        }
    }

    #[test]
    fn an_agent_that_could_not_be_seen_is_neither_on_nor_off() {
        let unseen = Observation::unseen(&[], "");
        assert_eq!(protection(&unseen, &unseen, 0).state, ProtectionState::Unknown);
        let mut newer = agent(true, "active", 2, 9);
        newer.miss("state", "a word of a newer wbd");
        assert_eq!(protection(&newer, &service("", false), 0).state, ProtectionState::Unknown);
    }
}
