//! Keeps what checks saw, for rehearsals: at once when a verdict or its case changes, else now and then where it differs.
//! What is lost makes a later rehearsal say "unknown"; nothing else depends on it, and nothing is judged here.
use std::collections::BTreeMap;

use tracing::debug;
use wbd_ledger::{Answer, Samples, SamplesError};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::observation::{Fact, Observation};
use wbd_model::probe::Probe;
use wbd_model::time::Now;

use crate::checks::Checks;
use crate::supervisor::Supervisor;

/// Answers whose verdict stays the same are kept this often, where they differ.
const SWEEP_MS: u64 = 300_000;
/// All facts of an answer are kept this often, so that older rows can go.
const WHOLE_MS: u64 = 86_400_000;
/// Old rows are dropped this often.
const FORGET_MS: u64 = 3_600_000;
/// Rows between two sweeps: a check that flickers must not fill the disk.
const ROWS: usize = 200;
/// A wall clock that ran this much apart from the boot's clock was set meanwhile, and tells no age.
const SET_CLOCK_MS: u64 = 3_600_000;

/// What was kept last.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    run: Option<(i64, Now)>,
    kept: BTreeMap<Probe, Kept>,
    verdicts: BTreeMap<CheckKey, (Verdict, Option<String>)>,
    sweep_ms: u64,
    forget_ms: u64,
    rows: usize,
}

#[derive(Debug)]
struct Kept {
    answer: Observation,
    whole_ms: u64,
}

impl Observer {
    /// Keeps what these checks (by index) have just seen, as far as it is news.
    fn keep(
        &mut self,
        samples: &mut Samples,
        checks: &Checks,
        looked: &[usize],
        now: &Now,
    ) -> Result<(), SamplesError> {
        let run = match &self.run {
            Some((run, _)) => *run,
            None => {
                let run = samples.begin_run(now)?;
                self.run = Some((run, now.clone()));
                self.sweep_ms = now.boot_ms + SWEEP_MS;
                run
            }
        };
        let sweeps = now.boot_ms >= self.sweep_ms;
        if sweeps {
            self.sweep_ms = now.boot_ms + SWEEP_MS;
            self.rows = 0;
        }
        let news = self.news(checks, looked, sweeps, now);
        if news.is_empty() && !sweeps {
            return Ok(());
        }
        self.rows += news.len();
        samples.keep_answers(run, now.boot_ms, &news)?;
        if sweeps && now.boot_ms >= self.forget_ms && self.tells_age(now) {
            self.forget_ms = now.boot_ms + FORGET_MS;
            samples.forget_answers(now.wall_ms)?;
            samples.prune(now.wall_ms / 1000)?;
        }
        Ok(())
    }

    fn news<'a>(&mut self, checks: &'a Checks, looked: &[usize], sweeps: bool, now: &Now) -> Vec<Answer<'a>> {
        let mut news = Vec::new();
        for (index, check) in checks.all.iter().enumerate() {
            let Some(last) = &check.last else { continue };
            let changed =
                looked.contains(&index) && self.is_news(&check.bound.key, last.judgement.verdict, &last.judgement.case);
            if !sweeps && (!changed || self.rows + news.len() >= ROWS) {
                continue;
            }
            for (name, probe) in &check.bound.probes {
                let answer = last.seen.get(name).and_then(|answer| self.difference(probe, answer, now.boot_ms));
                news.extend(answer);
            }
        }
        news
    }

    fn is_news(&mut self, key: &CheckKey, verdict: Verdict, case: &Option<String>) -> bool {
        let known = self.verdicts.get(key);
        if known.is_some_and(|(last, last_case)| *last == verdict && last_case == case) {
            return false;
        }
        self.verdicts.insert(key.clone(), (verdict, case.clone()));
        true
    }

    /// What of an answer is not kept yet.
    fn difference<'a>(&mut self, probe: &'a Probe, answer: &Observation, now_ms: u64) -> Option<Answer<'a>> {
        let Some(kept) = self.kept.get_mut(probe).filter(|kept| now_ms.saturating_sub(kept.whole_ms) < WHOLE_MS) else {
            self.kept.insert(probe.clone(), Kept { answer: answer.clone(), whole_ms: now_ms });
            return Some(Answer { probe, whole: true, facts: answer.facts.clone() });
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
        Some(Answer { probe, whole: false, facts })
    }

    /// Whether the wall clock was not set since this run began.
    fn tells_age(&self, now: &Now) -> bool {
        let Some((_, begun)) = &self.run else { return false };
        let ran = now.boot_ms.saturating_sub(begun.boot_ms);
        now.wall_ms.abs_diff(begun.wall_ms.saturating_add_unsigned(ran)) < SET_CLOCK_MS
    }
}

impl Supervisor {
    /// Keeps what these checks (by index) have just seen.
    pub(crate) fn keep_seen(&mut self, looked: &[usize], now: &Now) {
        let Some(samples) = self.samples.as_mut().filter(|_| !looked.is_empty()) else { return };
        if let Err(error) = self.observer.keep(samples, &self.checks, looked, now) {
            debug!(%error, "what was seen is not kept");
            // What the file holds now is not known: everything is written whole next time.
            self.observer.kept.clear();
        }
    }

    /// The last moment of this run: until here it looked.
    pub(crate) fn end_seen(&mut self, now: &Now) {
        if let (Some(samples), Some((run, _))) = (self.samples.as_mut(), &self.observer.run)
            && let Err(error) = samples.keep_answers(*run, now.boot_ms, &[])
        {
            debug!(%error, "the end of this run is not kept");
        }
    }
}

#[cfg(test)]
#[path = "observed_tests.rs"]
mod tests;
