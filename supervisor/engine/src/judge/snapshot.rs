//! From one complete look of a check to the plain data that a turn works on. Judges and decides nothing.
use std::collections::BTreeMap;

use wbd_model::check::{CheckKey, Verdict};
use wbd_model::incident::Phase;
use wbd_model::lang::Lang;
use wbd_model::name::PlaybookName;
use wbd_model::observation::Observations;
use wbd_model::plan::{Attempts, Plan, Waits};

use super::verdict::{self, Judgement, Verification};
use super::{plan, words};
use crate::playbook::Bound;
use crate::state::Incident;

/// Everything that one check says at one moment: plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSnapshot {
    /// The failure and whose it is.
    pub key: CheckKey,
    /// Its playbook.
    pub playbook: PlaybookName,
    /// Digest of the playbook's text.
    pub digest: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The true case.
    pub case: Option<String>,
    /// How long that case must hold before it is an incident, milliseconds.
    pub hold_ms: u64,
    /// What was seen, in words.
    pub evidence: Vec<String>,
    /// What was seen.
    pub seen: Observations,
    /// Rungs that fit the case, resolved, in order; empty where a person must act.
    pub ladder: Vec<Plan>,
    /// The windows that rungs wait for, by the rung.
    pub windows: BTreeMap<usize, Waits>,
    /// Why the ladder could not be resolved; then nothing is done.
    pub ladder_unknown: Option<String>,
    /// The verification, against the state before the action.
    pub cured: Verification,
    /// The verification must pass within this time, milliseconds.
    pub within_ms: u64,
    /// The verification must hold this long, milliseconds.
    pub verify_hold_ms: u64,
    /// The playbook's own budget.
    pub attempts: Attempts,
    /// The failing check that this one is a consequence of.
    pub cause: Option<CheckKey>,
    /// Steps for a person.
    pub guide: Vec<String>,
}

/// A check, what was seen, and what it says.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The check.
    pub bound: &'a Bound,
    /// What it says.
    pub judgement: &'a Judgement,
    /// What was seen.
    pub seen: &'a Observations,
}

/// The snapshot for a turn; `incident` is the open one of this check, `cause` the failing check that explains it.
#[must_use]
pub fn of(seen: &Seen<'_>, incident: Option<&Incident>, cause: Option<CheckKey>) -> CheckSnapshot {
    let Seen { bound, judgement, seen } = *seen;
    let resolved = plan::ladder(bound, judgement, seen)
        .and_then(|ladder| Ok((plan::windows(bound, judgement, seen, &ladder)?, ladder)));
    let (windows, ladder, ladder_unknown) = match resolved {
        Ok((windows, ladder)) => (windows, ladder, None),
        Err(why) => (BTreeMap::new(), Vec::new(), Some(why)),
    };
    let before = incident.filter(|incident| awaits_proof(incident)).map(|incident| &incident.before);
    let cured = before.map_or(Verification::Failed, |before| verdict::cured(bound, seen, before));
    let mut evidence = judgement.evidence.clone();
    if let Some(before) = before {
        evidence = verdict::proof(bound, seen, before);
    }
    let case = judgement.case.as_deref().or(incident.map(|incident| incident.case.as_str()));
    let words = case.map(|case| words::words(bound, case, seen, &judgement.lets, Lang::En)).unwrap_or_default();
    CheckSnapshot {
        key: bound.key.clone(),
        playbook: bound.playbook.clone(),
        digest: bound.digest.clone(),
        verdict: judgement.verdict,
        case: judgement.case.clone(),
        hold_ms: hold_ms(bound, judgement),
        evidence,
        seen: seen.clone(),
        ladder,
        windows,
        ladder_unknown,
        cured,
        within_ms: bound.verify_within.as_ms(),
        verify_hold_ms: bound.verify_hold.as_ms(),
        attempts: bound.attempts,
        cause,
        guide: words.guide,
    }
}

/// How long the present case must hold before it is an incident, milliseconds.
#[must_use]
pub fn hold_ms(bound: &Bound, judgement: &Judgement) -> u64 {
    match (&judgement.case, judgement.verdict) {
        (Some(case), Verdict::Fail) => bound.held_for(case).as_ms(),
        (_, Verdict::Pass | Verdict::Skip | Verdict::Unknown | Verdict::Warn | Verdict::Fail) => 0,
    }
}

fn awaits_proof(incident: &Incident) -> bool {
    match incident.phase {
        Phase::Verifying | Phase::Indeterminate { .. } | Phase::Probation => true,
        Phase::Gated { .. } => incident.step > 0,
        Phase::Suppressed { .. } | Phase::Acting { .. } | Phase::RollingBack { .. } | Phase::Closed { .. } => false,
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
