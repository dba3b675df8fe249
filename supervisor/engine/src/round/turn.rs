//! The turn itself: each check, its incident if one is open, and the one step that follows. Writes nothing.
use std::collections::BTreeSet;

use wbd_model::check::{CheckKey, Verdict};
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{Closing, Guard, IncidentId, Phase, Refusal};
use wbd_model::settings::Settings;
use wbd_model::time::Now;

use super::ladder::{next_rung, rollback};
use super::step::{Step, close, lost, write};
use super::timers::Timers;
use super::{orphans, proof};
use crate::guard::{self, approval, waiver};
use crate::judge::snapshot::CheckSnapshot;
use crate::state::{ActionRequest, Incident, State};

/// An incident that waits this long for a guard or a person is handed over.
const GATE_TIMEOUT_MS: u64 = 86_400_000;
/// One that waits for a maintenance window: each opens once a week at least, and a day for what holds it then.
const WINDOW_TIMEOUT_MS: u64 = 8 * GATE_TIMEOUT_MS;

/// A turn comes to rest well before this many rounds; more would be a bug, and the loop must go on.
const ROUNDS_A_TURN: usize = 32;

/// One turn: rounds, until one says that nothing more follows (`false`). Gives whether the turn came to rest.
pub fn turn(mut another: impl FnMut() -> bool) -> bool {
    (0..ROUNDS_A_TURN).any(|_| !another())
}

/// One turn over the checks that were just looked at; `known` are all checks there are. At most one step
/// for each incident, so that each is judged on the state that its last record made.
pub fn round(
    state: &State,
    timers: &mut Timers,
    snapshots: &[CheckSnapshot],
    known: &BTreeSet<CheckKey>,
    settings: &Settings,
    now: &Now,
) -> Vec<Step> {
    for snapshot in snapshots {
        timers.note(snapshot, now.boot_ms);
    }
    let mut steps = Vec::new();
    // Two incidents that open in the same turn are two numbers.
    let mut next = state.next_incident.max(1);
    for snapshot in snapshots {
        let waived = waiver::covering(&state.waivers, &snapshot.key, now.wall_ms).is_some();
        let step = match state.open_for(&snapshot.key) {
            Some(incident) if waived => match waiver::ends(incident) {
                Some(how) => Some(close(incident, how)),
                None => advance(state, timers, snapshot, incident, settings, now),
            },
            None if waived => None,
            Some(incident) => advance(state, timers, snapshot, incident, settings, now),
            None => open(state, timers, snapshot, IncidentId(next), now).inspect(|_| next += 1),
        };
        // What an operator asked for is begun once; a later failure of the same check was not asked for.
        let begun = state.open.contains_key(&snapshot.key) || snapshot.verdict != Verdict::Fail;
        timers.asked.take_if(|asked| begun && *asked == snapshot.key);
        steps.extend(step);
    }
    steps.extend(orphans::orphans(state, timers, known, now));
    steps.extend(orphans::loose_ends(state, timers));
    steps
}

/// A check without an open incident.
fn open(state: &State, timers: &Timers, snapshot: &CheckSnapshot, id: IncidentId, now: &Now) -> Option<Step> {
    let about = |incident| Subject {
        incident,
        code: Some(snapshot.key.code.clone()),
        target: Some(snapshot.key.target.clone()),
        playbook: Some(snapshot.playbook.clone()),
    };
    if state.latched.contains(&snapshot.key) && timers.asked.as_ref() != Some(&snapshot.key) {
        let gone = snapshot.verdict == Verdict::Pass
            && timers.passed_for(&snapshot.key, now.boot_ms).is_some_and(|ms| ms >= snapshot.verify_hold_ms);
        return gone.then(|| write(about(None), Body::Cleared {}));
    }
    let (Verdict::Fail, Some(case)) = (snapshot.verdict, &snapshot.case) else { return None };
    let since = timers.failing_since(&snapshot.key)?;
    let asked = timers.asked.as_ref() == Some(&snapshot.key);
    if !asked && now.boot_ms.saturating_sub(since) < snapshot.hold_ms {
        return None;
    }
    // The cause first; a consequence of what was already handed over stays visible and is not opened.
    if snapshot.cause.as_ref().is_some_and(|cause| !state.open.contains_key(cause)) {
        return None;
    }
    let body = Body::Opened {
        digest: snapshot.digest.clone(),
        case: case.clone(),
        evidence: snapshot.evidence.clone(),
        before: snapshot.seen.clone(),
    };
    Some(write(about(Some(id)), body))
}

