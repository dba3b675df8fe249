//! The owner of what is done, one action at a time: look once more, capture, permit, record, act, write the outcome.
//! Chooses nothing.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use tracing::{info, warn};
use wbd_actions::{Executor, Preview, Report};
use wbd_engine::guard;
use wbd_engine::state::{ActionRequest, Captured, State};
use wbd_ledger::Recorded;
use wbd_model::action::Action;
use wbd_model::check::CheckKey;
use wbd_model::control::{Offer, Response};
use wbd_model::entry::{Body, Outcome, Subject};
use wbd_model::incident::{ActionId, Guard, Phase, Refusal};
use wbd_model::observation::{Observation, Observations};
use wbd_model::plan::Plan;
use wbd_model::probe::Probe;
use wbd_model::time::Now;
use wbd_probes::{Sighting, clock};

use super::before::{about, cannot_be_told, failed_just_now, hand_over, ledger_forbids, refuse, request, still_wanted};
use super::preview::{PlanPreview, Previews};
use crate::event::{ActEvent, AgentEvent, Asked, ByHand, CheckEvent, Event};
use crate::follow::Follow;
use crate::talk::answer::{UNDER_WAY, done, refused};
use crate::talk::approvals::seen_before;
use crate::talk::busy::{BusyLook, Installers, installers};
use crate::view::View;

/// More than all the waits of any action but a program's together.
const KERNEL_HOLDS: Duration = Duration::from_secs(90);
/// What changed just before an action may change again at once: no faster than this.
const EXECUTOR_FREE_MS: u64 = 100;

type Reply = Option<oneshot::Sender<Response>>;

/// The action under way.
#[derive(Debug)]
enum ActionRun {
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
    Acting,
}

impl ActionRun {
    /// Whether it is being done already.
    fn is_acting(&self) -> bool {
        matches!(self, Self::Acting)
    }
}

/// One action at a time, from the last look before it to its outcome.
#[derive(Debug)]
pub(crate) struct ActionRunner {
    executor: Arc<Executor>,
    previews: Previews,
    busy: BusyLook,
    events: Sender<Event>,
    run: Option<ActionRun>,
    /// Last looks before an action are numbered, so that one that was given up is not taken for a later one.
    looks: u64,
}

impl ActionRunner {
    pub(crate) fn new(executor: Executor, busy: BusyLook, events: Sender<Event>) -> Self {
        Self { executor: Arc::new(executor), previews: Previews::default(), busy, events, run: None, looks: 0 }
    }

    /// An action is wanted, was looked at once more, is on record, or ended.
    pub(crate) fn on(&mut self, event: ActEvent, view: &View<'_>, now: &Now) -> Vec<Follow> {
        match event {
            ActEvent::Wanted(want) => self.begin(*want, view, now),
            ActEvent::Relooked { number, answers } => self.go_on(number, &answers, view, now),
            ActEvent::Previewed { of, preview, busy } => match *of {
                Asked::ActionRequest { want, seen, number } => {
                    self.prepared(*want, seen, number, (preview, busy), view, now)
                }
                Asked::ByHand(asked) => self.by_hand_previewed(asked, preview, view, now),
            },
            ActEvent::HoldsSeen { want, seen, preview } => ask_guards(*want, seen, preview, view, now),
            ActEvent::Recorded { subject, recorded, reply } => self.act(subject, *recorded, reply, view),
            ActEvent::NotRecorded { action, reason, reply } => {
                warn!("{action} was not done: {reason}");
                if let Some(reply) = reply {
                    let _ = reply.send(refused(format!("nothing was done: {reason}")));
                }
                vec![Follow::Act(ActEvent::Idle)]
            }
            ActEvent::Ended { subject, report, reply } => self.ended(subject, report, reply, view, now),
            ActEvent::ByHand(asked) => {
                self.by_hand(asked);
                Vec::new()
            }
            ActEvent::PlanAsked { incident, plan, begun, reply } => {
                let offer = self.offer(&plan, begun, view, now);
                let asked = PlanPreview { incident, plan: *plan, begun, offer, reply };
                self.previews.look_at_plan(Arc::clone(&self.executor), self.events.clone(), asked);
                Vec::new()
            }
            ActEvent::GiveUp if self.run.is_some() && !self.is_acting() => self.executor_free(view, now),
            ActEvent::Idle if self.run.is_none() => self.executor_free(view, now),
            ActEvent::GiveUp | ActEvent::Idle => Vec::new(),
        }
    }

