//! The owner of what is kept of looks, for rehearsals: at once when a verdict, its case or a fact that is no number
//! changes, each second while an incident is open, else now and then where it differs.
//! What is lost makes a later rehearsal say "unknown"; nothing else depends on it, and nothing is judged here.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::debug;
use wbd_ledger::{Answer, Samples, SamplesError};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::incident::IncidentId;
use wbd_model::observation::{Fact, Observation, Value};
use wbd_model::probe::Probe;
use wbd_model::time::Now;

use crate::look::checks::{Check, Checks, Looked};
use crate::look::samples::Store;

/// Answers whose verdict stays the same are kept this often, where they differ.
const SWEEP_MS: u64 = 300_000;
/// While a check has an open incident, they are kept this often: a proof may hang on a number.
const OPEN_MS: u64 = 1_000;
/// All facts of an answer are kept this often, so that older rows can go.
const WHOLE_MS: u64 = 86_400_000;
/// Old rows are dropped this often.
const FORGET_MS: u64 = 3_600_000;
/// Rows between two sweeps: a check that flickers must not fill the disk.
const ROWS: usize = 200;
/// A wall clock that ran this much apart from the boot's clock was set meanwhile, and tells no age.
const SET_CLOCK_MS: u64 = 3_600_000;

/// Batches that wait for the disk; further ones are lost.
const WAITING: usize = 32;
/// A supervisor that stops waits this long for the last of them.
const LAST: Duration = Duration::from_secs(2);

/// What was kept last.
#[derive(Debug, Default)]
pub(crate) struct FactRecorder {
    store: Option<Store>,
    writer: Option<Writer>,
    begun: Option<Now>,
    kept: BTreeMap<Probe, Kept>,
    verdicts: BTreeMap<CheckKey, Reported>,
    sweep_ms: u64,
    forget_ms: u64,
    rows: usize,
}

/// What a check said when its answers were kept last.
#[derive(Debug)]
struct Reported {
    verdict: Verdict,
    case: Option<String>,
    at_ms: u64,
}

#[derive(Debug)]
struct Kept {
    answer: Observation,
    whole_ms: u64,
}

/// What is to be kept of one moment.
#[derive(Debug)]
struct Batch {
    at: Now,
    answers: Vec<Answer>,
    /// Old rows are dropped, too.
    forgets: bool,
}

impl Batch {
    /// Blocks on the disk. `run`: this life of the supervisor, which begins with its first batch.
    fn write(&self, samples: &mut Samples, run: &mut Option<i64>) -> Result<(), SamplesError> {
        let run = match run {
            Some(run) => *run,
            None => *run.insert(samples.begin_run(&self.at)?),
        };
        samples.keep_answers(run, self.at.boot_ms, &self.answers)?;
        if self.forgets {
            samples.forget_answers(self.at.wall_ms)?;
        }
        Ok(())
    }
}

/// Writes batches on a thread of its own, in their order: the disk may be slow or hang, and the loop may not.
#[derive(Debug)]
struct Writer {
    queue: SyncSender<Batch>,
    lost: Arc<AtomicBool>,
    done: Receiver<()>,
}

impl Writer {
    fn begin(store: Store) -> std::io::Result<Self> {
        let (queue, batches) = sync_channel::<Batch>(WAITING);
        let (ended, done) = sync_channel(1);
        let lost = Arc::new(AtomicBool::new(false));
        let losing = Arc::clone(&lost);
        std::thread::Builder::new().name("observed".to_owned()).spawn(move || {
            let mut run = None;
            for batch in batches {
                if let Err(why) = store.with(|samples| batch.write(samples, &mut run)) {
                    debug!("what was seen is not kept: {why}");
                    losing.store(true, Ordering::SeqCst);
                }
            }
            let _ = ended.send(());
        })?;
        Ok(Self { queue, lost, done })
    }

    fn add(&self, batch: Batch) {
        if self.queue.try_send(batch).is_err() {
            self.lost.store(true, Ordering::SeqCst);
        }
    }

    /// The last moment of this run, and then the end of the thread, if the disk lets it.
    fn end(self, at: Now) {
        self.add(Batch { at, answers: Vec::new(), forgets: false });
        drop(self.queue);
        let _ = self.done.recv_timeout(LAST);
    }
}

impl FactRecorder {
    /// Keeps it there; `None`: nothing is kept.
    pub(crate) fn of(store: Option<Store>) -> Self {
        Self { store, ..Self::default() }
    }

    /// These checks (by index) have just seen something. `open`: which have an incident.
    pub(crate) fn looked(
        &mut self,
        looked: &[usize],
        checks: &Checks,
        open: &BTreeMap<CheckKey, IncidentId>,
        now: &Now,
    ) {
        let Some(store) = self.store.as_ref().filter(|_| !looked.is_empty()) else { return };
        if self.writer.is_none() {
            self.writer = Writer::begin(store.clone()).ok();
        }
        if self.writer.as_ref().is_none_or(|writer| writer.lost.swap(false, Ordering::SeqCst)) {
            // What the file holds now is not known: everything is written whole next time.
            self.kept.clear();
        }
        let batch = self.news(checks, looked, open, now);
        if let (Some(writer), Some(batch)) = (&self.writer, batch) {
            writer.add(batch);
        }
    }

