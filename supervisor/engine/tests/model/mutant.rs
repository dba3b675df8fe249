//! The seeded bugs that the checker must catch, and where each one alters what the engine is told or what it
//! remembers. An unbroken trial goes through the same code with no mutant.
use std::borrow::Cow;

use wbd_engine::state::{Debit, Payer, State, Trial};
use wbd_model::action::Class;
use wbd_model::entry::{Body, Entry, Outcome};
use wbd_model::incident::Phase;
use wbd_model::settings::{BudgetShare, Settings};
use wbd_model::time::Now;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// An action is debited when its outcome is known.
    DebitAtOutcome,
    /// Everything is measured on the wall clock.
    WallClockWindow,
    /// A boot begins with a full budget.
    NoCarryOver,
    /// An action without an outcome is done again at the next start.
    RedoOnResume,
    /// The executor begins with an action whenever it comes to it.
    NoStartDeadline,
    /// A debit lives as long as the window, and not the start deadline more.
    ShortDebit,
    /// With a full disk the action is done all the same.
    NoIntent,
    /// What cannot be proved undone is tried again.
    RepeatsUnprovable,
    /// Incidents do not keep each other off.
    NoConflict,
    /// No look just before the intent.
    StaleTrigger,
    /// The lowest rung is always allowed again.
    ForgetsRung,
    /// Attempts are counted from each verdict on.
    ForgetsAttempts,
    /// Nothing is captured before an action that can be taken back.
    NoCapture,
    /// A rollback is itself taken back.
    RollsBackRollbacks,
    /// The operator's stop does not survive a crash.
    VolatileHold,
    /// Two checks that explain each other.
    MutualCauses,
    /// Failed verifications are not counted.
    ForgetsFailures,
    /// A supervisor that starts while its disk is full begins with an empty state.
    EmptyStart,
    /// How long a fault is seen is measured on the wall clock.
    HeldByWall,
    /// Nobody remembers who has the one try of a suspended playbook.
    SecondTrial,
    /// A boot begins with no playbook suspended.
    ForgetsTrip,
    /// The pause of a suspended playbook never doubles.
    SamePause,
    /// The window is asked when the action is wanted, and not just before it.
    WindowAskedOnce,
    /// The windows are read in universal time.
    WindowInUtc,
    /// Whoever comes first gets all of the budget.
    NoShares,
    /// A new ledger file lacks this part of the state.
    RotationForgets(&'static str),
}

/// Adds a record to the state, as the mutant would.
pub(crate) fn apply(mutant: Option<Mutant>, state: &mut State, entry: &Entry) {
    if mutant == Some(Mutant::NoCarryOver) && state.boot.as_ref() != Some(&entry.at.boot) {
        state.debits.clear();
    }
    let rung_before = entry.subject.incident.and_then(|id| state.incidents.get(&id)).map(|incident| incident.rung);
    state.apply(entry);
    match mutant {
        Some(Mutant::DebitAtOutcome) => debit_at_outcome(state, entry),
        Some(Mutant::RepeatsUnprovable) if matches!(entry.body, Body::Outcome { .. }) => {
            if let (Some(incident), Some(rung)) = (entry.subject.incident, rung_before) {
                state.incidents.entry(incident).and_modify(|incident| incident.rung = rung);
            }
        }
        Some(Mutant::ForgetsRung) => state.incidents.values_mut().for_each(|incident| incident.rung = 0),
        Some(Mutant::ForgetsAttempts) if matches!(entry.body, Body::Verdict { .. }) => {
            state.attempts.clear();
            state.incidents.values_mut().for_each(|incident| incident.attempts = 0);
        }
        Some(Mutant::ForgetsFailures) => state.failures.clear(),
        Some(Mutant::RollsBackRollbacks) => {
            let Body::Intent(intent) = &entry.body else { return };
            let Some(incident) = entry.subject.incident.and_then(|id| state.incidents.get_mut(&id)) else { return };
            if let (Some(_), Some(undo)) = (intent.undoes, &intent.undo) {
                incident.rollback.push((intent.action_id, undo.clone()));
            }
        }
        _ => {}
    }
}

fn debit_at_outcome(state: &mut State, entry: &Entry) {
    match &entry.body {
        Body::Intent(intent) if intent.class >= Class::A2 => {
            state.debits.pop();
        }
        Body::Outcome { action, result: Outcome::Done | Outcome::Failed, .. } => {
            let mut intents = state.incidents.values().filter_map(|incident| incident.intent.as_ref());
            if let Some(intent) = intents.find(|intent| intent.action_id == *action && intent.class >= Class::A2) {
                let payer = Payer::of(&intent.action, entry.subject.target.as_ref());
                state.debits.push(Debit { at_ms: entry.at.boot_ms, payer });
            }
        }
        _ => {}
    }
}

/// The settings as round and guards see them; `late` is the last asking just before the intent.
pub(crate) fn settings(mutant: Option<Mutant>, settings: &Settings, late: bool) -> Cow<'_, Settings> {
    let mut seen = Cow::Borrowed(settings);
    match mutant {
        Some(Mutant::WindowAskedOnce) if late => seen.to_mut().maintenance = None,
        Some(Mutant::NoShares) => {
            let budget = &mut seen.to_mut().budget;
            let share = |all| BudgetShare { per_hour: Some(all), per_day: Some(all) };
            (budget.agent_reserve, budget.product_limit) = (share(0), share(u32::MAX));
        }
        Some(Mutant::WindowInUtc) => {
            let zone = seen.to_mut().maintenance.iter_mut().map(|maintenance| &mut maintenance.zone);
            zone.for_each(|zone| "Etc/UTC".clone_into(zone));
        }
        _ => {}
    }
    seen
}

/// The state as round and guards see it.
pub(crate) fn view<'a>(mutant: Option<Mutant>, state: &'a State, now: &Now) -> Cow<'a, State> {
    let mut seen = Cow::Borrowed(state);
    match mutant {
        Some(Mutant::NoCarryOver) if state.boot.as_ref() != Some(&now.boot) => seen.to_mut().debits.clear(),
        Some(Mutant::ShortDebit) => {
            let of_now = state.boot.as_ref() == Some(&now.boot);
            let age = |at_ms: u64| if of_now { now.boot_ms - at_ms } else { now.boot_ms };
            seen.to_mut().debits.retain(|debit| age(debit.at_ms) <= 3_600_000);
        }
        Some(Mutant::SecondTrial) => {
            for suspension in seen.to_mut().suspended.values_mut() {
                suspension.trial = suspension.trial.filter(|trial| !matches!(trial, Trial::UnderWay(_)));
            }
        }
        Some(Mutant::SamePause) => seen.to_mut().suspended.values_mut().for_each(|suspension| suspension.trips = 1),
        Some(Mutant::NoConflict) => {
            for incident in seen.to_mut().incidents.values_mut() {
                incident.undo.clear();
                if !matches!(incident.phase, Phase::Gated { .. }) {
                    incident.intent = None;
                }
            }
        }
        _ => {}
    }
    seen
}
