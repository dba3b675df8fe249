//! Which check is due when, and the answers its probes gave last. Judges nothing.
use std::collections::{BTreeMap, BTreeSet};

use wbd_engine::guard::waiver;
use wbd_engine::judge::snapshot::{self, CheckSnapshot, Seen};
use wbd_engine::judge::{Judgement, diagnose};
use wbd_engine::playbook::Bound;
use wbd_engine::state::State;
use wbd_model::check::CheckKey;
use wbd_model::observation::{Observation, Observations};
use wbd_model::probe::Probe;

/// A check that waits for a proof is looked at this often.
pub(crate) const PROVING_MS: u64 = 100;
/// The same for checks that ask the network or the whole process table.
const PROVING_COSTLY_MS: u64 = 1_000;

/// While a failure is held it is seen at least this often, so that a blink in between is noticed.
const LONGEST_SUSPENSE_MS: u64 = 1_000;

/// One check with its schedule and its last complete look.
#[derive(Debug)]
pub(crate) struct Check {
    /// The check.
    pub(crate) bound: Bound,
    /// When it is looked at next (milliseconds of this boot); while a look is under way, when the one after
    /// it was asked for.
    pub(crate) due_ms: u64,
    /// Answers older than this do not count for the look under way; `None`: no look is under way.
    wanted_ms: Option<u64>,
    /// The last complete look.
    pub(crate) last: Option<Looked>,
}

/// A complete look.
#[derive(Debug, Clone)]
pub(crate) struct Looked {
    /// What was seen.
    pub(crate) seen: Observations,
    /// What it says.
    pub(crate) judgement: Judgement,
    /// When the oldest of its answers began.
    pub(crate) began_ms: u64,
    /// The slowest of its probes.
    pub(crate) took_ms: u64,
}

#[derive(Debug)]
struct Answer {
    observation: Observation,
    began_ms: u64,
    took_ms: u64,
}

/// All checks of this host.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) all: Vec<Check>,
    answers: BTreeMap<Probe, Answer>,
}

impl Checks {
    /// Takes over a new set; what was seen stays for checks that ask the same. New ones are due at once.
    pub(crate) fn replace(&mut self, bounds: Vec<Bound>, now_ms: u64) {
        let mut old = std::mem::take(&mut self.all);
        let same = |old: &Check, new: &Bound| {
            old.bound.key == new.key && old.bound.digest == new.digest && old.bound.probes == new.probes
        };
        self.all = bounds
            .into_iter()
            .map(|bound| match old.iter().position(|check| same(check, &bound)) {
                // Settings and the profile's other facts may have changed all the same.
                Some(index) => Check { bound, ..old.swap_remove(index) },
                None => Check { bound, due_ms: now_ms, wanted_ms: None, last: None },
            })
            .collect();
        let used: BTreeSet<&Probe> = self.all.iter().flat_map(|check| check.bound.probes.values()).collect();
        self.answers.retain(|probe, _| used.contains(probe));
    }

    /// The keys of all checks.
    pub(crate) fn keys(&self) -> BTreeSet<CheckKey> {
        self.all.iter().map(|check| check.bound.key.clone()).collect()
    }

    /// The check of a key.
    pub(crate) fn get(&self, key: &CheckKey) -> Option<&Check> {
        self.all.iter().find(|check| check.bound.key == *key)
    }

    /// Probes to ask now: of the checks that are due and not being looked at.
    pub(crate) fn due(&mut self, now_ms: u64) -> BTreeSet<Probe> {
        let mut probes = BTreeSet::new();
        for check in &mut self.all {
            if check.wanted_ms.is_none() && check.due_ms <= now_ms {
                check.wanted_ms = Some(now_ms);
                check.due_ms = u64::MAX;
                probes.extend(check.bound.probes.values().cloned());
            }
        }
        probes
    }

