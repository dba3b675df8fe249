//! An operator's yes and no to what waits: each is to exactly what was shown, and to nothing that is over. Judges no plan.
use std::collections::VecDeque;

use wbd_engine::guard::approval;
use wbd_engine::round;
use wbd_engine::state::Incident;
use wbd_model::action::{Action, Change};
use wbd_model::control::Response;
use wbd_model::entry::Body;
use wbd_model::incident::{IncidentId, Phase};
use wbd_model::name::PlaybookName;
use wbd_model::plan::{Plan, Shown};
use wbd_model::settings::Healing;
use wbd_probes::clock::now;

use crate::requests::{done, refused};
use crate::supervisor::Supervisor;

/// Plans that were shown and may still be approved; older ones have to be shown again.
const SHOWN: usize = 32;

/// The plans that were shown last, each under its digest.
#[derive(Debug, Default)]
pub(crate) struct ShownPlans(VecDeque<(String, Shown)>);

impl ShownPlans {
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

impl Supervisor {
    /// The plan that an incident waits to do.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn waiting_plan(&self, id: IncidentId) -> Result<(Plan, usize), String> {
        let incident = self.open_incident(id)?;
        let look = self.look(&incident.key, &self.causes());
        let look = look.ok_or_else(|| format!("the check of {id} is gone or was not looked at yet; try again"))?;
        Ok((round::next_plan(&look, incident)?, incident.step))
    }

    /// What a deed changes, with what the hands cannot tell: whether the agent runs.
    pub(crate) fn seen_before(&self, action: &Action, mut changes: Vec<Change>) -> Vec<Change> {
        if action.on_agent().concerns() {
            let state = if self.agent_process().is_some() { "running" } else { "not running" };
            changes.iter_mut().for_each(|change| change.before = Some(state.to_owned()));
        }
        changes
    }

    /// The answer to a preview, which an approval may name from now on.
    pub(crate) fn show(&mut self, id: IncidentId, plan: Plan, changes: Vec<Vec<Change>>) -> Response {
        let shown = Shown { plan, changes };
        let digest = approval::digest(id, &shown);
        let (plan, changes) = (shown.plan.clone(), shown.changes.concat());
        self.shown.keep(&digest, shown);
        Response::Preview { plan, changes, digest }
    }

    /// Yes, to what was shown under this digest.
    pub(crate) fn approve(&mut self, id: IncidentId, digest: Option<&str>, who: &str) -> Response {
        let shown = self.waits(id).and_then(|()| self.may_act(id)).and_then(|()| self.shown_now(id, digest));
        match shown {
            Ok(shown) => self.say_yes(id, Some(Box::new(shown)), who),
            Err(why) => refused(why),
        }
    }

    /// Yes, to whatever the playbook leads to: it was asked for by hand.
    pub(crate) fn approve_unseen(&mut self, id: IncidentId, who: &str) -> Response {
        match self.waits(id).and_then(|()| self.may_act(id)) {
            Ok(()) => self.say_yes(id, None, who),
            Err(why) => refused(why),
        }
    }

    fn say_yes(&mut self, id: IncidentId, shown: Option<Box<Shown>>, who: &str) -> Response {
        let Some(incident) = self.memory.state.incidents.get(&id) else { return refused(format!("{id} is over")) };
        let key = incident.key.clone();
        // Said twice it is still one yes.
        if !(incident.approved && incident.denied.is_none() && incident.shown == shown) {
            let body = Body::Approved { who: who.to_owned(), shown };
            self.memory.write(&now(), incident.subject(), body);
        }
        self.hasten_check(&key, now().boot_ms);
        self.told(format!("{id} approved; wbdctl incidents show {id} tells what becomes of it"))
    }

    /// No.
    pub(crate) fn deny(&mut self, id: IncidentId, who: &str) -> Response {
        if let Err(why) = self.waits(id) {
            return refused(why);
        }
        let Some(incident) = self.memory.state.incidents.get(&id) else { return refused(format!("{id} is over")) };
        if let Some(who) = &incident.denied {
            return done(format!("{id} was denied by {who} already"));
        }
        let (about, key) = (incident.subject(), incident.key.clone());
        self.memory.write(&now(), about, Body::Denied { who: who.to_owned() });
        self.hasten_check(&key, now().boot_ms);
        self.told(format!("{id} denied"))
    }

    /// What was shown under a digest, if it is still what would be done.
    fn shown_now(&self, id: IncidentId, digest: Option<&str>) -> Result<Shown, String> {
        let again = format!("look at it again: wbdctl approve {id}");
        let digest = digest.ok_or_else(|| format!("the yes does not name what was shown; {again}"))?;
        let known = self.shown.of(digest).ok_or_else(|| format!("what was shown for {id} is too long ago; {again}"))?;
        if approval::digest(id, known) != digest {
            return Err(format!("the yes is to another incident's plan; {again}"));
        }
        let (plan, _) = self.waiting_plan(id)?;
        match approval::other_plan(&known.plan, &plan) {
            Some(other) => Err(format!("what {id} would change is no longer what was shown: {other}; {again}")),
            None => Ok(known.clone()),
        }
    }

    fn open_incident(&self, id: IncidentId) -> Result<&Incident, String> {
        let incident = self.memory.state.incidents.get(&id);
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
        self.acts(&self.open_incident(id)?.playbook)
    }

    /// Whether a yes could lead to a deed now: one that is kept for another mode would be done much later, unasked.
    pub(crate) fn acts(&self, playbook: &PlaybookName) -> Result<(), String> {
        match self.loaded.settings.healing_for(playbook.as_str()) {
            Healing::Observe => Err(format!(
                "healing is observe, so nothing is done by {playbook}; set approve or auto in wbd.yaml, then wbdctl reload --wait"
            )),
            Healing::Approve | Healing::Auto => Ok(()),
        }
    }

    /// Whether a word on an incident has anything to be for.
    fn waits(&self, id: IncidentId) -> Result<(), String> {
        let does = match &self.open_incident(id)?.phase {
            Phase::Gated { .. } => return Ok(()),
            Phase::Suppressed { by } => format!("is a consequence of {by}"),
            Phase::Acting { .. } => "is being done".to_owned(),
            Phase::Indeterminate { .. } => "is looked at, since what became of its deed is not known".to_owned(),
            Phase::Verifying | Phase::Probation => "was done and is being verified".to_owned(),
            Phase::RollingBack { .. } => "is being taken back".to_owned(),
            Phase::Closed { how } => format!("is over ({})", how.as_str()),
        };
        Err(format!("{id} does not wait for a word: it {does}; {LIST}"))
    }
}

const LIST: &str = "wbdctl incidents list shows what waits";
