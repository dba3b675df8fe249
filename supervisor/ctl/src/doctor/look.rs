//! Asks every distinct question once, side by side, and is done when the time is up. Judges nothing.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wbd_engine::playbook::Bound;
use wbd_model::observation::{Observation, Observations};
use wbd_model::probe::Probe;
use wbd_probes::ProbeRunner;

use super::pending::Pending;
use super::recorded_facts::RecordedFacts;

/// Questions at once.
const AT_ONCE: usize = 8;
/// A broken host gets a verdict within ten seconds; this leaves some for the rest.
pub(crate) const TIME: Duration = Duration::from_secs(8);
/// Settings and playbooks are read before anything is asked; a loaded host may take seconds for them.
pub(crate) const FIRST: Duration = Duration::from_secs(5);
/// One question alone.
const ONE: Duration = Duration::from_secs(7);

/// Answers with the time that each took, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Answers(BTreeMap<Probe, (Observation, u64)>);

impl Answers {
    /// What one check saw, and how long its slowest question took.
    pub(crate) fn of(&self, bound: &Bound) -> (Observations, u64) {
        let mut seen = Observations::new();
        let mut slowest = 0;
        for (name, probe) in &bound.probes {
            let (observation, took_ms) = self.0.get(probe).cloned().unwrap_or_else(|| {
                let reason = format!("no answer within {} s", TIME.as_secs());
                (Observation::unseen(probe.name().fields(), &reason), ms(TIME))
            });
            slowest = slowest.max(took_ms);
            seen.insert(name.clone(), observation);
        }
        (seen, slowest)
    }
}

/// Looks for all checks; a question that does not answer in time is left out and counts as not seen.
pub(crate) fn look(mut runner: ProbeRunner, bounds: &[Bound], recorded: RecordedFacts, began: Instant) -> Answers {
    runner.deadline = ONE;
    let mut answers = Answers::default();
    let questions: BTreeSet<_> = bounds.iter().flat_map(|bound| bound.probes.values()).cloned().collect();
    let (questions, recorded) = (VecDeque::from_iter(questions), Arc::new(recorded));
    let (mut left, threads) = (questions.len(), questions.len().min(AT_ONCE));
    let questions = Arc::new(Mutex::new(questions));
    let (sender, receiver) = sync_channel(left.max(1));
    for _ in 0..threads {
        let (runner, recorded) = (runner.clone(), Arc::clone(&recorded));
        let (questions, sender) = (Arc::clone(&questions), sender.clone());
        // Not waited for: a look that hangs ends with the program.
        thread::spawn(move || {
            let next = || questions.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(probe) = next() {
                let asked = Instant::now();
                let recalled = Pending::begin().during(|| recorded.answer(&probe));
                let observation = recalled.unwrap_or_else(|| runner.look(&probe));
                if sender.send((probe, observation, ms(asked.elapsed()))).is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    while left > 0 {
        match receiver.recv_timeout(TIME.saturating_sub(began.elapsed())) {
            Ok((probe, observation, took_ms)) => {
                answers.0.insert(probe, (observation, took_ms));
                left -= 1;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    answers
}

/// In milliseconds.
pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
