//! One deed at a time: look once more, capture, permit, record, act, write the outcome. Chooses nothing.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use tracing::{info, warn};
use wbd_actions::{Preview, Report as ActReport};
use wbd_engine::guard::{self, Permit, approval};
use wbd_engine::judge;
use wbd_engine::state::{ActionRequest, Captured, State};
use wbd_model::action::{Action, OnAgent};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::control::Response;
use wbd_model::entry::{Body, Outcome, Subject};
use wbd_model::incident::{ActionId, Guard, Phase, Refusal};
use wbd_model::observation::{Observation, Observations};
use wbd_model::plan::Plan;
use wbd_model::probe::Probe;
use wbd_probes::clock::now;

use crate::event::Event;
use crate::preview::Asked;
use crate::supervisor::Supervisor;

/// More than all the waits of any deed but a program's together.
const KERNEL_HOLDS: Duration = Duration::from_secs(90);
/// What changed just before a deed may change again at once: no faster than this.
const HANDS_FREE_MS: u64 = 100;

/// The deed under way.
#[derive(Debug)]
pub(crate) enum Deed {
    /// It is looked at once more, by the look of this number.
    Looking {
        /// What it is for.
        want: Box<ActionRequest>,
        /// The look.
        number: u64,
    },
    /// What it would change is looked at, by the look of this number.
    Previewing {
        /// The look.
        number: u64,
    },
    /// Its intent is on disk and it is being done.
    Acting {
        /// The deed.
        action: Action,
        /// The agent's process when it began.
        agent: Option<u32>,
    },
}

impl Deed {
    /// Whether it is being done already.
    pub(crate) fn is_acting(&self) -> bool {
        matches!(self, Self::Acting { .. })
    }

    /// Whether the agent's unit starts or stops because of it.
    pub(crate) fn touches_agent(&self) -> bool {
        matches!(self, Self::Acting { action, .. } if action.on_agent().concerns())
    }

    /// Whether it stops the agent's unit for good.
    pub(crate) fn stops_agent(&self) -> bool {
        matches!(self, Self::Acting { action, .. } if action.on_agent() == OnAgent::Stops)
    }

    /// Whether this process of the agent ends because of it. One that was not known when it began may be it.
    pub(crate) fn ends_agent(&self, pid: i64) -> bool {
        match self {
            Self::Looking { .. } | Self::Previewing { .. } => false,
            Self::Acting { action, agent } => {
                action.on_agent().ends() && agent.is_none_or(|agent| i64::from(agent) == pid)
            }
        }
    }
}

impl Supervisor {
    /// Begins with the deed that a turn asked for, unless one is under way.
    pub(crate) fn begin(&mut self, want: ActionRequest) {
        if self.deed.is_some() || self.failed_just_now(want.incident) {
            return;
        }
        if let Some(reason) = self.ledger_forbids(&want.action) {
            let about = about(&want);
            self.refuse(about, Refusal { guard: Guard::Ledger, reason, until_ms: None });
            return;
        }
        if let Some(reason) = self.beyond_reach(&want) {
            // A no of its own first, so that the hand-over waits for no word.
            self.refuse(about(&want), Refusal { guard: Guard::Reach, reason: reason.clone(), until_ms: None });
            self.hand_over(&want, reason);
            return;
        }
        // What was captured is put back whatever is seen now.
        if want.undoes.is_some() {
            self.prepare(want, Observations::new());
            return;
        }
        let Some(bound) = self.checks.get(&want.key).map(|check| check.bound.clone()) else { return };
        let number = self.relook(&bound);
        self.deed = Some(Deed::Looking { want: Box::new(want), number });
    }

    /// A step of its rung that is not for our hands. A rung of which a later step cannot be done is not begun.
    fn beyond_reach(&self, want: &ActionRequest) -> Option<String> {
        let steps = want.plan.steps.iter().skip(want.step).filter(|_| want.undoes.is_none());
        steps.chain([&want.action]).find_map(|action| self.hands.beyond(action))
    }

    /// The hands are free: whoever waits for them is looked at again.
    fn free_hands(&mut self) {
        self.deed = None;
        let state = &self.memory.state;
        let waiting: Vec<CheckKey> = state.open.keys().filter(|key| waits_for_hands(state, key)).cloned().collect();
        let soon_ms = now().boot_ms + HANDS_FREE_MS;
        for key in waiting {
            self.hasten_check(&key, soon_ms);
        }
    }

    /// An operator's own deed comes before one that has not begun: that one is given up and asked for again.
    pub(crate) fn give_up_looking(&mut self) {
        if self.deed.as_ref().is_some_and(|deed| !deed.is_acting()) {
            self.free_hands();
        }
    }

    /// The last look before the deed came back.
    pub(crate) fn go_on(&mut self, looked: u64, answers: BTreeMap<Probe, Observation>) {
        let mut want = match self.deed.take() {
            Some(Deed::Looking { want, number }) if number == looked => *want,
            // Given up meanwhile.
            other => {
                self.deed = other;
                return;
            }
        };
        match self.still_wanted(&mut want, &answers) {
            Ok(seen) => self.prepare(want, seen),
            Err(reason) => {
                info!(incident = %want.incident, action = want.action.name(), reason, "not done: things changed just before");
            }
        }
        if self.deed.is_none() {
            self.free_hands();
        }
    }

