//! Drives the ring along the record: at each thing that happened, and in between where something waits for a moment.
//! The ring decides; nothing is decided here.
use std::collections::{BTreeMap, BTreeSet};

use wbd_model::check::{CheckKey, Verdict};
use wbd_model::entry::{Body, Entry};
use wbd_model::incident::{Closing, IncidentId};
use wbd_model::name::PlaybookName;
use wbd_model::observation::Observations;
use wbd_model::probe::Probe;
use wbd_model::time::Now;

use super::event::{Moment, TimelineEvent};
use super::knowledge::Knowledge;
use super::record::{Record, causes};
use super::report::{CheckReport, Recorder, SimulationReport};
use crate::judge::snapshot::{self, Seen};
use crate::judge::{self, Judgement, diagnose};
use crate::play::rehearse::Simulator;
use crate::playbook::Bound;
use crate::round;

/// After something was written or seen a check is looked at again so soon ...
const SOON_MS: u64 = 1_000;
/// ... then less and less often, down to this, while something is under way.
const SELDOM_MS: u64 = 600_000;

/// One check that is rehearsed, or that may explain one.
struct Check<'a> {
    bound: &'a Bound,
    plays: bool,
    seen: Observations,
    judgement: Option<Judgement>,
    recorded_since: Option<u64>,
    undecided_since: Option<u64>,
    dirty: bool,
    wake_ms: Option<u64>,
    pause_ms: u64,
    /// Since when it sees the same.
    stirred_ms: u64,
    /// All of what it saw last was recorded.
    whole: bool,
    report: CheckReport,
}

struct Drive<'a> {
    record: &'a Record<'a>,
    simulator: Simulator<'a>,
    knowledge: Knowledge<'a>,
    checks: Vec<Check<'a>>,
    recorder: Recorder<'a>,
    replaced: Replaced,
    /// The moment from which on it is decided has come.
    begun: bool,
    now: Option<Now>,
}

/// Records of the playbooks that are rehearsed: in the rehearsal they never were.
struct Replaced {
    playbooks: BTreeSet<PlaybookName>,
    keys: BTreeSet<CheckKey>,
    incidents: BTreeSet<IncidentId>,
}

impl Replaced {
    fn takes(&mut self, entry: &Entry) -> bool {
        let subject = &entry.subject;
        let key = || Some(CheckKey { code: subject.code.clone()?, target: subject.target.clone()? });
        let named = || subject.playbook.as_ref().is_some_and(|playbook| self.playbooks.contains(playbook));
        let taken = subject.incident.is_some_and(|id| self.incidents.contains(&id))
            || key().map_or_else(named, |key| self.keys.contains(&key));
        if let (true, Some(id)) = (taken, subject.incident) {
            self.incidents.insert(id);
        }
        taken
    }
}

/// Rehearses along the timeline.
pub(super) fn drive<'a>(record: &'a Record<'a>, timeline: &'a [Moment<'a>]) -> Result<SimulationReport, String> {
    let mut drive = Drive::new(record);
    for moment in timeline {
        drive.go_to(&moment.at)?;
        drive.take(moment);
    }
    drive.settle()?;
    Ok(drive.end())
}

impl<'a> Drive<'a> {
    fn new(record: &'a Record<'a>) -> Self {
        let entries = record.entries.iter();
        let first_incident = entries.clone().filter_map(|e| e.subject.incident).map(|id| id.0).max().unwrap_or(0) + 1;
        let action = |entry: &Entry| if let Body::Intent(intent) = &entry.body { intent.action_id.0 } else { 0 };
        let recorded = entries.clone().filter_map(|entry| {
            Some(CheckKey { code: entry.subject.code.clone()?, target: entry.subject.target.clone()? })
        });
        let known = recorded.chain(record.keys().into_iter().cloned()).collect();
        let mut simulator = Simulator::new(record.settings, known);
        let playbooks: BTreeSet<PlaybookName> = record.bounds.iter().map(|bound| bound.playbook.clone()).collect();
        simulator.only = Some(playbooks.clone());
        simulator.state.next_incident = first_incident;
        simulator.state.next_action = entries.map(action).max().unwrap_or(0) + 1;
        let played = record.bounds.iter().map(|bound| Check::new(bound, true));
        let others = causes(record.bounds, record.installed).map(|bound| Check::new(bound, false));
        Self {
            record,
            simulator,
            knowledge: Knowledge::new(record),
            checks: played.chain(others).collect(),
            recorder: Recorder::new(record, first_incident),
            replaced: Replaced {
                playbooks,
                keys: record.keys().into_iter().cloned().collect(),
                incidents: BTreeSet::new(),
            },
            begun: false,
            now: None,
        }
    }

