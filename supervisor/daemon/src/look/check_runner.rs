//! The owner of the checks: asks the host what is due, keeps the answers, their samples and what rehearsals need of them.
//! It decides nothing, so nothing follows from what it is told.
use tokio::sync::mpsc::Sender;
use wbd_agent_api::paths;
use wbd_engine::judge;
use wbd_engine::playbook::Bound;
use wbd_engine::state::State;
use wbd_ledger::Samples;
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::observation::Observation;
use wbd_model::probe::Probe;
use wbd_model::time::Now;
use wbd_probes::ProbeRunner;

use super::checks::{Checks, Looked, proving_ms};
use super::recorded_facts::FactRecorder;
use super::samples::{Question, Sampler, Store};
use super::scheduler::ProbeScheduler;
use crate::agent::Agent;
use crate::event::loaded::Loaded;
use crate::event::{CheckEvent, Event};

/// What others know that some probes are answered from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) loaded: &'a Loaded,
    pub(crate) state: &'a State,
}

/// Runs the checks of this host.
#[derive(Debug)]
pub(crate) struct CheckRunner {
    pub(crate) checks: Checks,
    scheduler: ProbeScheduler,
    /// Takes the samples that leaks are judged by.
    sampler: Sampler,
    /// What of the looks is kept for rehearsals.
    fact_recorder: FactRecorder,
    /// The agent's health document is not read before that (milliseconds of this boot).
    agent_from_ms: u64,
}

impl CheckRunner {
    pub(crate) fn new(runner: ProbeRunner, samples: Option<Samples>, events: Sender<Event>) -> Self {
        let store = samples.map(Store::new);
        Self {
            checks: Checks::default(),
            scheduler: ProbeScheduler::new(runner, events),
            fact_recorder: FactRecorder::of(store.clone()),
            sampler: Sampler::new(store),
            agent_from_ms: 0,
        }
    }

    /// When something is due next (milliseconds of this boot).
    pub(crate) fn next_ms(&self) -> u64 {
        let samples_ms = self.sampler.next_ms();
        self.checks.next_due_ms().map_or(samples_ms, |at_ms| at_ms.min(samples_ms))
    }

    /// The supervisor stops: what is kept for rehearsals is on disk soon.
    pub(crate) fn ends(&mut self, now: &Now) {
        self.fact_recorder.ends(now);
    }

    pub(crate) fn on(&mut self, event: CheckEvent, around: Around<'_>, now: &Now) {
        let now_ms = now.boot_ms;
        match event {
            CheckEvent::TimePassed => self.ask_what_is_due(around, now),
            CheckEvent::Seen { probe, observation, began_ms, took_ms } => {
                self.scheduler.answered(&probe);
                self.checks.answer(probe, observation, began_ms, took_ms);
            }
            CheckEvent::Agent => self.checks.hasten(now_ms, |bound| bound.probes.values().any(is_of_agent)),
            CheckEvent::AgentAnew { from_ms } => {
                self.agent_from_ms = from_ms;
                self.checks.begin_anew(from_ms, |probe| *probe == Probe::AgentHealth);
            }
            CheckEvent::Now(key) => self.hasten(&key, now_ms),
            CheckEvent::By(key, at_ms) => self.hasten(&key, at_ms),
            CheckEvent::Prove(key) => {
                let pause_ms = self.checks.get(&key).map_or(1_000, |check| proving_ms(&check.bound));
                self.hasten(&key, now_ms + pause_ms);
            }
            CheckEvent::All => self.checks.hasten(now_ms, |_| true),
            CheckEvent::Again { number, bound } => self.look_again(number, &bound, around, now),
            CheckEvent::Bound { bounds, is_first } => {
                self.checks.replace(bounds, now_ms);
                if is_first {
                    self.sampler.hasten(now_ms);
                }
            }
            CheckEvent::Facts(facts) => self.scheduler.state(facts),
        }
    }

    /// Questions that need no look: they are answered from the ledger, the samples, and what was followed.
    pub(crate) fn own_answer(&self, probe: &Probe, around: Around<'_>, now: &Now) -> Option<Observation> {
        if let Probe::ExitLast(target) = probe {
            return Some(around.agent.last_exit(target, around.state, now));
        }
        if let Probe::FdTrend(selector) = probe {
            return self.sampler.no_trend(selector, &self.checks, around.loaded);
        }
        if let Probe::ServiceState(service) = probe
            && service.unit.as_deref() == Some(paths::UNIT)
        {
            return Some(around.agent.service());
        }
        None
    }

    /// Judges the complete looks; gives those that may be acted on. A look that began before the last
    /// record of its incident was written tells of the time before it and is only shown.
    pub(crate) fn judge_complete(&mut self, state: &State, now: &Now) -> Vec<CheckKey> {
        let mut fresh = Vec::new();
        let mut looked = Vec::new();
        for (index, seen, began_ms, took_ms) in self.checks.complete() {
            let Some(check) = self.checks.all.get(index) else { continue };
            let key = check.bound.key.clone();
            let judgement = judge::judge(&check.bound, &seen);
            let outdated = state
                .open_for(&key)
                .is_some_and(|incident| incident.changed.boot == now.boot && began_ms < incident.changed.boot_ms);
            self.checks.store(index, Looked { seen, judgement, began_ms, took_ms }, now.boot_ms);
            looked.push(index);
            if outdated {
                self.hasten(&key, now.boot_ms);
            } else {
                fresh.push(key);
            }
        }
        self.fact_recorder.looked(&looked, &self.checks, &state.open, now);
        fresh
    }

    /// Whether it could not be seen when it was looked at last.
    pub(crate) fn is_unseen(&self, key: &CheckKey) -> bool {
        let last = self.checks.get(key).and_then(|check| check.last.as_ref());
        last.is_some_and(|last| last.judgement.verdict == Verdict::Unknown)
    }

    fn hasten(&mut self, key: &CheckKey, at_ms: u64) {
        self.checks.hasten(at_ms, |bound| bound.key == *key);
    }

    fn ask_what_is_due(&mut self, around: Around<'_>, now: &Now) {
        self.sampler.on_time(&self.checks, around.loaded, self.scheduler.runner(), now);
        let mut probes = self.checks.due(now.boot_ms);
        probes.extend(self.checks.stale());
        let agent_reported = now.boot_ms >= self.agent_from_ms;
        for probe in probes.into_iter().filter(|probe| agent_reported || *probe != Probe::AgentHealth) {
            if let Some(observation) = self.own_answer(&probe, around, now) {
                self.checks.answer(probe, observation, now.boot_ms, 0);
            } else {
                let question = self.question(&probe, around, now);
                self.scheduler.ask(probe, question);
            }
        }
    }

    /// Asks everything of one check once more, just before an action.
    fn look_again(&self, number: u64, bound: &Bound, around: Around<'_>, now: &Now) {
        let asked = bound.probes.values().filter(|probe| self.own_answer(probe, around, now).is_none());
        let asked = asked.map(|probe| (probe.clone(), self.question(probe, around, now))).collect();
        self.scheduler.relook(number, asked);
    }

    fn question(&self, probe: &Probe, around: Around<'_>, now: &Now) -> Option<Question> {
        self.sampler.question(probe, &self.checks, around.loaded, now)
    }
}

/// Whether it tells of the agent's process.
fn is_of_agent(probe: &Probe) -> bool {
    matches!(probe, Probe::AgentHealth | Probe::ServiceState(_))
}