    /// Whether one is being done, or looked at before it.
    pub(crate) fn is_busy(&self) -> bool {
        self.run.is_some()
    }

    /// Whether one is being done.
    pub(crate) fn is_acting(&self) -> bool {
        self.run.as_ref().is_some_and(ActionRun::is_acting)
    }

    /// Begins with the action that a turn asked for, unless one is under way.
    fn begin(&mut self, want: ActionRequest, view: &View<'_>, now: &Now) -> Vec<Follow> {
        if self.run.is_some() || failed_just_now(view.state(), want.incident, now) {
            return Vec::new();
        }
        if let Some(reason) = ledger_forbids(view, &want.action) {
            let refusal = Refusal { guard: Guard::Ledger, reason, until_ms: None };
            return refuse(view.state(), about(&want), refusal).into_iter().collect();
        }
        if let Some(reason) = self.beyond_reach(&want) {
            // A refusal of its own first, so that the hand-over waits for no approval.
            let refusal = Refusal { guard: Guard::Reach, reason: reason.clone(), until_ms: None };
            let refusal = refuse(view.state(), about(&want), refusal);
            return refusal.into_iter().chain(hand_over(&want, reason, view)).collect();
        }
        // What was captured is put back whatever is seen now.
        if want.undoes.is_some() {
            self.prepare(want, Observations::new(), view);
            return Vec::new();
        }
        let Some(bound) = view.checks.get(&want.key).map(|check| check.bound.clone()) else { return Vec::new() };
        self.looks += 1;
        self.run = Some(ActionRun::Looking { want: Box::new(want), number: self.looks });
        vec![Follow::Check(CheckEvent::Again { number: self.looks, bound: Box::new(bound) })]
    }

    /// A step of its rung that is beyond our executor. A rung of which a later step cannot be done is not begun.
    fn beyond_reach(&self, want: &ActionRequest) -> Option<String> {
        let steps = want.plan.steps.iter().skip(want.step).filter(|_| want.undoes.is_none());
        steps.chain([&want.action]).find_map(|action| self.executor.beyond(action))
    }

    /// What the guards say to a plan at this moment, each as it would be asked if the plan were begun; `None`: its check
    /// is gone.
    fn offer(&self, plan: &Plan, step: usize, view: &View<'_>, now: &Now) -> Option<Offer> {
        let want = request(plan, step, view)?;
        let reach = self.beyond_reach(&want).map(|reason| (Guard::Reach, reason));
        let ledger = || ledger_forbids(view, &want.action).map(|reason| (Guard::Ledger, reason));
        let offer = guard::offer(view.state(), view.settings(), now, &want);
        let Some((guard, reason)) = reach.or_else(ledger) else { return Some(offer) };
        let refusal = Refusal { guard, reason, until_ms: None };
        Some(Offer { by_itself: Some(refusal.clone()), by_hand: Some(refusal), ..offer })
    }

    /// The executor is free: whoever waits for it is looked at again.
    fn executor_free(&mut self, view: &View<'_>, now: &Now) -> Vec<Follow> {
        self.run = None;
        let state = view.state();
        let waiting = state.open.keys().filter(|key| waits_for_executor(state, key));
        let soon_ms = now.boot_ms + EXECUTOR_FREE_MS;
        waiting.map(|key| Follow::Check(CheckEvent::By(key.clone(), soon_ms))).collect()
    }

    /// The last look before the action came back.
    fn go_on(
        &mut self,
        looked: u64,
        answers: &BTreeMap<Probe, Observation>,
        view: &View<'_>,
        now: &Now,
    ) -> Vec<Follow> {
        let mut want = match self.run.take() {
            Some(ActionRun::Looking { want, number }) if number == looked => *want,
            // Given up meanwhile.
            other => {
                self.run = other;
                return Vec::new();
            }
        };
        match still_wanted(&mut want, answers, view, now) {
            Ok(seen) => {
                self.prepare(want, seen, view);
                Vec::new()
            }
            Err(reason) => {
                let (incident, action) = (want.incident.to_string(), want.action.describe());
                info!(
                    WBD_INCIDENT = incident,
                    "wbd did not {action}, because the host changed just before: {reason} (incident {incident})"
                );
                self.executor_free(view, now)
            }
        }
    }