    /// Captures what the deed will change.
    fn prepare(&mut self, want: ActionRequest, seen: Observations) {
        self.relooks += 1;
        let number = self.relooks;
        self.deed = Some(Deed::Previewing { number });
        self.ask_preview(want.action.clone(), Asked::ActionRequest { want: Box::new(want), seen, number });
    }

    /// It is captured.
    pub(crate) fn prepared(
        &mut self,
        want: ActionRequest,
        seen: Observations,
        number: u64,
        preview: Result<Preview, String>,
    ) {
        // Given up meanwhile.
        if !matches!(self.deed, Some(Deed::Previewing { number: asked }) if asked == number) {
            return;
        }
        self.deed = None;
        self.ask_guards(want, seen, preview);
        if self.deed.is_none() {
            self.free_hands();
        }
    }

    /// Asks the guards again, and begins.
    fn ask_guards(&mut self, want: ActionRequest, seen: Observations, preview: Result<Preview, String>) {
        let about = about(&want);
        let preview = match preview {
            Ok(preview) => preview,
            Err(error) => {
                self.cannot_be_told(&want, about, &error);
                return;
            }
        };
        // A hold file that came just now wins, between two steps of a rung too.
        self.see_holds();
        let changes = self.seen_before(&want.action, preview.changes);
        let captured = Captured { changes, undo: preview.undo, before: seen };
        match guard::permit(&self.memory.state, &self.loaded.settings, &now(), want, captured) {
            Ok(permit) => self.act(permit, None),
            Err(refusal) => self.refuse(about, refusal),
        }
    }

    /// I17: without a ledger that can be written only restarts of the agent, and only from the reserve.
    fn ledger_forbids(&self, action: &Action) -> Option<String> {
        if self.memory.degraded.is_empty() {
            return None;
        }
        let restarts = action.on_agent().starts();
        (!restarts || self.memory.reserve_left() == 0).then(|| self.memory.degraded.clone())
    }

    /// I6: the trigger must still be true, and lead to the same deed. Its values are those of this last look:
    /// on a busy host they differ at every look, and waiting for two that agree would never end.
    fn still_wanted(
        &self,
        want: &mut ActionRequest,
        answers: &BTreeMap<Probe, Observation>,
    ) -> Result<Observations, String> {
        let (seen, plan) = self.last_look(want, answers)?;
        let Some(plan) = plan else { return Ok(seen) };
        // A yes is to values too.
        let plan = approval::as_shown(self.memory.state.incidents.get(&want.incident), plan);
        match plan.steps.get(want.step).cloned() {
            Some(action) if same_deeds(&plan, &want.plan) => {
                want.action = action;
                want.plan = plan;
                Ok(seen)
            }
            Some(_) | None => Err("the plan has changed".to_owned()),
        }
    }

    /// What was seen, and for the first step of a rung the plan that it leads to.
    fn last_look(
        &self,
        want: &ActionRequest,
        answers: &BTreeMap<Probe, Observation>,
    ) -> Result<(Observations, Option<Plan>), String> {
        let check = self.checks.get(&want.key).ok_or("its check is gone")?;
        let now = now();
        let mut seen = Observations::new();
        for (name, probe) in &check.bound.probes {
            let answer = self.own_answer(probe, &now).or_else(|| answers.get(probe).cloned());
            seen.insert(name.clone(), answer.ok_or("a probe did not answer")?);
        }
        let judgement = judge::judge(&check.bound, &seen);
        if judgement.verdict == Verdict::Unknown {
            return Err(format!("could not be seen: {}", judgement.reason));
        }
        if want.step > 0 {
            return Ok((seen, None));
        }
        if judgement.verdict != Verdict::Fail {
            return Err(format!("the check says {} now", judgement.verdict.as_str()));
        }
        let mut from = 0;
        while let Some(plan) = wbd_engine::judge::plan::plan(&check.bound, &judgement, &seen, from)? {
            if plan.rung == want.plan.rung {
                return Ok((seen, Some(plan)));
            }
            from = plan.rung + 1;
        }
        Err("its rung does not apply any more".to_owned())
    }

