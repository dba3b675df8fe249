//! Takes and reads the samples that leaks are judged by. Samples may be lost; nothing depends on one.
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
use wbd_probes::Eyes;

use crate::supervisor::Supervisor;

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
    let now_s = now.wall_ms / 1000;
    let process = process_name(profile, selector);
    let Some(segment) = samples.latest_segment(&process)? else {
        return Ok(leak::observe(&[], Prior::None, window, 0, now_s));
    };
    let series = samples.series(&segment)?;
    let known = samples.confirmed(&process, &segment.executable)?;
    let prior = if known { Prior::Confirmed } else { Prior::None };
    let all: Vec<Sample> = series.buckets.into_iter().chain(series.readings).collect();
    Ok(leak::observe(&all, prior, window, wbd_probes::clock::zone_offset_s(now_s), now_s))
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
        for selector in asked {
            let Some((profile, _)) = self.leak_of(&selector) else { continue };
            let reading = match Eyes::new(self.root.clone()).reading(&selector) {
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
            let now_s = now.wall_ms / 1000;
            if let Some(samples) = self.samples.as_mut()
                && let Err(error) = samples.add(&segment, now_s, reading.open, reading.limit)
            {
                debug!(%error, "a sample is lost");
            }
        }
    }
}
