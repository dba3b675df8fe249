//! The only place that can permit an action. A permit cannot be made, cloned or changed elsewhere.
use wbd_model::action::{Action, Class, Conflict};
use wbd_model::entry::{Intent, Subject};
use wbd_model::incident::{ActionId, Guard, IncidentId, Phase, Refusal};
use wbd_model::name::TargetName;
use wbd_model::plan::{Approval, Attempts};
use wbd_model::settings::{Healing, Settings};
use wbd_model::time::{Now, utc};

use super::{approval as shown, breaker, budget, hold, waiver, window};
use crate::state::{ActionRequest, Captured, Incident, START_DEADLINE_MS, State};

/// Leave to do exactly one action; only the ledger can turn it into something that acts.
#[derive(Debug)]
pub struct Permit {
    subject: Subject,
    intent: Intent,
}

impl Permit {
    /// What the action is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The action.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Gives both away; used by the ledger as it writes the intent.
    #[must_use]
    pub fn into_parts(self) -> (Subject, Intent) {
        (self.subject, self.intent)
    }
}

/// Asks every guard, the firmest first.
///
/// # Errors
/// The first guard that says no, why, and until when.
pub fn check(state: &State, settings: &Settings, now: &Now, want: &ActionRequest) -> Result<(), Refusal> {
    let waiting = state.incidents.get(&want.incident).filter(|i| matches!(i.phase, Phase::Gated { .. }));
    let incident = waiting.ok_or_else(|| no(Guard::Conflict, "the incident does not wait for an action any more"))?;
    waiver::permits(state, now, &want.key)?;
    hold::permits(state, now, want.action.class(), Some(&want.key.target))?;
    let (playbook, target) = (want.playbook.as_str(), &want.key.target);
    if settings.healing_for(playbook, target) == Healing::Observe {
        let mode = settings.healing_words(playbook, target);
        return Err(no(Guard::Mode, &format!("healing is set to {mode}: nothing is done by itself")));
    }
    conflict(state, want)?;
    if want.undoes.is_some() {
        return budget::permits(state, settings, now, &budget::Cost::of(want));
    }
    breaker::check(state, now, want)?;
    if let Some(who) = &incident.denied {
        return Err(no(Guard::Denied, &format!("{who} denied it")));
    }
    // The steps of a rung belong together: what was allowed and paid for at its first step is not asked again.
    let attempts = if want.step == 0 { attempts(state, now, want, incident) } else { Ok(()) };
    let budget = budget::permits(state, settings, now, &budget::Cost::of(want));
    // What an approval would lift says what else stands against the action then.
    let lifted = |refusal: Refusal, by: &str| {
        let by = format!("{by} wbdctl approve {}", incident.id);
        with_what_follows(refusal, &by, attempts.clone().and(budget.clone()), now)
    };
    if want.step == 0 || incident.outdated {
        approval(settings, want, incident).map_err(|refusal| lifted(refusal, ":"))?;
    }
    attempts.clone()?;
    let windows = window::own(now, want, incident).and_then(|()| window::check(settings, now, want, incident));
    windows.map_err(|refusal| lifted(refusal, "; now by"))?;
    budget
}

/// Asks every guard again and permits the action.
///
/// # Errors
/// The first guard that says no.
pub fn permit(
    state: &State,
    settings: &Settings,
    now: &Now,
    want: ActionRequest,
    captured: Captured,
) -> Result<Permit, Refusal> {
    check(state, settings, now, &want)?;
    shown::permits(state, &want, &captured.changes)?;
    if want.undoes.is_none() && captured.before.is_empty() {
        return Err(no(Guard::Conflict, "nothing was seen just before the action"));
    }
    let class = want.action.class();
    let subject = Subject {
        incident: Some(want.incident),
        code: Some(want.key.code),
        target: Some(want.key.target),
        playbook: Some(want.playbook),
    };
    let intent = Intent {
        action_id: ActionId(state.next_action.max(1)),
        action: want.action,
        class,
        rung: want.plan.rung,
        rung_id: want.plan.rung_id,
        step: want.step,
        steps: want.plan.steps.len(),
        plan: want.plan.steps,
        start_by_ms: now.boot_ms + START_DEADLINE_MS,
        changes: captured.changes,
        undo: captured.undo,
        undoes: want.undoes,
        by_hand: None,
        paid: false,
        takes_back_stop: false,
        before: captured.before,
    };
    Ok(Permit { subject, intent })
}

