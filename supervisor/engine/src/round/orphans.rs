//! What no look leads to: incidents whose check is gone, playbooks to suspend, actions without an outcome.
use std::collections::BTreeSet;

use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Outcome, Subject};
use wbd_model::incident::{Closing, Phase};
use wbd_model::time::Now;

use super::step::{LOST, Step, close, lost, write};
use super::timers::Timers;
use crate::guard::breaker;
use crate::state::State;

/// I12: so many failed verifications in a row suspend a playbook.
const FAILURES_TO_SUSPEND: u32 = 9;

/// Incidents whose check is gone (product removed, playbook masked), and playbooks to suspend.
pub(super) fn orphans(state: &State, timers: &mut Timers, known: &BTreeSet<CheckKey>, now: &Now) -> Vec<Step> {
    let mut steps = Vec::new();
    for incident in state.open.values().filter_map(|id| state.incidents.get(id)) {
        if known.contains(&incident.key) {
            timers.absent.remove(&incident.id);
            continue;
        }
        let absent_since = *timers.absent.entry(incident.id).or_insert(now.boot_ms);
        match incident.phase {
            Phase::Acting { action } | Phase::RollingBack { action } => {
                if timers.in_flight != Some(action) {
                    steps.push(lost(incident, action));
                }
            }
            Phase::Suppressed { .. }
            | Phase::Gated { .. }
            | Phase::Indeterminate { .. }
            | Phase::Verifying
            | Phase::Probation => {
                if now.boot_ms.saturating_sub(absent_since) >= ORPHAN_MS {
                    steps.push(close(incident, Closing::Noise));
                }
            }
            Phase::Closed { .. } => {}
        }
    }
    steps
}

/// Playbooks that keep failing or had their one try, and actions by hand whose outcome nobody wrote: both are said
/// once.
pub(super) fn loose_ends(state: &State, timers: &Timers) -> Vec<Step> {
    let mut steps = Vec::new();
    for (playbook, failures) in &state.failures {
        if *failures >= FAILURES_TO_SUSPEND && !state.suspended.contains_key(playbook) {
            let about = Subject { playbook: Some(playbook.clone()), ..Subject::default() };
            let reason = breaker::trip_reason(&format!("{failures} verifications in a row failed"), 0);
            steps.push(write(about, Body::Suspended { reason }));
        }
    }
    for (playbook, suspension) in &state.suspended {
        let about = Subject { playbook: Some(playbook.clone()), ..Subject::default() };
        steps.extend(breaker::after_trial(suspension).map(|body| write(about, body)));
    }
    for action in state.unresolved.iter().filter(|action| timers.in_flight != Some(**action)) {
        let detail = LOST.to_owned();
        let body = Body::Outcome { action: *action, result: Outcome::Unknown, detail, took_ms: 0 };
        steps.push(write(Subject::default(), body));
    }
    steps
}

/// A check that is not known for a moment (a reload, an update) comes back; one that is gone stays away.
const ORPHAN_MS: u64 = 120_000;