    /// Everything that waits for a moment up to this one.
    fn go_to(&mut self, at: &Now) -> Result<(), String> {
        let Some(now) = self.now.clone().filter(|now| now != at) else { return Ok(()) };
        self.settle()?;
        if now.boot != at.boot {
            return Ok(());
        }
        loop {
            let next = self.checks.iter().filter_map(|check| check.wake_ms).min();
            let Some(next) = next.filter(|next| *next < at.boot_ms) else { return Ok(()) };
            let passed = next.saturating_sub(now.boot_ms);
            let then =
                Now { boot: now.boot.clone(), boot_ms: next, wall_ms: now.wall_ms.saturating_add_unsigned(passed) };
            for check in self.checks.iter_mut().filter(|check| check.wake_ms.is_some_and(|wake| wake <= next)) {
                check.dirty = true;
            }
            self.now = Some(then);
            self.settle()?;
        }
    }

    /// One thing that happened.
    fn take(&mut self, moment: &'a Moment<'a>) {
        let at = &moment.at;
        self.now = Some(at.clone());
        if !self.begun && at.wall_ms >= self.record.from_wall_ms {
            self.begun = true;
            self.recorder.report.from = Some(at.wall_ms);
            self.checks.iter_mut().for_each(|check| check.dirty = true);
        }
        self.recorder.report.to = Some(at.wall_ms);
        match &moment.what {
            TimelineEvent::Begun => self.begin(true),
            TimelineEvent::Ended => self.begin(false),
            TimelineEvent::Entry(entry) => self.entry(entry),
            TimelineEvent::Seen(change) => {
                let probe = self.knowledge.see(change);
                self.stir(probe.as_slice());
            }
            TimelineEvent::Quoted(probe, answer, whole) => {
                self.knowledge.quote(probe, answer, *whole);
                self.stir(&[probe]);
            }
            TimelineEvent::Over(probes) => {
                probes.iter().for_each(|probe| self.knowledge.unquote(probe));
                self.stir(&probes.iter().collect::<Vec<_>>());
                self.lose_sight(probes);
            }
            TimelineEvent::Sampled(series, count) => {
                let probes = self.knowledge.sample(*series, *count);
                self.stir(&probes);
            }
        }
    }

    /// A run of the supervisor begins or ends: it knows nothing, and what it had in mind is gone.
    fn begin(&mut self, looks: bool) {
        self.knowledge.forget(looks);
        self.simulator.timers = round::Timers::default();
        let now_ms = self.now.as_ref().map_or(0, |now| now.boot_ms);
        for check in &mut self.checks {
            check.close_spans(now_ms);
            check.judgement = None;
            check.wake_ms = None;
            check.dirty = false;
        }
    }

    fn entry(&mut self, entry: &Entry) {
        if self.replaced.takes(entry) {
            self.gone_in_life(entry);
            if self.begun {
                let report = &mut self.recorder.report;
                report.actions_in_life += u64::from(matches!(entry.body, Body::Intent(_)));
                report.decisions_in_life +=
                    u64::from(matches!(entry.body, Body::Approved { .. } | Body::Denied { .. }));
            }
            return;
        }
        self.simulator.state.apply(entry);
        // A pause that was lifted, a cause that was healed: who waits asks again.
        for check in self.checks.iter_mut().filter(|check| check.wake_ms.is_some()) {
            check.dirty = true;
        }
    }

    /// The record says that a failure was gone: it may be opened again.
    fn gone_in_life(&mut self, entry: &Entry) {
        let gone = matches!(entry.body, Body::Closed { how: Closing::Healed | Closing::SelfHealed } | Body::Cleared {});
        if let (true, Some(code), Some(target)) = (gone, &entry.subject.code, &entry.subject.target) {
            self.simulator.state.seen_gone(&CheckKey { code: code.clone(), target: target.clone() });
        }
    }