/// Permits an action that an operator asked for: recorded, costs no budget, still one at a time.
///
/// # Errors
/// Another action on the same thing is under way.
pub fn permit_by_hand(
    state: &State,
    now: &Now,
    who: &str,
    action: Action,
    undoes: Option<ActionId>,
    captured: Captured,
) -> Result<Permit, Refusal> {
    let thing = action.conflict();
    if let Some(other) = state.open.values().filter_map(|id| state.incidents.get(id)).find(|i| acts_on(i, &thing)) {
        return Err(no(Guard::Conflict, &format!("{} is acting on it; try again after it has ended", other.id)));
    }
    let class = action.class();
    let takes_back_stop = action.on_agent().starts();
    let intent = Intent {
        action_id: ActionId(state.next_action.max(1)),
        action,
        class,
        rung: 0,
        rung_id: "by-hand".to_owned(),
        step: 0,
        steps: 1,
        plan: Vec::new(),
        start_by_ms: now.boot_ms + START_DEADLINE_MS,
        changes: captured.changes,
        undo: captured.undo,
        undoes,
        by_hand: Some(who.to_owned()),
        paid: false,
        takes_back_stop,
        before: captured.before,
    };
    Ok(Permit { subject: Subject::default(), intent })
}

/// Permits the start of the agent with which a stand-alone supervisor begins. Nobody asked for it in person, so a hold
/// keeps it back; and free is the agent's first life in a boot alone, or a supervisor that ends again and again beside
/// an agent that does would start it without a bound.
///
/// # Errors
/// The first guard that says no; where the failure stays, its incident takes it from there.
pub fn permit_first_start(state: &State, settings: &Settings, now: &Now) -> Result<Permit, Refusal> {
    let action = Action::AgentStart {};
    hold::permits(state, now, action.class(), TargetName::new("wbd").ok().as_ref())?;
    let paid = state.has_agent_lived(now);
    if paid {
        budget::permits(state, settings, now, &budget::Cost::of_the_agent(&action))?;
    }
    let who = "the start of the stand-alone supervisor";
    let Permit { subject, intent } = permit_by_hand(state, now, who, action, None, Captured::default())?;
    // No administrator has said it.
    Ok(Permit { subject, intent: Intent { paid, takes_back_stop: false, ..intent } })
}

fn no(guard: Guard, reason: &str) -> Refusal {
    Refusal { guard, reason: reason.to_owned(), until_ms: None }
}

/// A refusal that an approval would lift, with what else stands against the action then: the approval is offered from
/// the moment on from which it is of use.
fn with_what_follows(refusal: Refusal, by: &str, then: Result<(), Refusal>, now: &Now) -> Refusal {
    let Refusal { guard, reason, until_ms } = refusal;
    let reason = match then {
        Ok(()) => format!("{reason}{by}"),
        Err(later) => match later.until_ms {
            Some(later_ms) => {
                let left_ms = i64::try_from(later_ms.saturating_sub(now.boot_ms)).unwrap_or(i64::MAX);
                let from = utc(now.wall_ms.saturating_add(left_ms));
                format!("{reason}{by}, from {from} on: before that {}", later.reason)
            }
            None => format!("{reason}; an approval is of no use now: {}", later.reason),
        },
    };
    Refusal { guard, reason, until_ms }
}

fn approval(settings: &Settings, want: &ActionRequest, incident: &Incident) -> Result<(), Refusal> {
    let class = want.plan.class();
    let needed = want.plan.approval == Approval::Operator
        || class == Class::A4
        || class > settings.ceiling_for(want.playbook.as_str(), &want.key.target)
        || settings.healing_for(want.playbook.as_str(), &want.key.target) == Healing::Approve;
    // An approval is for one try, of the playbook that was shown; of that of its opening where nothing was.
    let digest = incident.shown.as_ref().map_or(&incident.digest, |shown| &shown.plan.digest);
    let given = incident.approved && *digest == want.plan.digest;
    if given || !(needed || incident.outdated) {
        return Ok(());
    }
    let anew =
        if incident.outdated || incident.approved { " anew, since what it would change has changed" } else { "" };
    Err(no(Guard::Approval, &format!("waits for an operator{anew}")))
}