    /// Captures what the action will change.
    fn prepare(&mut self, want: ActionRequest, seen: Observations, view: &View<'_>) {
        self.looks += 1;
        let number = self.looks;
        self.run = Some(ActionRun::Previewing { number });
        let busy = Some((self.busy.clone(), installers(&view.products.loaded.library)));
        self.ask_preview(want.action.clone(), Asked::ActionRequest { want: Box::new(want), seen, number }, busy);
    }

    fn ask_preview(&self, action: Action, of: Asked, busy: Option<(BusyLook, Installers)>) {
        self.previews.ask(Arc::clone(&self.executor), self.events.clone(), action, of, busy);
    }

    /// It is captured.
    fn prepared(
        &mut self,
        want: ActionRequest,
        seen: Observations,
        number: u64,
        (preview, busy): (Result<Preview, String>, Vec<Sighting>),
        view: &View<'_>,
        now: &Now,
    ) -> Vec<Follow> {
        // Given up meanwhile.
        if !matches!(self.run, Some(ActionRun::Previewing { number: asked }) if asked == number) {
            return Vec::new();
        }
        self.run = None;
        match preview {
            // A hold file that came just now wins, between two steps of a rung too; so does a host that is busy.
            Ok(preview) => {
                let seen = ActEvent::HoldsSeen { want: Box::new(want), seen, preview };
                vec![Follow::SeeBusy(busy), Follow::Act(seen)]
            }
            Err(error) => {
                let follows = cannot_be_told(&want, &error, view, now);
                follows.into_iter().chain([Follow::Act(ActEvent::Idle)]).collect()
            }
        }
    }

    /// Its intent is on disk; a supervisor that dies before its outcome finds it.
    fn act(&mut self, subject: Subject, recorded: Recorded, reply: Reply, view: &View<'_>) -> Vec<Follow> {
        let (id, action) = (recorded.intent().action_id, recorded.intent().action.clone());
        let agent = view.agent.process();
        self.run = Some(ActionRun::Acting);
        let (executor, events) = (Arc::clone(&self.executor), self.events.clone());
        let (loop_of, longest) = (Handle::current(), longest(&action));
        tokio::spawn(async move {
            // On a thread of its own: disks that are slow, and programs that lie on dead mounts, hold up only this
            // action.
            let acting = spawn_blocking(move || loop_of.block_on(executor.act(recorded, &clock::now(), agent)));
            // Without an answer the action would stand in the way of every other one for ever.
            let report = match tokio::time::timeout(longest, acting).await {
                Ok(ended) => ended.unwrap_or_else(|error| broken_off(id, &error)),
                Err(_) => silent(id, longest),
            };
            // Nobody listens only when the supervisor stops; the intent without outcome is found at its start.
            let _ = events.send(Event::Act(ActEvent::Ended { subject, report, reply })).await;
        });
        let process = agent.map(|agent| agent.pid);
        vec![Follow::InFlight(Some(id)), Follow::Agent(AgentEvent::ActionBegins { action, process })]
    }

    /// An action ended.
    fn ended(&mut self, subject: Subject, report: Report, reply: Reply, view: &View<'_>, now: &Now) -> Vec<Follow> {
        let mut follows = vec![Follow::InFlight(None)];
        follows.extend(self.executor_free(view, now));
        let (outcome, job, spawned) = (report.outcome, report.job, report.spawned);
        follows.push(Follow::Agent(AgentEvent::ActionEnded { outcome, job, spawned }));
        let (detail, took_ms) = (report.detail.clone(), report.took_ms);
        let body = Body::Outcome { action: report.action, result: outcome, detail, took_ms };
        let key = subject.incident.and_then(|id| view.state().incidents.get(&id)).map(|incident| incident.key.clone());
        follows.push(Follow::Write(subject, Box::new(body)));
        follows.extend(key.map(|key| Follow::Check(CheckEvent::Now(key))));
        follows.push(Follow::Check(CheckEvent::Agent));
        if let Some(reply) = reply {
            let response = Box::new(told(report.action, outcome, &report.detail));
            follows.push(Follow::Answer { reply, response });
        }
        follows
    }

