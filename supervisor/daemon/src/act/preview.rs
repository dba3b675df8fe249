//! Looks beside the loop at what an action would change: a vendor's program may lie on a mount that is dead. Decides
//! nothing.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::{Semaphore, oneshot};
use wbd_actions::{Executor, Preview};
use wbd_model::action::Action;
use wbd_model::control::{Offer, Response};
use wbd_model::incident::IncidentId;
use wbd_model::plan::Plan;

use crate::event::{ActEvent, Asked, Event, TalkEvent};
use crate::talk::busy::{BusyLook, Installers};

/// A few small files are read within milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);
/// A look that hangs keeps its thread; with so many of them none is begun at anything else.
const AT_ONCE: usize = 16;

/// Looks under way and looks that hang: one at a time at each thing, so that what lies on a dead mount stands in the
/// way of itself alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Previews(Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>);

/// A whole plan that somebody wants to see.
#[derive(Debug)]
pub(super) struct PlanPreview {
    /// The incident that waits to do it; `None`: nobody is asked for an approval.
    pub(super) incident: Option<IncidentId>,
    pub(super) plan: Plan,
    /// How many of its steps are done.
    pub(super) begun: usize,
    /// What the guards say to it.
    pub(super) offer: Option<Offer>,
    /// Who waits for it.
    pub(super) reply: oneshot::Sender<Response>,
}

impl Previews {
    /// Looks at what this action would change, and at what the host is busy with; the answer comes as an event.
    pub(super) fn ask(
        &self,
        executor: Arc<Executor>,
        events: Sender<Event>,
        action: Action,
        of: Asked,
        busy: Option<(BusyLook, Installers)>,
    ) {
        let previews = self.clone();
        let busy = async {
            match busy {
                Some((look, installers)) => look.now(installers).await,
                None => Vec::new(),
            }
        };
        tokio::spawn(async move {
            let (preview, busy) = tokio::join!(previews.of(executor, action), busy);
            let _ = events.send(Event::Act(ActEvent::Previewed { of: Box::new(of), preview, busy })).await;
        });
    }

    /// Looks at what a whole plan would change; the answer comes as an event. What is done already (the first
    /// `begun` steps) changes nothing any more.
    pub(super) fn look_at_plan(&self, executor: Arc<Executor>, events: Sender<Event>, asked: PlanPreview) {
        let previews = self.clone();
        tokio::spawn(async move {
            let PlanPreview { incident, plan, begun, offer, reply } = asked;
            let mut changes = vec![Vec::new(); begun.min(plan.steps.len())];
            for action in plan.steps.iter().skip(begun) {
                match previews.clone().of(Arc::clone(&executor), action.clone()).await {
                    Ok(preview) => changes.push(preview.changes),
                    Err(message) => {
                        let _ = reply.send(Response::Refused { message });
                        return;
                    }
                }
            }
            let plan = Box::new(plan);
            let _ = events.send(Event::Talk(TalkEvent::PlanPreviewed { incident, plan, changes, offer, reply })).await;
        });
    }

    async fn of(self, executor: Arc<Executor>, action: Action) -> Result<Preview, String> {
        let Some(thing) = action.reads().map(str::to_owned) else {
            return executor.preview(&action).map_err(|error| error.to_string());
        };
        let place = self.place(&thing)?;
        let looking = async {
            // Never closed: it fails for nobody.
            let place = place.acquire_owned().await.ok();
            let looking = tokio::task::spawn_blocking(move || {
                let preview = executor.preview(&action).map_err(|error| error.to_string());
                drop(place);
                preview
            });
            looking.await.unwrap_or_else(|error| Err(format!("bug: the preview broke off: {error}; please report it")))
        };
        tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| {
            let seconds = DEADLINE.as_secs();
            Err(format!("no answer about {thing} within {seconds} s; look for a dead mount"))
        })
    }

    /// The place of looks at this thing.
    fn place(&self, thing: &str) -> Result<Arc<Semaphore>, String> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who looks at a thing, or waits to, has its place too.
        places.retain(|_, place| Arc::strong_count(place) > 1);
        if let Some(place) = places.get(thing) {
            return Ok(Arc::clone(place));
        }
        if places.len() >= AT_ONCE {
            return Err("too many earlier previews still hang; look for a dead mount".to_owned());
        }
        let place = Arc::new(Semaphore::new(1));
        places.insert(thing.to_owned(), Arc::clone(&place));
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use wbd_actions::{Alone, Reach};
    use wbd_model::action::{Class, CommandRun};
    use wbd_model::profile::{self, Command};

    fn run(program: &str) -> Action {
        let command =
            Command { argv: vec![program.to_owned()], timeout: profile::Duration::from_ms(1), class: Class::A2 };
        Action::CommandRun(CommandRun { name: "restart".to_owned(), command })
    }

    #[tokio::test]
    async fn a_look_that_hangs_stands_in_the_way_of_itself_alone() {
        let root = tempfile::tempdir().unwrap();
        for program in ["dead", "well"] {
            let path = root.path().join(program);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let alone = Alone { root: root.path().to_owned(), agent: root.path().join("agent"), args: Vec::new() };
        let executor = Arc::new(Executor::new(Reach::Alone(alone)));
        let previews = Previews::default();
        let of = |action: Action| previews.clone().of(Arc::clone(&executor), action);
        let hangs = previews.place("/dead").unwrap().acquire_owned().await.unwrap();
        let (one, other) = tokio::join!(of(run("/dead")), of(run("/dead")));
        for said in [one.unwrap_err(), other.unwrap_err()] {
            assert!(said.contains("/dead") && said.contains("dead mount"), "{said}");
        }
        for _ in 0..AT_ONCE {
            of(run("/well")).await.unwrap();
        }
        let many: Vec<_> = (1..AT_ONCE).map(|n| previews.place(&n.to_string()).unwrap()).collect();
        assert!(of(run("/well")).await.unwrap_err().contains("too many"), "their number has a bound");
        of(Action::AgentRestart {}).await.unwrap();
        drop((hangs, many));
        of(run("/dead")).await.unwrap();
        of(run("/well")).await.unwrap();
    }
}
