//! One turn of the ring: complete looks are judged and handed to the engine; what it answers is written or
//! begun. Decides nothing itself.
use wbd_engine::judge::snapshot::{self, CheckSnapshot};
use wbd_engine::judge::words;
use wbd_engine::round::{self, Step};
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::incident::{Phase, Refusal};
use wbd_model::lang::Lang;
use wbd_model::time::Now;
use wbd_probes::clock::now;

use crate::event::{ActEvent, CheckEvent, NotifyEvent};
use crate::look::checks::suspect_due_ms;
use crate::supervisor::Supervisor;

/// How soon an open incident's check that could not be seen is looked at again.
const UNSEEN_MS: u64 = 2_000;

impl Supervisor {
    /// Judges what was seen and does what follows from it, until nothing more follows.
    pub(crate) fn turn(&mut self) {
        let began = now();
        let fresh = self.check_runner.judge_complete(&self.writer.state, &began);
        // Most events bring nothing new. Without anything open nothing becomes due by itself, and a record that was
        // written since the last turn may have left something to do.
        if fresh.is_empty() && self.writer.state.open.is_empty() && !self.writer.has_news() {
            return;
        }
        let known = self.check_runner.checks.keys();
        let causes = if fresh.is_empty() {
            Vec::new()
        } else {
            self.check_runner.checks.causes(&self.writer.state, now().wall_ms)
        };
        round::turn(|| {
            let now = now();
            let snapshots: Vec<CheckSnapshot> = fresh
                .iter()
                .filter_map(|key| self.check_runner.checks.look(key, &self.writer.state, &causes))
                .collect();
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
                let title = self.title(&entry);
                self.publisher.tell(&entry, title.as_deref());
            }
        }
        if escalated {
            self.on_tell(NotifyEvent::TimePassed, &now());
        }
    }

    /// What the playbook calls the failure that a record is the finding of.
    fn title(&self, entry: &Entry) -> Option<String> {
        let Body::Opened { case, .. } = &entry.body else { return None };
        let (code, target) = (entry.subject.code.clone()?, entry.subject.target.clone()?);
        let check = self.check_runner.checks.get(&CheckKey { code, target })?;
        let last = check.last.as_ref()?;
        let words = words::words(&check.bound, case, &last.seen, &last.judgement.lets, Lang::En);
        Some(words.title).filter(|title| !title.is_empty())
    }

    fn write_step(&mut self, now: &Now, subject: Subject, body: Body) {
        let opened = matches!(body, Body::Opened { .. });
        self.writer.write(now, subject.clone(), body);
        // An operator who ran the playbook by hand has approved what it does.
        if opened && let Some(who) = self.requests.takes_approval(&subject) {
            self.writer.write(now, subject, Body::Approved { who, shown: None });
        }
    }

    /// Checks that wait for a moment (hold time, backoff, proof) are looked at when it comes.
    fn plan_next_looks(&mut self, fresh: &[CheckKey]) {
        let now = now();
        for event in fresh.iter().filter_map(|key| self.next_look(key, now.boot_ms)).collect::<Vec<_>>() {
            self.on_check(event, &now);
        }
    }

    /// What this check waits for; `None`: nothing but its own interval, or an event.
    fn next_look(&self, key: &CheckKey, now_ms: u64) -> Option<CheckEvent> {
        let Some(incident) = self.writer.state.open_for(key) else { return self.suspect_look(key, now_ms) };
        let by = |at_ms| Some(CheckEvent::By(key.clone(), at_ms));
        let is_unseen = || self.check_runner.is_unseen(key);
        match (&incident.phase, incident.held()) {
            // What cannot be seen does not come sooner by being looked at without a pause.
            (Phase::Probation | Phase::Gated { .. }, _) if is_unseen() => by(now_ms + UNSEEN_MS),
            (Phase::Verifying | Phase::Indeterminate { .. } | Phase::Probation, _) => {
                Some(CheckEvent::Prove(key.clone()))
            }
            // A moment that has passed is an earlier refusal's: another one by the same guard stands now.
            (Phase::Gated { .. }, Some(&Refusal { until_ms: Some(until), .. })) if until > now_ms => by(until),
            // Looked at again when the executor is free (`executor_free`).
            (Phase::Gated { .. }, None) if self.action_runner.is_busy() => None,
            (Phase::Gated { .. }, None) => by(now_ms + 200),
            (Phase::Gated { .. } | Phase::Suppressed { .. }, _) => None,
            (Phase::Acting { .. } | Phase::RollingBack { .. } | Phase::Closed { .. }, _) => None,
        }
    }

    fn suspect_look(&self, key: &CheckKey, now_ms: u64) -> Option<CheckEvent> {
        let since = self.timers.failing_since(key)?;
        let check = self.check_runner.checks.get(key)?;
        let held_for = check.last.as_ref().map_or(0, |last| snapshot::hold_ms(&check.bound, &last.judgement));
        if self.writer.state.latched.contains(key) {
            return None;
        }
        suspect_due_ms(since, held_for, now_ms).map(|at_ms| CheckEvent::By(key.clone(), at_ms))
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