fn attempts(state: &State, now: &Now, want: &ActionRequest, incident: &Incident) -> Result<(), Refusal> {
    let per = want.attempts.per_ms + START_DEADLINE_MS;
    let made: Vec<u64> = state
        .attempts
        .iter()
        .filter(|made| made.playbook == want.playbook && made.target == want.key.target)
        .map(|made| made.at_ms)
        .filter(|at_ms| state.age_ms(*at_ms, now) <= per)
        .collect();
    // I7: also bounded in one incident, however far apart its attempts are.
    let most = usize::try_from(want.attempts.max).unwrap_or(usize::MAX);
    if made.len() >= most || incident.attempts >= want.attempts.max {
        let until_ms = made.first().map(|at_ms| now.boot_ms + per.saturating_sub(state.age_ms(*at_ms, now)) + 1);
        let reason = format!("all {} attempts are used", want.attempts.max);
        return Err(Refusal { guard: Guard::Attempts, reason, until_ms });
    }
    if incident.attempts == 0 {
        return Ok(());
    }
    let Some(last) = made.last() else { return Ok(()) };
    let pause = backoff_ms(want.attempts, incident.attempts, incident.id, incident.opened.boot_ms);
    let age = state.age_ms(*last, now);
    if age < pause {
        let reason = format!("waits {} s after attempt {}", pause.div_ceil(1000), incident.attempts);
        return Err(Refusal { guard: Guard::Backoff, reason, until_ms: Some(now.boot_ms + pause - age) });
    }
    Ok(())
}

/// Doubles with each attempt, up to the bound, plus up to a tenth that differs between incidents so
/// that many hosts do not act in step. No randomness: the same state gives the same pause.
fn backoff_ms(attempts: Attempts, made: u32, incident: IncidentId, opened_ms: u64) -> u64 {
    let doublings = made.saturating_sub(1).min(20);
    let pause = attempts.backoff_from_ms.saturating_mul(1 << doublings).min(attempts.backoff_to_ms);
    let seed = incident.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ opened_ms;
    pause + pause / 10 * (seed % 10) / 10
}

fn conflict(state: &State, want: &ActionRequest) -> Result<(), Refusal> {
    // A rung is begun when all that it acts on is free: two that hold a part each would wait for each other.
    let things: Vec<Conflict> = want.plan.steps.iter().chain([&want.action]).map(Action::conflict).collect();
    let other = state
        .open
        .values()
        .filter(|id| **id != want.incident)
        .filter_map(|id| state.incidents.get(id))
        .find(|incident| things.iter().any(|thing| acts_on(incident, thing)));
    other.map_or(Ok(()), |other| Err(no(Guard::Conflict, &format!("{} is acting on the same thing", other.id))))
}

/// From its first intent to its verdict an incident keeps others off all that its rung acts on, and off what it
/// may have to take back until that is done.
fn acts_on(incident: &Incident, thing: &Conflict) -> bool {
    if incident.undo.iter().chain(&incident.rollback).any(|(_, undo)| undo.action.conflict() == *thing) {
        return true;
    }
    let busy = match incident.phase {
        Phase::Acting { .. } | Phase::Indeterminate { .. } | Phase::Verifying | Phase::RollingBack { .. } => true,
        Phase::Gated { .. } => incident.step > 0,
        Phase::Suppressed { .. } | Phase::Probation | Phase::Closed { .. } => false,
    };
    let acts = |intent: &Intent| intent.plan.iter().chain([&intent.action]).any(|action| action.conflict() == *thing);
    busy && incident.intent.as_ref().is_some_and(|intent| acts(intent))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The tenths of a tenth that are added to a pause of 100 s.
    fn added(pauses: impl Iterator<Item = (u64, u64)>) -> BTreeSet<u64> {
        let attempts = Attempts { max: 3, per_ms: 3_600_000, backoff_from_ms: 100_000, backoff_to_ms: 100_000 };
        let pause = |(id, opened_ms)| backoff_ms(attempts, 1, IncidentId(id), opened_ms);
        pauses.map(|each| pause(each) - 100_000).collect()
    }

    #[test]
    fn the_pauses_of_many_hosts_spread_over_a_tenth_whatever_their_incidents_have_in_common() {
        let all: BTreeSet<u64> = (0..10).map(|tenth| tenth * 1_000).collect();
        for common in 0..128 {
            assert_eq!(added((0..128).map(|opened_ms| (common, opened_ms))), all, "the number {common}");
            let numbers = added((0..128).map(|id| (id, common)));
            assert!(numbers.len() > 1 && numbers.is_subset(&all), "the moment {common}: {numbers:?}");
        }
        assert_eq!(added([(7, 9), (7, 9)].into_iter()).len(), 1, "the same state gives the same pause");
    }
}
