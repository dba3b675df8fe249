//! One turn of the ring: complete looks are judged and handed to the engine; what it answers is written or
//! begun. Decides nothing itself.
use wbd_engine::judge;
use wbd_engine::judge::snapshot::{self, CheckSnapshot};
use wbd_engine::round::{self, Step};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{Phase, Refusal};
use wbd_model::time::Now;
use wbd_probes::clock::now;

use crate::event::{ActEvent, NotifyEvent};
use crate::look::checks::{Looked, suspect_due_ms};
use crate::supervisor::Supervisor;
use crate::tell::publish;

/// How soon an open incident's check that could not be seen is looked at again.
const UNSEEN_MS: u64 = 2_000;

impl Supervisor {
    /// Judges what was seen and does what follows from it, until nothing more follows.
    pub(crate) fn turn(&mut self) {
        let began = now();
        let fresh = self.judge_complete(&began);
        // Most events bring nothing new. Without anything open nothing becomes due by itself, and a record that was
        // written since the last turn may have left something to do.
        if fresh.is_empty() && self.writer.state.open.is_empty() && !self.writer.has_news() {
            return;
        }
        let known = self.checks.keys();
        let causes = if fresh.is_empty() { Vec::new() } else { self.checks.causes(&self.writer.state, now().wall_ms) };
        round::turn(|| {
            let now = now();
            let snapshots: Vec<CheckSnapshot> =
                fresh.iter().filter_map(|key| self.checks.look(key, &self.writer.state, &causes)).collect();
            let steps = round::round(
                &self.writer.state,
                &mut self.timers,
                &snapshots,
                &known,
                &self.products.loaded.settings,
                &now,
            );
            let mut written = false;
            for step in steps {
                match step {
                    Step::Write(subject, body) => {
                        self.write_step(&now, subject, *body);
                        written = true;
                    }
                    Step::Act(want) => self.on_action(ActEvent::Wanted(want), &now),
                }
            }
            written
        });
        // What an operator asked for is over, or was not needed: it is no approval for a later incident.
        if self.timers.asked.is_none() {
            self.requests.forget_approval();
        }
        self.plan_next_looks(&fresh);
        self.publish_news();
    }

    /// Journal lines for the records that were written; a person is told of escalations.
    fn publish_news(&mut self) {
        let mut escalated = false;
        for entry in self.writer.take_news() {
            if let Body::Escalated { reason, guide } = &entry.body {
                self.writer.anchor_head();
                let (about, at) = (entry.subject.clone(), entry.at.clone());
                let (reason, guide) = (reason.clone(), guide.clone());
                self.on_tell(NotifyEvent::Escalated { about, at, reason, guide }, &now());
                escalated = true;
            } else {
                publish::tell(&entry);
            }
        }
        if escalated {
            self.on_tell(NotifyEvent::TimePassed, &now());
        }
    }

    fn write_step(&mut self, now: &Now, subject: Subject, body: Body) {
        let opened = matches!(body, Body::Opened { .. });
        self.writer.write(now, subject.clone(), body);
        // An operator who ran the playbook by hand has approved what it does.
        if opened && let Some(who) = self.requests.takes_approval(&subject) {
            self.writer.write(now, subject, Body::Approved { who, shown: None });
        }
    }

    /// Judges the complete looks; gives those that may be acted on. A look that began before the last
    /// record of its incident was written tells of the time before it and is only shown.
    fn judge_complete(&mut self, now: &Now) -> Vec<CheckKey> {
        let mut fresh = Vec::new();
        let mut looked = Vec::new();
        for (index, seen, began_ms, took_ms) in self.checks.complete() {
            let Some(check) = self.checks.all.get(index) else { continue };
            let key = check.bound.key.clone();
            let judgement = judge::judge(&check.bound, &seen);
            let outdated = self
                .writer
                .state
                .open_for(&key)
                .is_some_and(|incident| incident.changed.boot == now.boot && began_ms < incident.changed.boot_ms);
            self.checks.store(index, Looked { seen, judgement, began_ms, took_ms }, now.boot_ms);
            looked.push(index);
            if outdated {
                self.hasten_check(&key, now.boot_ms);
            } else {
                fresh.push(key);
            }
        }
        self.fact_recorder.looked(&looked, &self.checks, &self.writer.state.open, now);
        fresh
    }

    /// Checks that wait for a moment (hold time, backoff, proof) are looked at when it comes.
    fn plan_next_looks(&mut self, fresh: &[CheckKey]) {
        let now_ms = now().boot_ms;
        for key in fresh {
            match self.writer.state.open_for(key).map(|incident| (&incident.phase, incident.held().cloned())) {
                Some((Phase::Verifying | Phase::Indeterminate { .. }, _)) => self.prove(key),
                // What cannot be seen does not come sooner by being looked at without a pause.
                Some((Phase::Probation | Phase::Gated { .. }, _)) if self.is_unseen(key) => {
                    self.hasten_check(key, now_ms + UNSEEN_MS);
                }
                Some((Phase::Probation, _)) => self.prove(key),
                // A moment that has passed is an earlier refusal's: another one by the same guard stands now.
                Some((Phase::Gated { .. }, Some(Refusal { until_ms: Some(until), .. }))) if until > now_ms => {
                    self.hasten_check(key, until);
                }
                // Looked at again when the executor is free (`executor_free`).
                Some((Phase::Gated { .. }, None)) if self.action_runner.is_busy() => {}
                Some((Phase::Gated { .. }, None)) => self.hasten_check(key, now_ms + 200),
                Some((Phase::Gated { .. } | Phase::Suppressed { .. }, _)) => {}
                Some((Phase::Acting { .. } | Phase::RollingBack { .. } | Phase::Closed { .. }, _)) => {}
                None => self.plan_suspect(key, now_ms),
            }
        }
    }

    fn is_unseen(&self, key: &CheckKey) -> bool {
        let last = self.checks.get(key).and_then(|check| check.last.as_ref());
        last.is_some_and(|last| last.judgement.verdict == Verdict::Unknown)
    }

    fn plan_suspect(&mut self, key: &CheckKey, now_ms: u64) {
        let Some(since) = self.timers.failing_since(key) else { return };
        let Some(check) = self.checks.get(key) else { return };
        let held_for = check.last.as_ref().map_or(0, |last| snapshot::hold_ms(&check.bound, &last.judgement));
        if self.writer.state.latched.contains(key) {
            return;
        }
        if let Some(at_ms) = suspect_due_ms(since, held_for, now_ms) {
            self.hasten_check(key, at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use wbd_model::name::PlaybookName;

    use super::*;
    use crate::testing::supervisor;
    use wbd_model::control::Mode;

    #[test]
    fn an_event_that_brings_nothing_new_leads_to_nothing() {
        let (_root, mut supervisor) = supervisor(Mode::Systemd);
        let playbook = PlaybookName::new("dns").unwrap();
        // What any round would write a record about.
        supervisor.writer.state.failures.insert(playbook.clone(), 99);
        let (seq, is_suspended) =
            (supervisor.writer.state.seq, |it: &Supervisor| it.writer.state.suspended.contains_key(&playbook));
        supervisor.turn();
        assert!(supervisor.writer.state.seq == seq && !is_suspended(&supervisor));
        // Twin: a record was written since the last turn.
        supervisor.manual("reload", "somebody", "settings and playbooks");
        supervisor.turn();
        assert!(is_suspended(&supervisor));
    }
}