    /// Writes the intent and does the deed; a supervisor that dies in between finds the intent.
    pub(crate) fn act(&mut self, permit: Permit, reply: Option<oneshot::Sender<Response>>) {
        let action = permit.intent().action.clone();
        let subject = permit.subject().clone();
        let recorded = match self.memory.record(&now(), permit) {
            Ok(recorded) => recorded,
            Err(reason) => {
                warn!(reason, action = action.name(), "nothing was done");
                if let Some(reply) = reply {
                    let _ = reply.send(Response::Refused { message: format!("nothing was done: {reason}") });
                }
                return;
            }
        };
        info!(id = %recorded.intent().action_id, action = action.name(), class = %action.class(), "acting");
        self.turns.in_flight = Some(recorded.intent().action_id);
        let (id, agent) = (recorded.intent().action_id, self.agent_process());
        self.deed = Some(Deed::Acting { action, agent: agent.map(|agent| agent.pid) });
        let (hands, events) = (Arc::clone(&self.hands), self.events.clone());
        let (loop_of, longest) = (Handle::current(), longest(&recorded.intent().action));
        tokio::spawn(async move {
            // On a thread of its own: disks that are slow, and programs that lie on dead mounts, hold up only this deed.
            let acting = spawn_blocking(move || loop_of.block_on(hands.act(recorded, &now(), agent)));
            // Without an answer the deed would stand in the way of every other one for ever.
            let report = match tokio::time::timeout(longest, acting).await {
                Ok(ended) => ended.unwrap_or_else(|error| broken_off(id, &error)),
                Err(_) => silent(id, longest),
            };
            // Nobody listens only when the supervisor stops; the intent without outcome is found at its start.
            let _ = events.send(Event::Acted { subject, report, reply }).await;
        });
    }

    /// A deed ended.
    pub(crate) fn acted(&mut self, subject: Subject, report: ActReport, reply: Option<oneshot::Sender<Response>>) {
        self.asked_exit = match &self.deed {
            Some(Deed::Acting { action, agent }) if action.on_agent().ends() => *agent,
            Some(Deed::Acting { .. } | Deed::Looking { .. } | Deed::Previewing { .. }) | None => None,
        };
        let starts = self.deed.as_ref().is_some_and(|deed| deed.touches_agent() && !deed.stops_agent());
        let nameless = starts && report.job.is_none() && report.outcome != Outcome::Aborted;
        self.turns.in_flight = None;
        self.free_hands();
        self.own_job(report.job, nameless);
        if let Some(pid) = report.spawned {
            self.watch.follow(pid, &self.events);
        }
        if report.outcome != Outcome::Done {
            warn!(id = %report.action, outcome = report.outcome.as_str(), detail = report.detail, "the deed did not succeed");
        }
        let body = Body::Outcome {
            action: report.action,
            result: report.outcome,
            detail: report.detail.clone(),
            took_ms: report.took_ms,
        };
        let key = self.memory.state.incidents.values().find(|i| Some(i.id) == subject.incident).map(|i| i.key.clone());
        self.memory.write(&now(), subject, body);
        if let Some(key) = key {
            self.hasten_check(&key, now().boot_ms);
        }
        self.hasten_agent();
        if let Some(reply) = reply {
            let _ = reply.send(told(report.action, report.outcome, &report.detail));
        }
    }

    fn refuse(&mut self, about: Subject, refusal: Refusal) {
        let held = about.incident.and_then(|id| self.memory.state.incidents.get(&id)).and_then(|i| i.held().cloned());
        if held.is_none_or(|held| held.guard != refusal.guard) {
            self.memory.write(&now(), about, Body::Refused(refusal));
        }
    }
}

/// An incident that is ready to act and is held by nothing else.
fn waits_for_hands(state: &State, key: &CheckKey) -> bool {
    state.open_for(key).is_some_and(|incident| matches!(incident.phase, Phase::Gated { held: None }))
}

/// The same deeds of the same rung, whatever their values.
fn same_deeds(one: &Plan, other: &Plan) -> bool {
    let names = |plan: &Plan| plan.steps.iter().map(Action::name).collect::<Vec<_>>();
    one.digest == other.digest && one.rung == other.rung && one.approval == other.approval && names(one) == names(other)
}

fn broken_off(action: ActionId, error: &JoinError) -> ActReport {
    let detail = format!("bug: the deed broke off: {error}; please report it");
    ActReport { action, outcome: Outcome::Unknown, detail, spawned: None, job: None, took_ms: 0 }
}

/// Every deed ends by itself before this, unless the kernel holds it.
fn longest(action: &Action) -> Duration {
    Duration::from_millis(action.takes_ms()) + KERNEL_HOLDS
}

fn silent(action: ActionId, longest: Duration) -> ActReport {
    let seconds = longest.as_secs();
    let detail =
        format!("it did not end within {seconds} s, the kernel holds it; look for a dead mount or a stuck disk");
    ActReport { action, outcome: Outcome::Unknown, detail, spawned: None, job: None, took_ms: seconds * 1000 }
}

pub(crate) fn about(want: &ActionRequest) -> Subject {
    Subject {
        incident: Some(want.incident),
        code: Some(want.key.code.clone()),
        target: Some(want.key.target.clone()),
        playbook: Some(want.playbook.clone()),
    }
}

fn told(id: ActionId, outcome: Outcome, detail: &str) -> Response {
    match outcome {
        Outcome::Done => Response::Done { message: format!("{id}: {detail}") },
        Outcome::Failed | Outcome::Aborted | Outcome::Unknown => {
            Response::Refused { message: format!("{id} {}: {detail}", outcome.as_str()) }
        }
    }
}
