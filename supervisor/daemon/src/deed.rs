//! One deed at a time: look once more, capture, permit, record, act, write the outcome. Chooses nothing.
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{info, warn};
use wbd_actions::Report as ActReport;
use wbd_engine::guard::{self, Captured, Permit, Want};
use wbd_engine::judge;
use wbd_model::action::Action;
use wbd_model::check::Verdict;
use wbd_model::control::Response;
use wbd_model::entry::{Body, Outcome, Subject};
use wbd_model::incident::{ActionId, Guard, Refusal};
use wbd_model::observation::{Observation, Observations};
use wbd_model::probe::Probe;
use wbd_probes::clock::now;

use crate::event::Event;
use crate::supervisor::Supervisor;

/// The deed under way.
#[derive(Debug)]
pub(crate) struct Deed {
    action: Action,
    /// What it is for while it is being looked at once more; `None` once it acts.
    want: Option<Box<Want>>,
    /// The agent's process when the deed began: its end is asked for.
    pub(crate) agent: Option<u32>,
}

impl Deed {
    /// Whether the agent may end because of it.
    pub(crate) fn touches_agent(&self) -> bool {
        self.want.is_none() && self.action.conflict_key() == "agent"
    }
}

impl Supervisor {
    /// Begins with the deed that a turn asked for, unless one is under way.
    pub(crate) fn begin(&mut self, want: Want) {
        if self.deed.is_some() {
            return;
        }
        if let Some(reason) = self.ledger_forbids(&want.action) {
            let about = about(&want);
            self.refuse(about, Refusal { guard: Guard::Ledger, reason, until_ms: None });
            return;
        }
        let bound = self.checks.get(&want.key).map(|check| check.bound.clone());
        let rollback = want.undoes.is_some();
        self.deed = Some(Deed { action: want.action.clone(), want: Some(Box::new(want)), agent: self.watch.pid() });
        match bound {
            // What was captured is put back whatever is seen now.
            _ if rollback => self.go_on(BTreeMap::new(), now().boot_ms),
            Some(bound) => self.relook(&bound),
            None => self.deed = None,
        }
    }

    /// The last look before the deed came back.
    pub(crate) fn go_on(&mut self, answers: BTreeMap<Probe, Observation>, _began_ms: u64) {
        let Some(want) = self.deed.as_mut().and_then(|deed| deed.want.take()) else { return };
        self.deed = None;
        let seen = if want.undoes.is_some() {
            Observations::new()
        } else {
            match self.still_wanted(&want, &answers) {
                Ok(seen) => seen,
                Err(reason) => {
                    info!(incident = %want.incident, action = want.action.name(), reason, "not done: things changed just before");
                    self.hasten_check(&want.key, now().boot_ms);
                    return;
                }
            }
        };
        let about = about(&want);
        let preview = match self.hands.preview(&want.action) {
            Ok(preview) => preview,
            Err(error) => {
                // Asking again would give the same answer: a person has to look.
                let reason = format!("what it would change cannot be told: {error}");
                let guide = self.look(&want.key, &[]).map(|look| look.guide).unwrap_or_default();
                self.memory.write(&now(), about, Body::Escalated { reason, guide });
                return;
            }
        };
        let captured = Captured { changes: preview.changes, undo: preview.undo, before: seen };
        match guard::permit(&self.memory.state, &self.loaded.settings, &now(), *want, captured) {
            Ok(permit) => self.act(permit, None),
            Err(refusal) => self.refuse(about, refusal),
        }
    }

    /// I17: without a ledger that can be written only restarts of the agent, and only from the reserve.
    fn ledger_forbids(&self, action: &Action) -> Option<String> {
        if self.memory.degraded.is_empty() {
            return None;
        }
        let restarts = matches!(action, Action::AgentStart {} | Action::AgentRestart {});
        (!restarts || self.memory.reserve_left() == 0).then(|| self.memory.degraded.clone())
    }

    /// I6: the trigger must still be true, and lead to the same plan.
    fn still_wanted(&self, want: &Want, answers: &BTreeMap<Probe, Observation>) -> Result<Observations, String> {
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
            return Ok(seen);
        }
        if judgement.verdict != Verdict::Fail {
            return Err(format!("the check says {} now", judgement.verdict.as_str()));
        }
        let mut from = 0;
        while let Some(plan) = wbd_engine::plan::plan(&check.bound, &judgement, &seen, from)? {
            if plan.rung == want.plan.rung {
                return if plan == want.plan { Ok(seen) } else { Err("the plan has changed".to_owned()) };
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
        self.deed = Some(Deed { action, want: None, agent: self.watch.pid() });
        let (hands, events, agent) = (Arc::clone(&self.hands), self.events.clone(), self.agent_process());
        tokio::spawn(async move {
            let report = hands.act(recorded, &now(), agent).await;
            // Nobody listens only when the supervisor stops; the intent without outcome is found at its start.
            let _ = events.send(Event::Acted { subject, report, reply }).await;
        });
    }

    /// A deed ended.
    pub(crate) fn acted(&mut self, subject: Subject, report: ActReport, reply: Option<oneshot::Sender<Response>>) {
        let ended = self.deed.take();
        self.asked_exit = ended.filter(|deed| deed.action.conflict_key() == "agent").and_then(|deed| deed.agent);
        self.turns.in_flight = None;
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

fn about(want: &Want) -> Subject {
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
