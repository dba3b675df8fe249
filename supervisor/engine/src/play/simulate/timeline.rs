//! Everything that was recorded, in the order in which it happened: across boots by the order of writing, within a
//! boot by its own clock, so that a step of the wall clock changes nothing. Decides nothing.
use std::collections::{BTreeMap, BTreeSet};

use wbd_model::entry::Body;
use wbd_model::time::{BootId, Now};

use super::event::{Moment, SupervisorRun, TimelineEvent};
use super::ledger;
use super::record::Record;

/// All of it, in order.
pub(super) fn build<'a>(record: &Record<'a>) -> Vec<Moment<'a>> {
    let lives = lives(record);
    let boots = boots(record);
    let order: BTreeMap<&BootId, usize> = boots.iter().zip(0..).collect();
    let mut moments = Vec::new();
    let mut put = |at: Now, what: TimelineEvent<'a>| {
        if let Some(boot) = order.get(&at.boot) {
            moments.push(Moment { boot: *boot, at, what });
        }
    };
    for life in &lives {
        put(life.begun.clone(), TimelineEvent::Begun);
        put(life.moment(life.until_ms), TimelineEvent::Ended);
    }
    for entry in record.entries {
        put(entry.at.clone(), TimelineEvent::Entry(entry));
    }
    for change in &record.observed.changes {
        if let Some(run) = record.observed.runs.get(change.run) {
            put(run.moment(change.at_ms), TimelineEvent::Seen(change));
        }
    }
    for (at, what) in ledger::quotes(record, &lives) {
        put(at, what);
    }
    for (at, what) in samples(record, &lives) {
        put(at, what);
    }
    moments.sort_by_key(|moment| (moment.boot, moment.at.boot_ms, moment.what.rank()));
    moments
}

/// Boots in the order in which they were: both records are in order, and share those that both know.
fn boots(record: &Record<'_>) -> Vec<BootId> {
    let mut order: Vec<BootId> = Vec::new();
    let mut placed: BTreeSet<&BootId> = BTreeSet::new();
    let mut runs = record.observed.runs.iter().map(|run| &run.begun.boot).peekable();
    let kept: BTreeSet<&BootId> = runs.clone().collect();
    for boot in record.entries.iter().map(|entry| &entry.at.boot) {
        if placed.contains(boot) {
            continue;
        }
        if kept.contains(boot) {
            while let Some(earlier) = runs.next_if(|earlier| *earlier != boot) {
                if placed.insert(earlier) {
                    order.push(earlier.clone());
                }
            }
        }
        placed.insert(boot);
        order.push(boot.clone());
    }
    order.extend(runs.filter(|boot| placed.insert(boot)).cloned());
    order
}

/// From each start to the last sign of life before the next one.
fn lives(record: &Record<'_>) -> Vec<SupervisorRun> {
    let mut lives: Vec<SupervisorRun> = Vec::new();
    for (index, entry) in record.entries.iter().enumerate() {
        let starts = matches!(entry.body, Body::Started { .. });
        let goes_on = lives.last_mut().filter(|life| !starts && index > 0 && life.begun.boot == entry.at.boot);
        match goes_on {
            Some(life) => life.until_ms = life.until_ms.max(entry.at.boot_ms),
            None => lives.push(SupervisorRun { begun: entry.at.clone(), until_ms: entry.at.boot_ms }),
        }
    }
    let mut more = Vec::new();
    for run in &record.observed.runs {
        let began =
            |life: &&mut SupervisorRun| life.begun.boot == run.begun.boot && life.begun.boot_ms <= run.begun.boot_ms;
        match lives.iter_mut().filter(began).max_by_key(|life| life.begun.boot_ms) {
            Some(life) => life.until_ms = life.until_ms.max(run.until_ms),
            None => more.push(SupervisorRun { begun: run.begun.clone(), until_ms: run.until_ms }),
        }
    }
    lives.extend(more);
    lives
}

/// The samples of the processes that are asked about, on the clock of their boot.
fn samples<'a>(record: &Record<'a>, lives: &[SupervisorRun]) -> Vec<(Now, TimelineEvent<'a>)> {
    let mut all = Vec::new();
    for (index, (segment, samples)) in record.observed.series.iter().enumerate() {
        if !record.leaks.values().any(|(process, _)| *process == segment.process) {
            continue;
        }
        let Some(life) = lives.iter().find(|life| life.begun.boot.0 == segment.boot_id) else { continue };
        for (number, sample) in samples.iter().enumerate() {
            let since_ms = sample.at_s.saturating_mul(1000).saturating_sub(life.begun.wall_ms);
            let at_ms = life.begun.boot_ms.saturating_add_signed(since_ms);
            all.push((life.moment(at_ms), TimelineEvent::Sampled(index, number + 1)));
        }
    }
    all
}
