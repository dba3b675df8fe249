//! What is known at a moment of the record: the last answer to each question stands until the next one, as long as the
//! supervisor looked. Judges nothing.
use std::collections::BTreeMap;

use wbd_model::observation::{Observation, Observations};
use wbd_model::observed::Change;
use wbd_model::probe::{Probe, ProbeName};
use wbd_model::sample::Sample;
use wbd_model::time::Now;

use super::record::Record;
use crate::playbook::Bound;
use crate::state::State;
use crate::trend::{Prior, leak};

/// A trend is a matter of hours: it is asked of the samples this often, seconds.
const TREND_S: i64 = 3_600;

/// Where an answer is from; a better source is not replaced by a worse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Ledger,
    Samples,
    Kept,
}

/// An answer that stands.
#[derive(Debug)]
struct Standing {
    source: Source,
    /// Nothing of it is left out.
    whole: bool,
    answer: Observation,
}

/// The answers that stand.
#[derive(Debug)]
pub(super) struct Knowledge<'a> {
    record: &'a Record<'a>,
    answers: BTreeMap<&'a Probe, Standing>,
    trended_s: BTreeMap<&'a Probe, i64>,
    /// Somebody looks.
    pub(super) looks: bool,
}

impl<'a> Knowledge<'a> {
    pub(super) fn new(record: &'a Record<'a>) -> Self {
        Self { record, answers: BTreeMap::new(), trended_s: BTreeMap::new(), looks: false }
    }

    /// A run of the supervisor begins or ends: nothing is known.
    pub(super) fn forget(&mut self, looks: bool) {
        self.answers.clear();
        self.trended_s.clear();
        self.looks = looks;
    }

    /// An answer that was kept; the question it is of.
    pub(super) fn see(&mut self, change: &'a Change) -> Option<&'a Probe> {
        let probe = self.record.observed.questions.get(change.question)?;
        match self.answers.get_mut(probe).filter(|known| known.source == Source::Kept && !change.whole) {
            Some(known) => known.answer.facts.extend(change.facts.clone()),
            None if change.whole => {
                let mut answer = Observation::unseen(probe.name().fields(), "not recorded");
                answer.facts.extend(change.facts.clone());
                self.answers.insert(probe, Standing { source: Source::Kept, whole: true, answer });
            }
            // The whole answer before it is gone.
            None => return None,
        }
        Some(probe)
    }

    /// An answer that the ledger quotes, all of it or some of its facts.
    pub(super) fn quote(&mut self, probe: &'a Probe, answer: &Observation, whole: bool) {
        self.put(probe, Standing { source: Source::Ledger, whole, answer: answer.clone() });
    }

    /// What the ledger quoted is over.
    pub(super) fn unquote(&mut self, probe: &Probe) {
        if self.answers.get(probe).is_some_and(|known| known.source == Source::Ledger) {
            self.answers.remove(probe);
        }
    }

    /// The samples of a process up to now; the questions that they answer.
    pub(super) fn sample(&mut self, series: usize, count: usize) -> Vec<&'a Probe> {
        let record = self.record;
        let Some((segment, samples)) = record.observed.series.get(series) else { return Vec::new() };
        let Some(samples) = samples.get(..count) else { return Vec::new() };
        let Some(last) = samples.last() else { return Vec::new() };
        let mut answered = Vec::new();
        for probe in record.bounds.iter().chain(record.installed).flat_map(|bound| bound.probes.values()) {
            let (Probe::FdTrend(selector) | Probe::FdUsage(selector)) = probe else { continue };
            let Some((process, window)) = record.leaks.get(selector) else { continue };
            if *process != segment.process || answered.contains(&probe) || self.is_kept(probe) {
                continue;
            }
            if probe.name() == ProbeName::FdUsage {
                self.put(probe, Standing { source: Source::Samples, whole: true, answer: usage(last) });
                answered.push(probe);
            } else if self.trended_s.get(probe).is_none_or(|at_s| last.at_s - at_s >= TREND_S) {
                self.trended_s.insert(probe, last.at_s);
                let seen = leak::observe(samples, Prior::None, window, record.offset_s, last.at_s);
                self.put(probe, Standing { source: Source::Samples, whole: true, answer: seen });
                answered.push(probe);
            }
        }
        answered
    }

    /// What a check sees now, and whether all of it was recorded.
    pub(super) fn of(&self, bound: &Bound, state: &State, now: &Now) -> (Observations, bool) {
        let mut whole = self.looks;
        let mut seen = Observations::new();
        for (name, probe) in &bound.probes {
            let answer = match (self.answers.get(probe), probe) {
                (Some(known), _) => {
                    whole &= known.whole;
                    known.answer.clone()
                }
                (None, Probe::ExitLast(target)) if self.looks => state.exit_observation(target, now, None),
                (None, _) => {
                    whole = false;
                    Observation::unseen(probe.name().fields(), "not recorded")
                }
            };
            seen.insert(name.clone(), answer);
        }
        (seen, whole)
    }

    fn is_kept(&self, probe: &Probe) -> bool {
        self.answers.get(probe).is_some_and(|known| known.source == Source::Kept)
    }

    fn put(&mut self, probe: &'a Probe, answer: Standing) {
        if self.looks && self.answers.get(probe).is_none_or(|known| known.source <= answer.source) {
            self.answers.insert(probe, answer);
        }
    }
}

/// What a sample says of the present use.
fn usage(sample: &Sample) -> Observation {
    let mut seen = Observation::unseen(ProbeName::FdUsage.fields(), "samples do not tell");
    seen.know("open", i64::from(sample.last));
    if sample.limit > 0 && sample.limit < u32::MAX {
        seen.know("soft", i64::from(sample.limit));
        seen.know("percent", i64::from(sample.last) * 100 / i64::from(sample.limit));
    }
    seen
}
