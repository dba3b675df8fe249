//! Looks beside the loop at what a deed would change: a vendor's program may lie on a mount that is dead. Decides nothing.
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use wbd_actions::{Hands, Preview};
use wbd_engine::guard::Want;
use wbd_engine::plan;
use wbd_model::action::{Action, Change};
use wbd_model::check::CheckKey;
use wbd_model::control::Response;
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::observation::Observations;
use wbd_model::plan::Plan;

use crate::event::Event;
use crate::supervisor::Supervisor;

/// A few small files are read within milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);
/// A look that hangs keeps its thread; with so many of them no further one is begun.
const AT_ONCE: usize = 4;

/// Who waits for a preview.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A deed of the engine's.
    Want {
        /// The deed.
        want: Box<Want>,
        /// The last look before it.
        seen: Observations,
        /// Which preview this is.
        number: u64,
    },
    /// A deed by hand.
    ByHand {
        /// The deed.
        action: Action,
        /// What it takes back.
        undoes: Option<ActionId>,
        /// Who asked.
        who: String,
        /// Who waits for its end.
        reply: oneshot::Sender<Response>,
    },
}

/// Looks under way and looks that hang, together bounded.
#[derive(Debug, Clone)]
pub(crate) struct Previews(Arc<Semaphore>);

impl Default for Previews {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Previews {
    async fn of(self, hands: Arc<Hands>, action: Action) -> Result<Preview, String> {
        let Ok(place) = self.0.try_acquire_owned() else {
            return Err("earlier looks at what a deed would change still hang; look for a dead mount".to_owned());
        };
        let looking = tokio::task::spawn_blocking(move || {
            let preview = hands.preview(&action).map_err(|error| error.to_string());
            drop(place);
            preview
        });
        match tokio::time::timeout(DEADLINE, looking).await {
            Ok(Ok(preview)) => preview,
            Ok(Err(error)) => Err(format!("bug: the look broke off: {error}; please report it")),
            Err(_) => Err(format!("no answer within {} s; look for a dead mount", DEADLINE.as_secs())),
        }
    }
}

impl Supervisor {
    /// Looks at what this deed would change; the answer comes as an event.
    pub(crate) fn ask_preview(&self, action: Action, of: Asked) {
        let (previews, hands, events) = (self.previews.clone(), Arc::clone(&self.hands), self.events.clone());
        tokio::spawn(async move {
            let preview = previews.of(hands, action).await;
            let _ = events.send(Event::Previewed { of: Box::new(of), preview }).await;
        });
    }

    /// Looks at what a whole plan would change; the answer comes as an event. What is done already (the first
    /// `begun` steps) changes nothing any more.
    pub(crate) fn look_at_plan(
        &self,
        incident: Option<IncidentId>,
        plan: Plan,
        begun: usize,
        reply: oneshot::Sender<Response>,
    ) {
        let (previews, hands, events) = (self.previews.clone(), Arc::clone(&self.hands), self.events.clone());
        tokio::spawn(async move {
            let mut changes = vec![Vec::new(); begun.min(plan.steps.len())];
            for action in plan.steps.iter().skip(begun) {
                match previews.clone().of(Arc::clone(&hands), action.clone()).await {
                    Ok(preview) => changes.push(preview.changes),
                    Err(message) => {
                        let _ = reply.send(Response::Refused { message });
                        return;
                    }
                }
            }
            let _ = events.send(Event::PlanPreviewed { incident, plan: Box::new(plan), changes, reply }).await;
        });
    }

    /// The first rung that fits what was seen last of a check, for `doctor --dry-run`.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn fix_plan(&self, key: &CheckKey) -> Result<Plan, String> {
        let check = self.checks.get(key).ok_or_else(|| format!("nothing here checks {key}"))?;
        let last = check.last.as_ref().ok_or_else(|| format!("{key} was not looked at yet; try again"))?;
        let rung = self.memory.state.open_for(key).map_or(0, |incident| incident.rung);
        let plan = plan::plan(&check.bound, &last.judgement, &last.seen, rung);
        plan.map_err(|reason| format!("the plan cannot be made: {reason}"))?
            .ok_or_else(|| format!("{key} has nothing that wbd could do as it was seen last"))
    }

    /// A whole plan was looked at: told, and kept for a yes where it is of an incident.
    pub(crate) fn plan_previewed(&mut self, of: Option<IncidentId>, plan: Plan, changes: Vec<Vec<Change>>) -> Response {
        let seen = |(action, changes)| self.seen_before(action, changes);
        let changes: Vec<Vec<Change>> = plan.steps.iter().zip(changes).map(seen).collect();
        match of {
            Some(incident) => self.show(incident, plan, changes),
            None => Response::Preview { plan, changes: changes.concat(), digest: String::new() },
        }
    }

    /// It was looked at.
    pub(crate) fn previewed(&mut self, of: Asked, preview: Result<Preview, String>) {
        match of {
            Asked::Want { want, seen, number } => self.prepared(*want, seen, number, preview),
            Asked::ByHand { action, undoes, who, reply } => {
                self.by_hand_previewed(action, undoes, &who, reply, preview)
            }
        }
    }
}
