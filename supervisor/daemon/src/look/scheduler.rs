//! Sends probes to threads of their own and brings the answers to the loop. Judges nothing.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use wbd_model::observation::Observation;
use wbd_model::probe::Probe;
use wbd_probes::ProbeRunner;

use crate::event::{ActEvent, CheckEvent, Event};
use crate::look::samples::Question;

/// Probes at once: a slow name server must not hold up the look at the agent.
const AT_ONCE: usize = 8;

/// Longer than any look may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Runs probes on behalf of the loop.
#[derive(Debug)]
pub(crate) struct ProbeScheduler {
    runner: Arc<ProbeRunner>,
    places: Arc<Semaphore>,
    under_way: BTreeSet<Probe>,
    events: Sender<Event>,
}

impl ProbeScheduler {
    pub(crate) fn new(runner: ProbeRunner, events: Sender<Event>) -> Self {
        Self { runner: Arc::new(runner), places: Arc::new(Semaphore::new(AT_ONCE)), under_way: BTreeSet::new(), events }
    }

    /// Asks, unless the same question is under way.
    pub(crate) fn ask(&mut self, probe: Probe, question: Option<Question>) {
        if !self.under_way.insert(probe.clone()) {
            return;
        }
        let (runner, places, events) = (Arc::clone(&self.runner), Arc::clone(&self.places), self.events.clone());
        tokio::spawn(async move {
            let Ok(place) = places.acquire_owned().await else { return };
            let began_ms = wbd_probes::clock::now().boot_ms;
            let began = Instant::now();
            let observation = look(runner, probe.clone(), question).await;
            drop(place);
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            // Nobody listens only when the supervisor stops.
            let _ = events.send(Event::Check(CheckEvent::Seen { probe, observation, began_ms, took_ms })).await;
        });
    }

    /// The answer came.
    pub(crate) fn answered(&mut self, probe: &Probe) {
        self.under_way.remove(probe);
    }

    /// From now on looks with what the site states now.
    pub(crate) fn state(&mut self, facts: BTreeMap<String, String>) {
        let mut runner = ProbeRunner::clone(&self.runner);
        runner.facts = facts;
        self.runner = Arc::new(runner);
    }

    /// The probe runner, for questions that are no probes. Copies share the count of looks that hang.
    pub(crate) fn runner(&self) -> &ProbeRunner {
        &self.runner
    }

    /// Asks all of them once more, just before an action: nothing that was seen earlier counts (I6).
    pub(crate) fn relook(&self, number: u64, probes: Vec<(Probe, Option<Question>)>) {
        let (runner, events) = (Arc::new(self.runner.afresh()), self.events.clone());
        tokio::spawn(async move {
            let mut answers = BTreeMap::new();
            for (probe, question) in probes {
                let observation = look(Arc::clone(&runner), probe.clone(), question).await;
                answers.insert(probe, observation);
            }
            let _ = events.send(Event::Act(ActEvent::Relooked { number, answers })).await;
        });
    }
}

/// Asks the host, or the samples where the probe is about them.
async fn look(runner: Arc<ProbeRunner>, probe: Probe, question: Option<Question>) -> Observation {
    let fields = probe.name().fields();
    let looking = tokio::task::spawn_blocking(move || match question {
        Some(question) => question.answer(),
        None => runner.look(&probe),
    });
    // The probe runner has a deadline of its own; the samples' disk has none.
    match tokio::time::timeout(LONGEST, looking).await {
        Ok(seen) => seen.unwrap_or_else(|error| Observation::unseen(fields, &format!("the probe failed: {error}"))),
        Err(_) => Observation::unseen(fields, "no answer in 30 s; look for a dead mount or an overloaded host"),
    }
}
