//! The owner of an operator's approval or denial of what waits: each is of exactly what was shown, and of nothing that
//! is over. Judges no plan.
use std::collections::VecDeque;

use wbd_engine::guard::approval;
use wbd_engine::judge::plan;
use wbd_engine::round;
use wbd_engine::state::{Incident, State};
use wbd_model::action::{Action, Change};
use wbd_model::check::CheckKey;
use wbd_model::entry::Body;
use wbd_model::incident::{IncidentId, Phase};
use wbd_model::name::{PlaybookName, TargetName};
use wbd_model::plan::{Plan, Shown};
use wbd_model::settings::{Healing, Settings};
use wbd_model::time::Now;

use crate::event::CheckEvent;
use crate::follow::Follow;
use crate::look::checks::Checks;

/// Plans that were shown and may still be approved; older ones have to be shown again.
const SHOWN: usize = 32;

/// The plans that were shown last, each under its digest.
#[derive(Debug, Default)]
pub(crate) struct Approvals(VecDeque<(String, Shown)>);

impl Approvals {
    fn keep(&mut self, digest: &str, shown: Shown) {
        self.0.retain(|(old, _)| old != digest);
        self.0.push_back((digest.to_owned(), shown));
        if self.0.len() > SHOWN {
            self.0.pop_front();
        }
    }

    fn of(&self, digest: &str) -> Option<&Shown> {
        self.0.iter().find(|(old, _)| old == digest).map(|(_, shown)| shown)
    }
}

/// What an operator says to an incident that waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Decision<'a> {
    /// Do what was shown under this digest.
    Approve {
        /// The incident.
        incident: IncidentId,
        /// Of what was shown; `None`: nothing is named.
        digest: Option<&'a str>,
    },
    /// Do nothing.
    Deny {
        /// The incident.
        incident: IncidentId,
    },
}

/// What follows from a decision, and what to say; or why it is refused.
pub(crate) type Decided = Result<(Vec<Follow>, String), String>;

/// What decisions are about.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub(crate) checks: &'a Checks,
    pub(crate) state: &'a State,
    pub(crate) settings: &'a Settings,
    pub(crate) now: &'a Now,
}

impl About<'_> {
    /// The plan that an incident waits to do.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn waiting_plan(&self, id: IncidentId) -> Result<(Plan, usize), String> {
        let incident = self.open_incident(id)?;
        let causes = self.checks.causes(self.state, self.now.wall_ms);
        let look = self.checks.look(&incident.key, self.state, &causes);
        let look = look.ok_or_else(|| format!("the check of {id} is gone or was not checked yet; try again"))?;
        Ok((round::next_plan(&look, incident)?, incident.step))
    }

    /// What would be done next for a check, for `doctor --dry-run`, and how many of its steps are done: what its open
    /// incident goes on with, else the first rung that fits what was seen last.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn fix_plan(&self, key: &CheckKey) -> Result<(Plan, usize), String> {
        if let Some(incident) = self.state.open_for(key) {
            return self.waiting_plan(incident.id);
        }
        let check = self.checks.get(key).ok_or_else(|| format!("nothing here checks {key}"))?;
        let last = check.last.as_ref().ok_or_else(|| format!("{key} was not checked yet; try again"))?;
        let plan = plan::plan(&check.bound, &last.judgement, &last.seen, 0);
        plan.map_err(|reason| format!("the plan cannot be made: {reason}"))?
            .map(|plan| (plan, 0))
            .ok_or_else(|| format!("{key} has nothing that wbd could do as it was seen last"))
    }

    /// Yes, to whatever the playbook leads to: it was asked for by hand.
    pub(crate) fn approve_unseen(&self, id: IncidentId, who: &str) -> Decided {
        self.waits(id)?;
        self.may_act(id)?;
        self.approve_shown(id, None, who)
    }

    fn approve_shown(&self, id: IncidentId, shown: Option<Box<Shown>>, who: &str) -> Decided {
        let incident = self.open_incident(id)?;
        let mut follows = Vec::new();
        // Said twice it is still one approval.
        if !(incident.approved && incident.denied.is_none() && incident.shown == shown) {
            let body = Body::Approved { who: who.to_owned(), shown };
            follows.push(Follow::Write(incident.subject(), Box::new(body)));
        }
        follows.push(Follow::Check(CheckEvent::Now(incident.key.clone())));
        Ok((follows, format!("{id} approved; wbdctl incidents show {id} tells what becomes of it")))
    }

    fn open_incident(&self, id: IncidentId) -> Result<&Incident, String> {
        let incident = self.state.incidents.get(&id);
        let incident = incident.ok_or_else(|| format!("there is no incident {id}, or it is long over; {LIST}"))?;
        match &incident.phase {
            Phase::Closed { how } => Err(format!("{id} is over ({}); {LIST}", how.as_str())),
            Phase::Suppressed { .. }
            | Phase::Gated { .. }
            | Phase::Acting { .. }
            | Phase::Indeterminate { .. }
            | Phase::Verifying
            | Phase::RollingBack { .. }
            | Phase::Probation => Ok(incident),
        }
    }

    fn may_act(&self, id: IncidentId) -> Result<(), String> {
        let incident = self.open_incident(id)?;
        self.acts(&incident.playbook, &incident.key.target)
    }

    /// Whether an approval could lead to an action now: one that is kept for another mode would be done much later,
    /// unasked.
    pub(crate) fn acts(&self, playbook: &PlaybookName, target: &TargetName) -> Result<(), String> {
        match self.settings.healing_for(playbook.as_str(), target) {
            Healing::Observe => Err(format!(
                "healing is {}, so nothing is done by {playbook}; set approve or auto in wbd.yaml, then wbdctl reload --wait",
                self.settings.healing_words(playbook.as_str(), target)
            )),
            Healing::Approve | Healing::Auto => Ok(()),
        }
    }

    /// Whether a decision on an incident has anything to be for.
    fn waits(&self, id: IncidentId) -> Result<(), String> {
        let does = match &self.open_incident(id)?.phase {
            Phase::Gated { .. } => return Ok(()),
            Phase::Suppressed { by } => format!("is a consequence of {by}"),
            Phase::Acting { .. } => "is being done".to_owned(),
            Phase::Indeterminate { .. } => "is looked at, since what became of its action is not known".to_owned(),
            Phase::Verifying | Phase::Probation => "was done and is being verified".to_owned(),
            Phase::RollingBack { .. } => "is being taken back".to_owned(),
            Phase::Closed { how } => format!("is over ({})", how.as_str()),
        };
        Err(format!("{id} does not wait for an approval: it {does}; {LIST}"))
    }
}

