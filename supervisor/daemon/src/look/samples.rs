//! The owner of the samples: takes and reads those that leaks are judged by. Samples may be lost; nothing depends on
//! one.
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use tracing::debug;
use wbd_engine::trend::leak;
use wbd_ledger::{Samples, SamplesError};
use wbd_model::observation::Observation;
use wbd_model::probe::{Probe, ProbeName};
use wbd_model::profile::{Leak, ProcessSelector};
use wbd_model::sample::SegmentId;
use wbd_model::time::Now;
use wbd_probes::ProbeRunner;

use super::checks::Checks;
use crate::event::loaded::Loaded;

/// A disk that has not answered by then is not waited for.
const DISK: Duration = Duration::from_secs(5);
/// Between two looks whether the samples are free.
const PAUSE: Duration = Duration::from_millis(20);
/// Old samples are dropped this often, seconds.
const PRUNE_S: i64 = 3_600;

/// The samples as the loop's threads share them: the disk that they are on may be slow or hang, and the loop may not.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    kept: Arc<Mutex<Kept>>,
    sampling: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Kept {
    samples: Samples,
    pruned_s: i64,
}

impl Store {
    pub(crate) fn new(samples: Samples) -> Self {
        let kept = Kept { samples, pruned_s: 0 };
        Self { kept: Arc::new(Mutex::new(kept)), sampling: Arc::default() }
    }

    /// Blocks on the disk.
    ///
    /// # Errors
    /// In words, why it cannot be done.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Samples) -> Result<T, SamplesError>) -> Result<T, String> {
        work(&mut self.lock()?.samples).map_err(|error| error.to_string())
    }

    /// Blocks, but not for ever: whoever has them may hang on a dead disk.
    fn lock(&self) -> Result<MutexGuard<'_, Kept>, String> {
        let until = Instant::now() + DISK;
        loop {
            match self.kept.try_lock() {
                Ok(kept) => return Ok(kept),
                Err(TryLockError::Poisoned(kept)) => return Ok(kept.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err("the samples do not come off the disk; look for a stuck one".to_owned());
                }
            }
        }
    }
}

/// What is asked of the samples: the trend of one process in its present life.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    store: Store,
    process: String,
    window: Leak,
    now: Now,
}

impl Question {
    /// The answer. Blocks on the disk.
    pub(crate) fn answer(&self) -> Observation {
        let seen = self.store.lock().and_then(|mut kept| {
            judge(&mut kept.samples, &self.process, &self.window, &self.now).map_err(|error| error.to_string())
        });
        seen.unwrap_or_else(|why| unseen(&why))
    }
}

fn unseen(why: &str) -> Observation {
    Observation::unseen(ProbeName::FdTrend.fields(), why)
}

fn judge(samples: &mut Samples, process: &str, window: &Leak, now: &Now) -> Result<Observation, SamplesError> {
    let wall_s = now.wall_ms / 1000;
    let zone_s = wbd_probes::clock::zone_offset_s(wall_s);
    let clocks = leak::Clocks { samples_s: samples.now_s(now)?, wall_s, zone_s };
    let life = samples.latest_life(process)?.unwrap_or_default();
    let (seen, confirmed) = leak::present(&life.samples, life.confirmed, window, &clocks);
    if confirmed
        && !life.confirmed
        && let Err(error) = samples.mark_confirmed(process, &life.executable, clocks.samples_s)
    {
        // What is seen now is true all the same; the next look tries again.
        debug!("the leak of {process} is not kept for its later lives: {error}");
    }
    Ok(seen)
}

/// Takes samples, and knows what can be asked of them.
#[derive(Debug)]
pub(crate) struct Sampler {
    store: Option<Store>,
    due_ms: u64,
}

impl Sampler {
    /// `None`: samples are not kept.
    pub(crate) fn new(store: Option<Store>) -> Self {
        Self { store, due_ms: 0 }
    }

    /// When samples are taken next.
    pub(crate) fn next_ms(&self) -> u64 {
        self.due_ms
    }

    /// The checks of this host are known: samples are taken now.
    pub(crate) fn hasten(&mut self, now_ms: u64) {
        self.due_ms = now_ms;
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, checks: &Checks, loaded: &Loaded, runner: &ProbeRunner, now: &Now) {
        if now.boot_ms >= self.due_ms {
            self.due_ms = now.boot_ms + loaded.settings.sample_every.as_ms();
            self.take(checks, loaded, runner, now);
        }
    }

    /// The question behind a probe of a trend.
    pub(crate) fn question(&self, probe: &Probe, checks: &Checks, loaded: &Loaded, now: &Now) -> Option<Question> {
        let Probe::FdTrend(selector) = probe else { return None };
        let (process, window) = leak_of(selector, checks, loaded)?;
        let store = self.store.clone()?;
        Some(Question { store, process, window, now: now.clone() })
    }

    /// Why a trend cannot even be asked for.
    pub(crate) fn no_trend(&self, selector: &ProcessSelector, checks: &Checks, loaded: &Loaded) -> Option<Observation> {
        if leak_of(selector, checks, loaded).is_none() {
            return Some(unseen("no profile says when it may be restarted"));
        }
        self.store.is_none().then(|| unseen("samples are not kept"))
    }

    /// One reading of every process that a trend is asked of, on a thread of its own. One that is late is not
    /// overtaken by the next.
    fn take(&self, checks: &Checks, loaded: &Loaded, runner: &ProbeRunner, now: &Now) {
        let mut asked: BTreeSet<&ProcessSelector> = BTreeSet::new();
        for probe in checks.all.iter().flat_map(|check| check.bound.probes.values()) {
            if let Probe::FdTrend(selector) = probe {
                asked.insert(selector);
            }
        }
        let leaks = loaded.library.leaks(checks.all.iter().map(|check| &check.bound));
        let all: Vec<_> = leaks.into_iter().filter(|(selector, _)| asked.contains(selector)).collect();
        let Some(store) = self.store.clone().filter(|_| !all.is_empty()) else { return };
        if store.sampling.swap(true, Ordering::SeqCst) {
            debug!("the last samples are not written yet; this time none are taken");
            return;
        }
        let (runner, now) = (runner.clone(), now.clone());
        tokio::task::spawn_blocking(move || {
            for (selector, (process, _)) in &all {
                if let Err(why) = sample(&store, &runner, process, selector, &now) {
                    debug!("no sample of {process}: {why}");
                }
            }
            store.sampling.store(false, Ordering::SeqCst);
        });
    }
}

/// The name of the leaking process's samples, and when it may be restarted.
fn leak_of(selector: &ProcessSelector, checks: &Checks, loaded: &Loaded) -> Option<(String, Leak)> {
    loaded.library.leaks(checks.all.iter().map(|check| &check.bound)).remove(selector)
}

fn sample(
    store: &Store,
    runner: &ProbeRunner,
    process: &str,
    selector: &ProcessSelector,
    now: &Now,
) -> Result<(), String> {
    let Some(reading) = runner.reading(selector)? else { return Ok(()) };
    let segment = SegmentId {
        process: process.to_owned(),
        start_ticks: reading.start_ticks,
        boot_id: now.boot.0.clone(),
        executable: reading.executable,
    };
    let mut kept = store.lock()?;
    let now_s = kept.samples.now_s(now).map_err(|error| error.to_string())?;
    if now_s.saturating_sub(kept.pruned_s) >= PRUNE_S {
        kept.pruned_s = now_s;
        kept.samples.prune(now_s).map_err(|error| error.to_string())?;
    }
    kept.samples.add(&segment, now_s, reading.open, reading.limit).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "samples_tests.rs"]
mod tests;