    /// The last moment of this run: until here it looked.
    pub(crate) fn ends(&mut self, now: &Now) {
        if let Some(writer) = self.writer.take() {
            writer.end(now.clone());
        }
    }

    /// What is to be kept of what these checks (by index) have just seen; `None`: nothing.
    fn news(
        &mut self,
        checks: &Checks,
        looked: &[usize],
        open: &BTreeMap<CheckKey, IncidentId>,
        now: &Now,
    ) -> Option<Batch> {
        if self.begun.is_none() {
            self.begun = Some(now.clone());
            self.sweep_ms = now.boot_ms + SWEEP_MS;
        }
        let sweeps = now.boot_ms >= self.sweep_ms;
        if sweeps {
            self.sweep_ms = now.boot_ms + SWEEP_MS;
            self.rows = 0;
        }
        let mut answers = Vec::new();
        for (index, check) in checks.all.iter().enumerate() {
            let Some(last) = &check.last else { continue };
            let is_open = open.contains_key(&check.bound.key);
            let changed = looked.contains(&index) && self.is_news(check, last, is_open, now.boot_ms);
            if sweeps || changed && self.rows + answers.len() < ROWS {
                answers.extend(self.differences(check, last, now.boot_ms));
            }
        }
        if answers.is_empty() && !sweeps {
            return None;
        }
        self.rows += answers.len();
        let forgets = sweeps && now.boot_ms >= self.forget_ms && self.tells_age(now);
        if forgets {
            self.forget_ms = now.boot_ms + FORGET_MS;
        }
        Some(Batch { at: now.clone(), answers, forgets })
    }

    /// Whether what a check saw is to be kept now, if anything of it differs.
    fn is_news(&mut self, check: &Check, last: &Looked, is_open: bool, now_ms: u64) -> bool {
        let (verdict, case) = (last.judgement.verdict, &last.judgement.case);
        let same = self.verdicts.get(&check.bound.key).is_some_and(|told| {
            let fresh = now_ms.saturating_sub(told.at_ms) < OPEN_MS;
            told.verdict == verdict && told.case == *case && (!is_open || fresh)
        });
        if same && !self.turned(check, last) {
            return false;
        }
        let told = Reported { verdict, case: case.clone(), at_ms: now_ms };
        self.verdicts.insert(check.bound.key.clone(), told);
        true
    }

    /// Whether a fact that is no number is another one than was kept.
    fn turned(&self, check: &Check, last: &Looked) -> bool {
        let is_number = |fact: &Fact| matches!(fact, Fact::Known(Value::Int(_)));
        check.bound.probes.iter().any(|(name, probe)| {
            let (Some(kept), Some(answer)) = (self.kept.get(probe), last.seen.get(name)) else { return true };
            answer.facts.iter().any(|(field, fact)| match kept.answer.facts.get(field) {
                Some(old) if is_number(old) && is_number(fact) => false,
                old => old != Some(fact),
            })
        })
    }

    fn differences(&mut self, check: &Check, last: &Looked, now_ms: u64) -> Vec<Answer> {
        let probes = check.bound.probes.iter();
        let answered = probes.filter_map(|(name, probe)| Some((probe, last.seen.get(name)?)));
        answered.filter_map(|(probe, answer)| self.difference(probe, answer, now_ms)).collect()
    }

    /// What of an answer is not kept yet.
    fn difference(&mut self, probe: &Probe, answer: &Observation, now_ms: u64) -> Option<Answer> {
        let Some(kept) = self.kept.get_mut(probe).filter(|kept| now_ms.saturating_sub(kept.whole_ms) < WHOLE_MS) else {
            self.kept.insert(probe.clone(), Kept { answer: answer.clone(), whole_ms: now_ms });
            return Some(Answer { probe: probe.clone(), whole: true, facts: answer.facts.clone() });
        };
        let old = &kept.answer.facts;
        let facts: BTreeMap<String, Fact> = answer
            .facts
            .iter()
            .filter(|(name, fact)| old.get(*name) != Some(fact))
            .map(|(name, fact)| (name.clone(), fact.clone()))
            .collect();
        if facts.is_empty() {
            return None;
        }
        kept.answer = answer.clone();
        Some(Answer { probe: probe.clone(), whole: false, facts })
    }

    /// Whether the wall clock was not set since this run began.
    fn tells_age(&self, now: &Now) -> bool {
        let Some(begun) = &self.begun else { return false };
        let ran = now.boot_ms.saturating_sub(begun.boot_ms);
        now.wall_ms.abs_diff(begun.wall_ms.saturating_add_unsigned(ran)) < SET_CLOCK_MS
    }
}

#[cfg(test)]
#[path = "recorded_facts_tests.rs"]
mod tests;
