//! What must be reachable, so that "never" is not said of a world in which nothing happens: every phase, refusal,
//! closing and rung. A new variant makes the compiler ask for it here.
use std::sync::atomic::{AtomicU64, Ordering};

use wbd_engine::state::{Incident, State, Trial};
use wbd_model::entry::Body;
use wbd_model::incident::{Closing, Guard, Phase};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Goal {
    Suppressed,
    Gated,
    Acting,
    Indeterminate,
    Verifying,
    RollingBack,
    Probation,
    Healed,
    SelfHealed,
    Subsumed,
    HandedOver,
    Noise,
    Hold,
    Mode,
    Approval,
    Denied,
    HostBudget,
    Attempts,
    Backoff,
    Conflict,
    Suspended,
    Window,
    Ledger,
    Rung0,
    Rung1,
    Rung2,
    MidRung,
    Escalated,
    /// A suspended playbook has its one try.
    OneTry,
    Rearmed,
    TrippedAgain,
}

pub(crate) const ALL: [Goal; 31] = [
    Goal::Suppressed,
    Goal::Gated,
    Goal::Acting,
    Goal::Indeterminate,
    Goal::Verifying,
    Goal::RollingBack,
    Goal::Probation,
    Goal::Healed,
    Goal::SelfHealed,
    Goal::Subsumed,
    Goal::HandedOver,
    Goal::Noise,
    Goal::Hold,
    Goal::Mode,
    Goal::Approval,
    Goal::Denied,
    Goal::HostBudget,
    Goal::Attempts,
    Goal::Backoff,
    Goal::Conflict,
    Goal::Suspended,
    Goal::Window,
    Goal::Ledger,
    Goal::Rung0,
    Goal::Rung1,
    Goal::Rung2,
    Goal::MidRung,
    Goal::Escalated,
    Goal::OneTry,
    Goal::Rearmed,
    Goal::TrippedAgain,
];

/// What was reached anywhere in a trial. Beside its states: some of it passes within one turn.
#[derive(Debug, Default)]
pub(crate) struct Reached(AtomicU64);

impl Reached {
    pub(crate) fn note(&self, incident: &Incident) {
        let mid_rung = incident.is_mid_rung().then_some(Goal::MidRung);
        let escalated = incident.escalated.is_some().then_some(Goal::Escalated);
        let goals = [Some(phase(incident)), refused(incident), rung(incident), mid_rung, escalated];
        self.add(goals.into_iter().flatten());
    }

    pub(crate) fn note_record(&self, body: &Body, state: &State) {
        let under_way = |trial: Option<Trial>| trial.is_some_and(|trial| matches!(trial, Trial::UnderWay(_)));
        let one_try = state.suspended.values().any(|suspension| under_way(suspension.trial)).then_some(Goal::OneTry);
        let record = match body {
            Body::Rearmed {} => Some(Goal::Rearmed),
            Body::Suspended { reason } if reason.starts_with("its one try") => Some(Goal::TrippedAgain),
            _ => None,
        };
        self.add([one_try, record].into_iter().flatten());
    }

    fn add(&self, goals: impl Iterator<Item = Goal>) {
        let bits = goals.fold(0, |bits, goal| bits | 1 << goal as u32);
        self.0.fetch_or(bits, Ordering::Relaxed);
    }

    pub(crate) fn has(&self, goal: Goal) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << goal as u32) != 0
    }
}

fn phase(incident: &Incident) -> Goal {
    match &incident.phase {
        Phase::Suppressed { .. } => Goal::Suppressed,
        Phase::Gated { .. } => Goal::Gated,
        Phase::Acting { .. } => Goal::Acting,
        Phase::Indeterminate { .. } => Goal::Indeterminate,
        Phase::Verifying => Goal::Verifying,
        Phase::RollingBack { .. } => Goal::RollingBack,
        Phase::Probation => Goal::Probation,
        Phase::Closed { how } => match how {
            Closing::Healed => Goal::Healed,
            Closing::SelfHealed => Goal::SelfHealed,
            Closing::Subsumed => Goal::Subsumed,
            Closing::HandedOver => Goal::HandedOver,
            Closing::Noise => Goal::Noise,
            // Nobody waives anything in a trial yet.
            Closing::Waived => panic!("a waiver closes now: make it a goal"),
        },
    }
}

fn refused(incident: &Incident) -> Option<Goal> {
    Some(match incident.held()?.guard {
        Guard::Hold => Goal::Hold,
        Guard::Mode => Goal::Mode,
        Guard::Approval => Goal::Approval,
        Guard::Denied => Goal::Denied,
        Guard::HostBudget => Goal::HostBudget,
        Guard::Attempts => Goal::Attempts,
        Guard::Backoff => Goal::Backoff,
        Guard::Conflict => Goal::Conflict,
        Guard::Suspended => Goal::Suspended,
        Guard::Ledger => Goal::Ledger,
        Guard::Window => Goal::Window,
        // What an action would change can always be told in a trial.
        Guard::Unseen => panic!("a look fails now: make it a goal"),
        Guard::Reach => panic!("an executor that does not reach is modelled now: make it a goal"),
    })
}

fn rung(incident: &Incident) -> Option<Goal> {
    let intent = incident.intent.as_ref().filter(|intent| intent.undoes.is_none())?;
    Some([Goal::Rung0, Goal::Rung1, Goal::Rung2][intent.rung])
}