    /// When the next check is due.
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.all.iter().filter(|check| check.wanted_ms.is_none()).map(|check| check.due_ms).min()
    }

    /// Looks at these checks at `at_ms` at the latest. A look that is under way may have begun before what
    /// happened now: it is followed by another one.
    pub(crate) fn hasten(&mut self, at_ms: u64, which: impl Fn(&Bound) -> bool) {
        for check in self.all.iter_mut().filter(|check| which(&check.bound)) {
            check.due_ms = check.due_ms.min(at_ms);
        }
    }

    /// Looks under way that ask such a question count only with answers from `from_ms` on, and others begin no earlier.
    pub(crate) fn begin_anew(&mut self, from_ms: u64, asks: impl Fn(&Probe) -> bool) {
        for check in self.all.iter_mut().filter(|check| check.bound.probes.values().any(&asks)) {
            match &mut check.wanted_ms {
                Some(wanted_ms) => *wanted_ms = from_ms.max(*wanted_ms),
                None => check.due_ms = check.due_ms.max(from_ms),
            }
        }
    }

    /// An answer came.
    pub(crate) fn answer(&mut self, probe: Probe, observation: Observation, began_ms: u64, took_ms: u64) {
        self.answers.insert(probe, Answer { observation, began_ms, took_ms });
    }

    /// Probes of looks under way whose last answer is too old for them: to be asked again.
    pub(crate) fn stale(&self) -> BTreeSet<Probe> {
        let mut probes = BTreeSet::new();
        for check in &self.all {
            let Some(wanted) = check.wanted_ms else { continue };
            let old = |probe: &&Probe| self.answers.get(probe).is_none_or(|answer| answer.began_ms < wanted);
            probes.extend(check.bound.probes.values().filter(old).cloned());
        }
        probes
    }

    /// Checks whose look is complete: index, what was seen, when it began, how long it took.
    pub(crate) fn complete(&self) -> Vec<(usize, Observations, u64, u64)> {
        let mut ready = Vec::new();
        for (index, check) in self.all.iter().enumerate() {
            let Some(wanted) = check.wanted_ms else { continue };
            let answer = |probe| self.answers.get(probe).filter(|answer: &&Answer| answer.began_ms >= wanted);
            if !check.bound.probes.values().all(|probe| answer(probe).is_some()) {
                continue;
            }
            let mut seen = Observations::new();
            let (mut began, mut took) = (u64::MAX, 0);
            for (name, probe) in &check.bound.probes {
                let Some(answer) = answer(probe) else { continue };
                seen.insert(name.clone(), answer.observation.clone());
                began = began.min(answer.began_ms);
                took = took.max(answer.took_ms);
            }
            ready.push((index, seen, began.min(u64::MAX - 1), took));
        }
        ready
    }

    /// Which failing check is a consequence of which other one, as they were seen last.
    pub(crate) fn causes(&self, state: &State, wall_ms: i64) -> Vec<(CheckKey, CheckKey)> {
        // What is waived is nobody's cause: what it would explain stands by itself.
        let counts = |key: &CheckKey| waiver::covering(&state.waivers, key, wall_ms).is_none();
        let looked = self.all.iter().filter(|check| counts(&check.bound.key));
        let judged: Vec<_> = looked.filter_map(|c| c.last.as_ref().map(|last| (&c.bound, &last.judgement))).collect();
        diagnose::diagnose(&judged)
    }

    /// What a check said last, for the engine.
    pub(crate) fn look(&self, key: &CheckKey, state: &State, causes: &[(CheckKey, CheckKey)]) -> Option<CheckSnapshot> {
        let check = self.get(key)?;
        let last = check.last.as_ref()?;
        let cause = causes.iter().find(|(consequence, _)| consequence == key).map(|(_, cause)| cause.clone());
        let seen = Seen { bound: &check.bound, judgement: &last.judgement, seen: &last.seen };
        Some(snapshot::of(&seen, state.open_for(key), cause))
    }

    /// Stores a complete look; the next one is due after the check's own interval, or when it was asked for.
    pub(crate) fn store(&mut self, index: usize, looked: Looked, now_ms: u64) {
        if let Some(check) = self.all.get_mut(index) {
            check.wanted_ms = None;
            check.due_ms = check.due_ms.min(now_ms + check.bound.every.as_ms());
            check.last = Some(looked);
        }
    }
}

/// When a check that fails and is not an incident yet is looked at again. `None`: its time is over and it
/// waits for something else (its cause), so its own interval is enough.
pub(crate) fn suspect_due_ms(since_ms: u64, held_for_ms: u64, now_ms: u64) -> Option<u64> {
    let over_ms = since_ms + held_for_ms;
    // A second's grace, since judging and planning do not share one moment.
    (over_ms + LONGEST_SUSPENSE_MS > now_ms).then(|| over_ms.clamp(now_ms + 50, now_ms + LONGEST_SUSPENSE_MS))
}

/// How soon a check that waits for a proof is looked at again.
pub(crate) fn proving_ms(bound: &Bound) -> u64 {
    let costly = bound.probes.values().any(|probe| probe.name().declaration().costly);
    if costly { PROVING_COSTLY_MS } else { PROVING_MS }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
pub(crate) mod tests;