/// An open incident and what its check says now.
fn advance(
    state: &State,
    timers: &mut Timers,
    snapshot: &CheckSnapshot,
    incident: &Incident,
    settings: &Settings,
    now: &Now,
) -> Option<Step> {
    match &incident.phase {
        Phase::Suppressed { by } => suppressed(state, timers, snapshot, incident, *by, now),
        Phase::Gated { .. } => gated(state, timers, snapshot, incident, settings, now),
        Phase::Acting { action } | Phase::RollingBack { action } => {
            (timers.in_flight != Some(*action)).then(|| lost(incident, *action))
        }
        Phase::Indeterminate { .. } | Phase::Verifying => proof::verifying(timers, snapshot, incident, now),
        Phase::Probation => proof::probation(snapshot, incident, now),
        Phase::Closed { .. } => None,
    }
}

fn suppressed(
    state: &State,
    timers: &Timers,
    snapshot: &CheckSnapshot,
    incident: &Incident,
    by: IncidentId,
    now: &Now,
) -> Option<Step> {
    let gone = timers.passed_for(&snapshot.key, now.boot_ms).is_some_and(|ms| ms >= snapshot.verify_hold_ms);
    if gone {
        return Some(close(incident, Closing::Subsumed));
    }
    let cause_open = state.incidents.get(&by).is_some_and(|cause| !cause.is_closed());
    if cause_open {
        return None;
    }
    let cause_stands = snapshot.cause.as_ref().is_some_and(|cause| state.latched.contains(cause));
    if cause_stands {
        return Some(close(incident, Closing::Subsumed));
    }
    (snapshot.verdict == Verdict::Fail).then(|| write(incident.subject(), Body::Unsuppressed {}))
}

fn gated(
    state: &State,
    timers: &mut Timers,
    snapshot: &CheckSnapshot,
    incident: &Incident,
    settings: &Settings,
    now: &Now,
) -> Option<Step> {
    // While a person was asked for an approval it stays open; else nothing is left to wait for.
    if incident.escalated.is_some() && (!incident.asks || waited_too_long(incident, now)) {
        return Some(close(incident, Closing::HandedOver));
    }
    if let Some(want) = rollback(snapshot, incident) {
        return ask(state, incident, settings, now, want, snapshot);
    }
    if incident.step == 0 {
        if let Some(cause) = &snapshot.cause {
            return behind(state, snapshot, incident, cause, now);
        }
        let gone = timers.passed_for(&snapshot.key, now.boot_ms).is_some_and(|ms| ms >= snapshot.verify_hold_ms);
        if gone {
            return Some(close(incident, Closing::SelfHealed));
        }
        if snapshot.verdict != Verdict::Fail {
            let unseen = snapshot.verdict == Verdict::Unknown && waited_too_long(incident, now);
            return unseen.then(|| escalate(incident, snapshot, "whether it still fails could not be seen for a day"));
        }
    } else if snapshot.verdict != Verdict::Fail {
        // Cured before its last step was needed, or not to be seen: proof is what counts now.
        return proof::verifying(timers, snapshot, incident, now);
    }
    if let Some(reason) = snapshot.ladder_unknown.as_ref().filter(|_| incident.step == 0) {
        return waited_too_long(incident, now)
            .then(|| escalate(incident, snapshot, &format!("wbd cannot choose an action: {reason}")));
    }
    let Some(plan) = next_rung(snapshot, incident) else {
        // What it became meanwhile may be over soon, a stop by an administrator for instance: no person is called for
        // that.
        if incident.step == 0 && !has_lasted(timers, snapshot, now) {
            return None;
        }
        let reason =
            if snapshot.ladder.is_empty() { "wbd has no action for this case" } else { "wbd has tried every step" };
        return Some(escalate(incident, snapshot, reason));
    };
    let plan = approval::as_shown(Some(incident), plan);
    let waits = snapshot.windows.get(&plan.rung).copied();
    // A ledger of before may not hold the plan: then what was done is judged as it stands.
    let Some(action) = plan.steps.get(incident.step).cloned() else {
        return proof::verifying(timers, snapshot, incident, now);
    };
    let want = ActionRequest {
        incident: incident.id,
        key: incident.key.clone(),
        playbook: incident.playbook.clone(),
        plan,
        step: incident.step,
        undoes: None,
        action,
        attempts: snapshot.attempts,
        waits,
    };
    ask(state, incident, settings, now, want, snapshot)
}