    fn by_hand(&self, asked: ByHand) {
        if self.is_acting() {
            let _ = asked.reply.send(refused(UNDER_WAY));
            return;
        }
        // Whoever acts by hand has decided that it is time.
        self.ask_preview(asked.action.clone(), Asked::ByHand(asked), None);
    }

    /// What it would change is known. An operator's own action comes before one that has not begun: that one is given
    /// up and asked for again.
    fn by_hand_previewed(
        &mut self,
        asked: ByHand,
        preview: Result<Preview, String>,
        view: &View<'_>,
        now: &Now,
    ) -> Vec<Follow> {
        let ByHand { action, undoes, who, reply } = asked;
        if self.is_acting() {
            let _ = reply.send(refused(UNDER_WAY));
            return Vec::new();
        }
        let mut follows = if self.run.is_some() { self.executor_free(view, now) } else { Vec::new() };
        let preview = match preview {
            Ok(preview) => preview,
            Err(message) => {
                let _ = reply.send(refused(message));
                return follows;
            }
        };
        let what = if undoes.is_some() { "undo" } else { action.name() };
        let text = action.describe();
        let changes = seen_before(|| view.agent.process().is_some(), &action, preview.changes);
        let captured = Captured { changes, undo: preview.undo, ..Captured::default() };
        match guard::permit_by_hand(view.state(), now, &who, action, undoes, captured) {
            Ok(permit) => {
                follows.push(Follow::manual(what, &who, &text));
                follows.push(Follow::Record { permit: Box::new(permit), reply: Some(reply) });
            }
            // What was not done does not stand in the ledger as done.
            Err(refusal) => {
                let _ = reply.send(refused(refusal.reason));
            }
        }
        follows
    }
}

/// Asks the guards again, now that hold files were looked for.
fn ask_guards(want: ActionRequest, seen: Observations, preview: Preview, view: &View<'_>, now: &Now) -> Vec<Follow> {
    let about = about(&want);
    let changes = seen_before(|| view.agent.process().is_some(), &want.action, preview.changes);
    let captured = Captured { changes, undo: preview.undo, before: seen };
    match guard::permit(view.state(), view.settings(), now, want, captured) {
        Ok(permit) => vec![Follow::Record { permit: Box::new(permit), reply: None }],
        Err(refusal) => {
            let refusal = refuse(view.state(), about, refusal);
            refusal.into_iter().chain([Follow::Act(ActEvent::Idle)]).collect()
        }
    }
}

/// An incident that is ready to act and is held by nothing else.
fn waits_for_executor(state: &State, key: &CheckKey) -> bool {
    state.open_for(key).is_some_and(|incident| matches!(incident.phase, Phase::Gated { held: None }))
}

fn broken_off(action: ActionId, error: &JoinError) -> Report {
    let detail = format!("bug: the action broke off: {error}; please report it");
    Report { action, outcome: Outcome::Unknown, detail, spawned: None, job: None, took_ms: 0 }
}

/// Every action ends by itself before this, unless the kernel holds it.
fn longest(action: &Action) -> Duration {
    Duration::from_millis(action.takes_ms()) + KERNEL_HOLDS
}

fn silent(action: ActionId, longest: Duration) -> Report {
    let seconds = longest.as_secs();
    let detail =
        format!("it did not end within {seconds} s, the kernel holds it; look for a dead mount or a stuck disk");
    Report { action, outcome: Outcome::Unknown, detail, spawned: None, job: None, took_ms: seconds * 1000 }
}

fn told(id: ActionId, outcome: Outcome, detail: &str) -> Response {
    match outcome {
        Outcome::Done => done(format!("{id}: {detail}")),
        Outcome::Failed | Outcome::Aborted | Outcome::Unknown => {
            Response::Refused { message: format!("{id} {}: {detail}", outcome.as_str()) }
        }
    }
}

#[cfg(test)]
#[path = "action_run_tests.rs"]
mod tests;