impl Approvals {
    /// A whole plan was looked at: what to show, with its digest where it is of an incident; an approval may name that
    /// from now on.
    pub(crate) fn previewed(
        &mut self,
        of: Option<IncidentId>,
        plan: Plan,
        changes: Vec<Vec<Change>>,
        runs: impl Fn() -> bool,
    ) -> (Plan, Vec<Change>, String) {
        let seen = |(action, changes)| seen_before(&runs, action, changes);
        let changes: Vec<Vec<Change>> = plan.steps.iter().zip(changes).map(seen).collect();
        let all = changes.concat();
        let Some(incident) = of else { return (plan, all, String::new()) };
        let shown = Shown { plan: plan.clone(), changes };
        let digest = approval::digest(incident, &shown);
        self.keep(&digest, shown);
        (plan, all, digest)
    }

    /// An approval of what was shown under this digest, or a denial.
    pub(crate) fn on(&self, decision: Decision<'_>, about: &About<'_>, who: &str) -> Decided {
        match decision {
            Decision::Approve { incident, digest } => {
                about.waits(incident)?;
                about.may_act(incident)?;
                let shown = self.shown_now(incident, digest, about)?;
                about.approve_shown(incident, Some(Box::new(shown)), who)
            }
            Decision::Deny { incident } => {
                about.waits(incident)?;
                let open = about.open_incident(incident)?;
                if let Some(who) = &open.denied {
                    return Ok((Vec::new(), format!("{incident} was denied by {who} already")));
                }
                let body = Body::Denied { who: who.to_owned() };
                let follows =
                    [Follow::Write(open.subject(), Box::new(body)), Follow::Check(CheckEvent::Now(open.key.clone()))];
                Ok((follows.into(), format!("{incident} denied")))
            }
        }
    }

    /// What was shown under a digest, if it is still what would be done.
    fn shown_now(&self, id: IncidentId, digest: Option<&str>, about: &About<'_>) -> Result<Shown, String> {
        let again = format!("see it again: wbdctl approve {id}");
        let digest = digest.ok_or_else(|| format!("the approval does not name what was shown; {again}"))?;
        let known = self.of(digest).ok_or_else(|| format!("what was shown for {id} is too long ago; {again}"))?;
        if approval::digest(id, known) != digest {
            return Err(format!("the approval is of another incident's plan; {again}"));
        }
        let (plan, _) = about.waiting_plan(id)?;
        match approval::other_plan(&known.plan, &plan) {
            Some(other) => Err(format!("what {id} would change is no longer what was shown: {other}; {again}")),
            None => Ok(known.clone()),
        }
    }
}

/// What an action changes, with what the executor cannot tell: whether the agent runs.
pub(crate) fn seen_before(runs: impl Fn() -> bool, action: &Action, mut changes: Vec<Change>) -> Vec<Change> {
    if action.on_agent().concerns() {
        let state = if runs() { "running" } else { "not running" };
        changes.iter_mut().for_each(|change| change.before = Some(state.to_owned()));
    }
    changes
}

const LIST: &str = "wbdctl incidents list shows what waits";

#[cfg(test)]
#[path = "approvals_tests.rs"]
mod tests;
