//! Looks beside the loop at what a deed would change: a vendor's program may lie on a mount that is dead. Decides nothing.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use wbd_actions::{Hands, Preview};
use wbd_engine::judge::plan;
use wbd_engine::state::{ActionRequest, Incident};
use wbd_model::action::{Action, Change};
use wbd_model::check::CheckKey;
use wbd_model::control::Response;
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{ActionId, Guard, IncidentId, Refusal};
use wbd_model::observation::Observations;
use wbd_model::plan::Plan;
use wbd_probes::clock::now;

use crate::deed::about;
use crate::event::Event;
use crate::supervisor::Supervisor;

/// A few small files are read within milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);
/// A look that hangs keeps its thread; with so many of them none is begun at anything else.
const AT_ONCE: usize = 16;
/// A look that failed is made once more after this: a want of file handles passes, and a mount may come back.
const AGAIN_MS: u64 = 10_000;

/// Who waits for a preview.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A deed of the engine's.
    ActionRequest {
        /// The deed.
        want: Box<ActionRequest>,
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

/// Looks under way and looks that hang: one at a time at each thing, so that what lies on a dead mount stands in the
/// way of itself alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Previews(Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>);

impl Previews {
    async fn of(self, hands: Arc<Hands>, action: Action) -> Result<Preview, String> {
        let Some(thing) = action.reads().map(str::to_owned) else {
            return hands.preview(&action).map_err(|error| error.to_string());
        };
        let place = self.place(&thing)?;
        let looking = async {
            // Never closed: it fails for nobody.
            let place = place.acquire_owned().await.ok();
            let looking = tokio::task::spawn_blocking(move || {
                let preview = hands.preview(&action).map_err(|error| error.to_string());
                drop(place);
                preview
            });
            looking.await.unwrap_or_else(|error| Err(format!("bug: the look broke off: {error}; please report it")))
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
            return Err(
                "too many earlier looks at what a deed would change still hang; look for a dead mount".to_owned()
            );
        }
        let place = Arc::new(Semaphore::new(1));
        places.insert(thing.to_owned(), Arc::clone(&place));
        Ok(place)
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

    /// What would be done next for a check, for `doctor --dry-run`, and how many of its steps are done: what its open
    /// incident goes on with, else the first rung that fits what was seen last.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn fix_plan(&self, key: &CheckKey) -> Result<(Plan, usize), String> {
        if let Some(incident) = self.memory.state.open_for(key) {
            return self.waiting_plan(incident.id);
        }
        let check = self.checks.get(key).ok_or_else(|| format!("nothing here checks {key}"))?;
        let last = check.last.as_ref().ok_or_else(|| format!("{key} was not looked at yet; try again"))?;
        let plan = plan::plan(&check.bound, &last.judgement, &last.seen, 0);
        plan.map_err(|reason| format!("the plan cannot be made: {reason}"))?
            .map(|plan| (plan, 0))
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

    /// Whether what the next deed of this incident would change could not be told a moment ago.
    pub(crate) fn failed_just_now(&self, id: IncidentId) -> bool {
        let now = now();
        let of_this_boot = |incident: &&Incident| incident.changed.boot == now.boot;
        let incident = self.memory.state.incidents.get(&id).filter(of_this_boot);
        incident.and_then(unseen).and_then(|held| held.until_ms).is_some_and(|until_ms| now.boot_ms < until_ms)
    }

    /// It cannot be told: looked at once more later, and then a person has to look.
    pub(crate) fn cannot_be_told(&mut self, want: &ActionRequest, about: Subject, error: &str) {
        let now = now();
        let reason = format!("what it would change cannot be told: {error}");
        if self.memory.state.incidents.get(&want.incident).and_then(unseen).is_some() {
            self.hand_over(want, reason);
            return;
        }
        let refusal = Refusal { guard: Guard::Unseen, reason, until_ms: Some(now.boot_ms + AGAIN_MS) };
        self.memory.write(&now, about, Body::Refused(refusal));
        // The engine goes on from what was written.
        self.hasten_check(&want.key, now.boot_ms);
    }

    /// A person has to do it: nothing was intended, so nothing is paid for, and it stays with the person until the
    /// failure was seen gone.
    pub(crate) fn hand_over(&mut self, want: &ActionRequest, reason: String) {
        let now = now();
        let guide = self.look(&want.key, &[]).map(|look| look.guide).unwrap_or_default();
        self.memory.write(&now, about(want), Body::Escalated { reason, guide });
        // The engine goes on from what was written.
        self.hasten_check(&want.key, now.boot_ms);
    }

    /// It was looked at.
    pub(crate) fn previewed(&mut self, of: Asked, preview: Result<Preview, String>) {
        match of {
            Asked::ActionRequest { want, seen, number } => self.prepared(*want, seen, number, preview),
            Asked::ByHand { action, undoes, who, reply } => {
                self.by_hand_previewed(action, undoes, &who, reply, preview)
            }
        }
    }
}

fn unseen(incident: &Incident) -> Option<&Refusal> {
    incident.held().filter(|held| held.guard == Guard::Unseen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use wbd_actions::{Alone, Reach};
    use wbd_engine::judge;
    use wbd_model::action::{Class, CommandRun, Undo};
    use wbd_model::name::PlaybookName;
    use wbd_model::observation::Observation;
    use wbd_model::profile::{self, Command};

    use crate::checks::{self, Looked};
    use crate::exits;
    use crate::supervisor::Mode;

    /// A unit that failed, nobody asked for that, as the only check; its key.
    fn dead_unit(supervisor: &mut Supervisor) -> CheckKey {
        supervisor.checks.replace(checks::tests::bound(&[checks::tests::DOWN]), 0);
        let check = &mut supervisor.checks.all[0];
        let mut seen = Observations::new();
        for (name, probe) in &check.bound.probes {
            seen.insert(name.clone(), Observation::unseen(probe.name().fields(), "a test"));
        }
        seen.get_mut("proc").unwrap().know("alive", false);
        let unit = seen.get_mut("svc").unwrap();
        unit.know("manager", "systemd").know("active", "failed").know("stop_noted", false);
        unit.know("masked", false).know("start_limit_hit", false);
        let judgement = judge::judge(&check.bound, &seen);
        assert_eq!(judgement.case.as_deref(), Some("dead-unit"), "{judgement:?}");
        check.last = Some(Looked { seen, judgement, began_ms: 0, took_ms: 0 });
        check.bound.key.clone()
    }

    #[test]
    fn what_a_fix_would_do_is_what_its_incident_goes_on_with() {
        let (_root, mut supervisor) = exits::tests::supervisor(Mode::Systemd);
        let key = dead_unit(&mut supervisor);
        let steps = |supervisor: &Supervisor| supervisor.fix_plan(&key).map(|(plan, begun)| (plan.steps, begun));
        assert_eq!(steps(&supervisor), Ok((vec![Action::AgentStart {}], 0)), "nothing was tried");
        let id = IncidentId(1);
        let (code, target) = (Some(key.code.clone()), Some(key.target.clone()));
        let about = Subject { incident: Some(id), code, target, playbook: PlaybookName::new("agent-down").ok() };
        let (digest, case) = (supervisor.checks.all[0].bound.digest.clone(), "dead-unit".to_owned());
        let opened = Body::Opened { digest, case, evidence: Vec::new(), before: Observations::new() };
        supervisor.memory.write(&now(), about, opened);
        assert_eq!(steps(&supervisor), Ok((vec![Action::AgentStart {}], 0)), "it waits for its first try");
        // The start failed; the incident waits for its next try.
        let incident = supervisor.memory.state.incidents.get_mut(&id).unwrap();
        (incident.attempts, incident.rung) = (1, 0);
        assert_eq!(steps(&supervisor), Ok((vec![Action::AgentRestart {}], 0)));
        let undo = Undo { action: Action::AgentStart {} };
        supervisor.memory.state.incidents.get_mut(&id).unwrap().rollback.push((ActionId(1), undo));
        assert!(steps(&supervisor).unwrap_err().contains("taken back first"));
    }

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
        let hands = Arc::new(Hands::new(Reach::Alone(alone)));
        let previews = Previews::default();
        let of = |action: Action| previews.clone().of(Arc::clone(&hands), action);
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
