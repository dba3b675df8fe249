//! After the action: whether the cure is proved in time, and stays. Decides nothing about actions.
use wbd_model::check::Verdict;
use wbd_model::entry::Body;
use wbd_model::incident::Closing;
use wbd_model::time::Now;

use super::step::{Step, close, write};
use super::timers::Timers;
use crate::judge::Verification;
use crate::judge::snapshot::CheckSnapshot;
use crate::state::Incident;

pub(super) fn verifying(timers: &mut Timers, snapshot: &CheckSnapshot, incident: &Incident, now: &Now) -> Option<Step> {
    let verdict = |passed: bool| {
        let after_ms = now.since(&incident.opened.boot, incident.opened.boot_ms).unwrap_or(now.boot_ms);
        let mut evidence = snapshot.evidence.clone();
        if let Verification::Unknown(why) = &snapshot.cured {
            evidence.push(format!("could not be seen: {why}"));
        }
        Some(write(incident.subject(), Body::Verdict { passed, evidence, after_ms }))
    };
    if snapshot.cured == Verification::Passed {
        let since = *timers.proven.entry(incident.id).or_insert(now.boot_ms);
        if now.boot_ms.saturating_sub(since) >= snapshot.verify_hold_ms {
            timers.proven.remove(&incident.id);
            return verdict(true);
        }
    } else {
        timers.proven.remove(&incident.id);
    }
    // Proof that began in time may finish its hold.
    let began = timers.proven.contains_key(&incident.id);
    // After a reboot the time begins with this process's first look: before it nobody could see anything.
    let waited_ms = now
        .since(&incident.since.boot, incident.since.boot_ms)
        .unwrap_or_else(|| now.boot_ms.saturating_sub(*timers.proving.entry(incident.id).or_insert(now.boot_ms)));
    if waited_ms >= snapshot.within_ms && !began {
        timers.proving.remove(&incident.id);
        return verdict(false);
    }
    None
}

pub(super) fn probation(snapshot: &CheckSnapshot, incident: &Incident, now: &Now) -> Option<Step> {
    if snapshot.verdict == Verdict::Fail {
        let after_ms = now.since(&incident.opened.boot, incident.opened.boot_ms).unwrap_or(now.boot_ms);
        let evidence = std::iter::once("it came back".to_owned()).chain(snapshot.evidence.iter().cloned()).collect();
        return Some(write(incident.subject(), Body::Verdict { passed: false, evidence, after_ms }));
    }
    let over = now.since(&incident.since.boot, incident.since.boot_ms).is_none_or(|ms| ms >= snapshot.verify_hold_ms);
    // A check that needs days of samples cannot say "pass" yet; the proof that still holds can.
    let good = snapshot.verdict != Verdict::Unknown || snapshot.cured == Verification::Passed;
    (over && good).then(|| close(incident, Closing::Healed))
}
