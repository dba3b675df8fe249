//! Takes and reads the samples that leaks are judged by. Samples may be lost; nothing depends on one.
use std::time::Duration;

use tracing::debug;
use wbd_engine::leak;
use wbd_engine::trend::Prior;
use wbd_ledger::Samples;
use wbd_model::name::ProfileName;
use wbd_model::observation::Observation;
use wbd_model::probe::{Probe, ProbeName};
use wbd_model::profile::{Leak, ProcessSelector};
use wbd_model::sample::{Sample, SegmentId};
use wbd_model::time::Now;

use crate::supervisor::Supervisor;

/// One reading takes milliseconds.
const READING: Duration = Duration::from_secs(1);

/// The trend of one process, from the samples of its present life.
pub(crate) fn trend(supervisor: &Supervisor, selector: &ProcessSelector, now: &Now) -> Observation {
    let seen = supervisor
        .leak_of(selector)
        .ok_or_else(|| "no profile says when it may be restarted".to_owned())
        .and_then(|(profile, window)| {
            let samples = supervisor.samples.as_ref().ok_or("samples are not kept")?;
            judge(samples, &profile, selector, &window, now).map_err(|error| error.to_string())
        });
    seen.unwrap_or_else(|why| Observation::unseen(ProbeName::FdTrend.fields(), &why))
}

fn judge(
    samples: &Samples,
    profile: &ProfileName,
    selector: &ProcessSelector,
    window: &Leak,
    now: &Now,
) -> Result<Observation, wbd_ledger::SamplesError> {
    // Verdicts go by the samples' own clock; only the window is the wall clock's.
    let (now_s, wall_s) = (samples.now_s(now)?, now.wall_ms / 1000);
    let offset_s = leak::offset_s(now_s, wall_s, wbd_probes::clock::zone_offset_s(wall_s));
    let process = process_name(profile, selector);
    let Some(segment) = samples.latest_segment(&process)? else {
        return Ok(leak::observe(&[], Prior::None, window, offset_s, now_s));
    };
    let series = samples.series(&segment)?;
    let known = samples.confirmed(&process, &segment.executable)?;
    let prior = if known { Prior::Confirmed } else { Prior::None };
    let all: Vec<Sample> = series.buckets.into_iter().chain(series.readings).collect();
    Ok(leak::observe(&all, prior, window, offset_s, now_s))
}

fn process_name(profile: &ProfileName, selector: &ProcessSelector) -> String {
    format!("{profile}/{}", selector.comm.as_deref().unwrap_or("main"))
}

impl Supervisor {
    /// The product whose leaking process this is, and when it may be restarted.
    fn leak_of(&self, selector: &ProcessSelector) -> Option<(ProfileName, Leak)> {
        let checks = self.checks.all.iter();
        let mut profiles = checks
            .filter(|check| check.bound.probes.values().any(|probe| *probe == Probe::FdTrend(selector.clone())))
            .filter_map(|check| check.bound.profile.clone());
        let name = profiles.next()?;
        let leak = self.loaded.library.profiles.get(&name)?.spec.leak.clone()?;
        Some((name, leak))
    }

    /// One reading of every process that a trend is asked of.
    pub(crate) fn take_samples(&mut self, now: &Now) {
        let mut asked: Vec<ProcessSelector> = Vec::new();
        for probe in self.checks.all.iter().flat_map(|check| check.bound.probes.values()) {
            if let Probe::FdTrend(selector) = probe
                && !asked.contains(selector)
            {
                asked.push(selector.clone());
            }
        }
        // On the loop: a program on a dead mount may cost this once, and then nothing while it hangs.
        let mut eyes = self.lookout.eyes().clone();
        eyes.deadline = READING;
        for selector in asked {
            let Some((profile, _)) = self.leak_of(&selector) else { continue };
            let reading = match eyes.reading(&selector) {
                Ok(Some(reading)) => reading,
                Ok(None) => continue,
                Err(why) => {
                    debug!(%profile, why, "no sample");
                    continue;
                }
            };
            let segment = SegmentId {
                process: process_name(&profile, &selector),
                start_ticks: reading.start_ticks,
                boot_id: now.boot.0.clone(),
                executable: reading.executable,
            };
            let Some(samples) = self.samples.as_mut() else { continue };
            let added = samples.now_s(now).and_then(|now_s| samples.add(&segment, now_s, reading.open, reading.limit));
            if let Err(error) = added {
                debug!(%error, "a sample is lost");
            }
        }
    }
}