/// It fails in the same way for as long as that has to last.
fn has_lasted(timers: &Timers, snapshot: &CheckSnapshot, now: &Now) -> bool {
    timers.failing_since(&snapshot.key).is_some_and(|since| now.boot_ms.saturating_sub(since) >= snapshot.hold_ms)
}

/// A consequence whose cause fails: nothing is done for it.
fn behind(state: &State, snapshot: &CheckSnapshot, incident: &Incident, cause: &CheckKey, now: &Now) -> Option<Step> {
    if let Some(cause) = state.open.get(cause) {
        return Some(write(incident.subject(), Body::Suppressed { by: *cause }));
    }
    if state.latched.contains(cause) {
        return Some(close(incident, Closing::Subsumed));
    }
    // Only suspected so far: it is opened soon, or goes away.
    waited_too_long(incident, now).then(|| escalate(incident, snapshot, &format!("its cause does not end: {cause}")))
}

/// After a reboot the waiting begins again: nobody could answer meanwhile.
fn waited_too_long(incident: &Incident, now: &Now) -> bool {
    let for_window = incident.held().is_some_and(|held| held.guard == Guard::Window);
    let limit_ms = if for_window { WINDOW_TIMEOUT_MS } else { GATE_TIMEOUT_MS };
    now.since(&incident.since.boot, incident.since.boot_ms).unwrap_or(now.boot_ms) >= limit_ms
}

/// Asks the guards; a no is written when it changes, and ends the incident where waiting is no use.
fn ask(
    state: &State,
    incident: &Incident,
    settings: &Settings,
    now: &Now,
    want: ActionRequest,
    snapshot: &CheckSnapshot,
) -> Option<Step> {
    match guard::check(state, settings, now, &want) {
        Ok(()) => Some(Step::Act(Box::new(want))),
        Err(refusal) => refused(incident, snapshot, now, refusal),
    }
}

fn refused(incident: &Incident, snapshot: &CheckSnapshot, now: &Now, refusal: Refusal) -> Option<Step> {
    if is_news(incident, now, &refusal) {
        return Some(write(incident.subject(), Body::Refused(refusal)));
    }
    match refusal.guard {
        Guard::Attempts | Guard::Denied => Some(escalate(incident, snapshot, &refusal.reason)),
        // Its one try would be refused.
        Guard::Suspended if incident.attempts >= snapshot.attempts.max => {
            Some(escalate(incident, snapshot, &refusal.reason))
        }
        Guard::Approval | Guard::Mode | Guard::Suspended if incident.escalated.is_none() => {
            Some(escalate(incident, snapshot, &refusal.reason))
        }
        // A person may not want to wait that long.
        Guard::Window if incident.escalated.is_none() && is_far(&refusal, now) => {
            Some(escalate(incident, snapshot, &refusal.reason))
        }
        Guard::Hold
        | Guard::Mode
        | Guard::Approval
        | Guard::Suspended
        | Guard::HostBudget
        | Guard::Backoff
        | Guard::Conflict
        | Guard::Window
        | Guard::Ledger
        | Guard::Unseen
        | Guard::Reach => (waited_too_long(incident, now) && incident.escalated.is_none())
            .then(|| escalate(incident, snapshot, &refusal.reason)),
    }
}

/// Another guard says no than before, or the moment that it named has passed and it names a later one.
fn is_news(incident: &Incident, now: &Now, refusal: &Refusal) -> bool {
    let Some(held) = incident.held().filter(|held| held.guard == refusal.guard) else { return true };
    let passed = incident.changed.boot != now.boot || held.until_ms.is_none_or(|until_ms| until_ms <= now.boot_ms);
    refusal.until_ms.is_some() && passed
}

fn is_far(refusal: &Refusal, now: &Now) -> bool {
    refusal.until_ms.is_none_or(|until_ms| until_ms.saturating_sub(now.boot_ms) > GATE_TIMEOUT_MS)
}

fn escalate(incident: &Incident, snapshot: &CheckSnapshot, reason: &str) -> Step {
    if incident.escalated.is_some() {
        return close(incident, Closing::HandedOver);
    }
    write(incident.subject(), Body::Escalated { reason: reason.to_owned(), guide: snapshot.guide.clone() })
}