    /// Nothing is known any more of checks that ask these: the course of their incidents cannot be told further.
    fn lose_sight(&mut self, probes: &[Probe]) {
        let Some(now) = self.now.clone() else { return };
        let asks = |check: &&Check<'_>| check.plays && check.bound.probes.values().any(|probe| probes.contains(probe));
        for check in self.checks.iter().filter(asks) {
            let (_, whole) = self.knowledge.of(check.bound, &self.simulator.state, &now);
            let Some(id) = self.simulator.state.open.get(&check.bound.key).copied().filter(|_| !whole) else {
                continue;
            };
            self.recorder.lose(&now, &check.bound.key, &check.bound.playbook, id);
            self.simulator.state.open.remove(&check.bound.key);
            self.simulator.state.incidents.remove(&id);
        }
    }

    /// Checks that ask one of these look again.
    fn stir(&mut self, probes: &[&Probe]) {
        let now_ms = self.now.as_ref().map_or(0, |now| now.boot_ms);
        for check in &mut self.checks {
            if check.bound.probes.values().any(|probe| probes.contains(&probe)) {
                check.dirty = true;
                check.pause_ms = SOON_MS;
                check.stirred_ms = now_ms;
            }
        }
    }

    /// One turn over the checks that have something new to look at.
    fn settle(&mut self) -> Result<(), String> {
        let Some(now) = self.now.clone() else { return Ok(()) };
        if !self.begun || !self.knowledge.looks || !self.checks.iter().any(|check| check.dirty) {
            return Ok(());
        }
        for check in self.checks.iter_mut().filter(|check| check.dirty) {
            let (seen, whole) = self.knowledge.of(check.bound, &self.simulator.state, &now);
            check.judged(judge::judge(check.bound, &seen), whole, now.boot_ms);
            check.seen = seen;
        }
        let causes = self.explained();
        let looked: Vec<(Seen<'_>, Option<CheckKey>)> = self
            .checks
            .iter()
            .filter(|check| check.dirty && check.plays)
            .filter_map(|check| {
                let seen = Seen { bound: check.bound, judgement: check.judgement.as_ref()?, seen: &check.seen };
                Some((seen, causes.get(&check.bound.key).cloned()))
            })
            .collect();
        let recorder = &mut self.recorder;
        let mut written: BTreeSet<CheckKey> = BTreeSet::new();
        let mut unseen: BTreeSet<CheckKey> = BTreeSet::new();
        let whole: BTreeSet<&CheckKey> =
            self.checks.iter().filter(|check| check.whole).map(|check| &check.bound.key).collect();
        self.simulator.turn(&now, &looked, &mut |state, subject, body| {
            let key = match (&subject.code, &subject.target) {
                (Some(code), Some(target)) => Some(CheckKey { code: code.clone(), target: target.clone() }),
                _ => None,
            };
            let sees = key.as_ref().is_none_or(|key| whole.contains(key));
            if let (Body::Verdict { passed: false, .. }, false, Some(key)) = (body, sees, &key) {
                unseen.insert(key.clone());
            }
            written.extend(key);
            recorder.tell(&now, state, subject, body, sees);
        })?;
        drop(looked);
        unseen.iter().for_each(|key| self.set_aside(key));
        self.plan_wakes(&now, &written);
        Ok(())
    }

    /// A proof that failed because nothing was recorded is no failed proof: the course ends here, untold.
    fn set_aside(&mut self, key: &CheckKey) {
        let state = &mut self.simulator.state;
        let Some(incident) = state.open.remove(key).and_then(|id| state.incidents.remove(&id)) else { return };
        if let Some(count) = state.failures.get_mut(&incident.playbook) {
            *count = count.saturating_sub(1);
        }
    }

    fn explained(&self) -> BTreeMap<CheckKey, CheckKey> {
        let fails = |check: &&Check<'_>| check.judgement.as_ref().is_some_and(|says| says.verdict == Verdict::Fail);
        if !self.checks.iter().any(|check| !check.bound.explains.is_empty() && fails(&check)) {
            return BTreeMap::new();
        }
        let judged: Vec<_> =
            self.checks.iter().filter_map(|check| Some((check.bound, check.judgement.as_ref()?))).collect();
        diagnose::diagnose(&judged).into_iter().collect()
    }

    /// When a check is looked at next although nothing is seen anew: where time alone may change something.
    fn plan_wakes(&mut self, now: &Now, written: &BTreeSet<CheckKey>) {
        for check in self.checks.iter_mut().filter(|check| check.dirty) {
            check.dirty = false;
            check.wake_ms = None;
            let (state, key) = (&self.simulator.state, &check.bound.key);
            let incident = state.open_for(key);
            let Some(says) = check.judgement.as_ref().filter(|_| check.plays) else { continue };
            if incident.is_none() && says.verdict != Verdict::Fail && !state.latched.contains(key) {
                continue;
            }
            check.pause_ms = if written.contains(key) { SOON_MS } else { (check.pause_ms * 2).min(SELDOM_MS) };
            let bound = check.bound;
            let held = self.simulator.timers.failing_since(key).map(|since| since + snapshot::hold_ms(bound, says));
            let refused = incident.and_then(|incident| incident.held()).and_then(|held| held.until_ms);
            let proof = incident.filter(|incident| incident.since.boot == now.boot).map(|incident| {
                let since = incident.since.boot_ms;
                // Proved since it sees this, or since the action.
                let proved = since.max(check.stirred_ms).saturating_add(bound.verify_hold.as_ms());
                [
                    since.saturating_add(bound.verify_within.as_ms()),
                    since.saturating_add(bound.verify_hold.as_ms()),
                    proved,
                ]
            });
            let known = held.into_iter().chain(refused).chain(proof.into_iter().flatten());
            let soonest = known.filter(|at_ms| *at_ms > now.boot_ms).min();
            let later = now.boot_ms.saturating_add(check.pause_ms);
            check.wake_ms = Some(soonest.map_or(later, |at_ms| at_ms.min(later)));
        }
    }

    fn end(mut self) -> SimulationReport {
        let now_ms = self.now.as_ref().map_or(0, |now| now.boot_ms);
        let checks = self.checks.into_iter().filter(|check| check.plays).map(|mut check| {
            check.close_spans(now_ms);
            check.report
        });
        self.recorder.report.checks = checks.collect();
        for check in &mut self.recorder.report.checks {
            let bound = self.record.bounds.iter().find(|b| b.key.code == check.code && b.key.target == check.target);
            if let Some(bound) = bound.filter(|_| check.recorded_ms == 0) {
                let asked = bound.probes.values().filter(|probe| !self.record.observed.questions.contains(probe));
                check.never_recorded = asked.map(|probe| probe.name().as_str().to_owned()).collect();
            }
        }
        self.recorder.report
    }
}

impl<'a> Check<'a> {
    fn new(bound: &'a Bound, plays: bool) -> Self {
        Self {
            bound,
            plays,
            seen: Observations::new(),
            judgement: None,
            recorded_since: None,
            undecided_since: None,
            dirty: false,
            wake_ms: None,
            pause_ms: SOON_MS,
            stirred_ms: 0,
            whole: false,
            report: CheckReport {
                code: bound.key.code.clone(),
                target: bound.key.target.clone(),
                playbook: bound.playbook.clone(),
                recorded_ms: 0,
                undecided_ms: 0,
                failures: 0,
                never_recorded: BTreeSet::new(),
            },
        }
    }

    fn judged(&mut self, says: Judgement, whole: bool, now_ms: u64) {
        self.whole = whole;
        let failed = self.judgement.as_ref().is_some_and(|says| says.verdict == Verdict::Fail);
        self.report.failures += u64::from(says.verdict == Verdict::Fail && !failed);
        let undecided = whole && says.verdict == Verdict::Unknown;
        self.judgement = Some(says);
        if !whole || self.undecided_since.is_some() != undecided {
            self.close_spans(now_ms);
        }
        if whole {
            self.recorded_since.get_or_insert(now_ms);
        }
        if undecided {
            self.undecided_since.get_or_insert(now_ms);
        }
    }

    fn close_spans(&mut self, now_ms: u64) {
        let since = |since: Option<u64>| since.map_or(0, |since| now_ms.saturating_sub(since));
        self.report.recorded_ms += since(self.recorded_since.take());
        self.report.undecided_ms += since(self.undecided_since.take());
    }
}
