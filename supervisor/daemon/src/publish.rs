//! Tells of what was decided: journal, status, report, the site's own program. Never a source of state.
use std::time::Duration;

use tracing::{error, info, warn};
use wbd_engine::guard;
use wbd_engine::replay::Hold;
use wbd_engine::report::{self, Inputs, Row};
use wbd_engine::window;
use wbd_engine::words::Lang;
use wbd_model::control::Status;
use wbd_model::entry::{Body, Entry};
use wbd_model::incident::Phase;
use wbd_model::report::{DaemonView, Report, SCHEMA};
use wbd_model::time::Now;
use wbd_probes::clock::now;

use crate::supervisor::Supervisor;

/// Journal message id of a record that needs a person.
const ESCALATED: &str = "5f0a1f1dd2c14a4f9a1e5b6c7d8e9f01";
/// Journal message id of every other record of an incident.
const RECORDED: &str = "5f0a1f1dd2c14a4f9a1e5b6c7d8e9f02";
const SITE_PROGRAM: Duration = Duration::from_secs(30);

impl Supervisor {
    /// Journal lines for the records that were written, and the site's program for escalations.
    pub(crate) fn publish_news(&mut self) {
        for entry in self.memory.take_news() {
            tell(&entry);
            if matches!(entry.body, Body::Escalated { .. }) {
                self.memory.anchor_head();
                self.run_site_program(&entry);
            }
        }
    }

    fn run_site_program(&self, entry: &Entry) {
        let argv = self.loaded.settings.on_escalation.clone();
        if argv.is_empty() {
            return;
        }
        let text = |value: Option<String>| value.unwrap_or_default();
        let env = vec![
            ("WBD_CODE".to_owned(), text(entry.subject.code.as_ref().map(ToString::to_string))),
            ("WBD_TARGET".to_owned(), text(entry.subject.target.as_ref().map(ToString::to_string))),
            ("WBD_INCIDENT".to_owned(), text(entry.subject.incident.map(|id| id.to_string()))),
            ("WBD_REASON".to_owned(), entry.body.evidence().join("\n")),
        ];
        tokio::spawn(async move {
            if let Err(error) = wbd_actions::run_site_program(&argv, &env, SITE_PROGRAM).await {
                error!(%error, program = argv.first(), "on_escalation failed");
            }
        });
    }

    /// How the daemon is.
    pub(crate) fn status(&self) -> Status {
        let now = now();
        let (hour, day) = guard::budget_left(&self.memory.state, &self.loaded.settings, &now);
        let hold = self.hold(&now);
        Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.mode_word().to_owned(),
            pid: std::process::id(),
            up_ms: now.since(&self.started.boot, self.started.boot_ms).unwrap_or(0),
            healing: format!("{:?}", self.loaded.settings.healing).to_lowercase(),
            hold: hold.map(|hold| format!("by {}: {}", hold.who, hold.why)).unwrap_or_default(),
            degraded: self.memory.degraded.clone(),
            suspended: self.memory.state.suspended.keys().cloned().collect(),
            suspensions: self.suspensions(&now),
            playbooks: self.loaded.library.playbooks.len(),
            profiles: self.profiles(),
            ledger_seq: self.memory.state.seq,
            budget_left_hour: hour,
            budget_left_day: day,
            open: self.incident_rows(false),
            next: self.next(&now),
        }
    }

    /// The operator's stop, unless its time is over.
    fn hold(&self, now: &Now) -> Option<&Hold> {
        self.memory.state.hold.as_ref().filter(|hold| hold.until_wall_ms.is_none_or(|until| now.wall_ms < until))
    }

    /// Playbooks that wbd itself stopped: why, and when each is tried once more.
    fn suspensions(&self, now: &Now) -> Vec<String> {
        let state = &self.memory.state;
        state.suspended.iter().map(|(name, suspension)| format!("{name}: {}", suspension.words(state, now))).collect()
    }

    fn profiles(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.checks.all.iter().filter_map(|check| check.bound.profile.as_ref()).map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What is due next, soonest first.
    fn next(&self, now: &Now) -> Vec<String> {
        let mut due: Vec<(u64, String)> = Vec::new();
        for incident in self.memory.state.open.values().filter_map(|id| self.memory.state.incidents.get(id)) {
            if let Some(until) = incident.held().and_then(|held| held.until_ms) {
                due.push((
                    until.saturating_sub(now.boot_ms),
                    format!("{}: next try for {}", incident.id, incident.key),
                ));
            } else if matches!(incident.phase, Phase::Verifying) {
                due.push((0, format!("{}: verification of {}", incident.id, incident.key)));
            }
        }
        let maintenance = self.loaded.settings.maintenance.as_ref();
        due.extend(maintenance.and_then(|maintenance| window::outlook(maintenance, now.wall_ms)));
        if let Some(at_ms) = self.checks.next_due_ms() {
            due.push((at_ms.saturating_sub(now.boot_ms), "next look".to_owned()));
        }
        due.sort();
        due.truncate(8);
        due.into_iter().map(|(ms, what)| format!("in {}: {what}", seconds(ms))).collect()
    }

    /// The latest verdicts as a report; `None` before every check was looked at once.
    pub(crate) fn report(&self) -> Option<Report> {
        let now = now();
        let rows: Vec<Row<'_>> = self
            .checks
            .all
            .iter()
            .filter_map(|check| {
                check.last.as_ref().map(|last| Row {
                    bound: &check.bound,
                    judgement: &last.judgement,
                    seen: &last.seen,
                    held_ms: self.turns.failing_since(&check.bound.key).map(|since| now.boot_ms.saturating_sub(since)),
                    took_ms: last.took_ms,
                })
            })
            .collect();
        if !self.is_bound || rows.len() < self.checks.all.len() {
            return None;
        }
        let oldest = self.checks.all.iter().filter_map(|c| c.last.as_ref()).map(|last| last.began_ms).min();
        let age_ms = oldest.map_or(0, |began| now.boot_ms.saturating_sub(began));
        Some(report::report(Inputs {
            host: wbd_probes::host::name(),
            started_ms: now.wall_ms,
            duration_ms: 0,
            rows: &rows,
            unseen_profiles: &self.unseen,
            problems: &self.loaded.problems,
            daemon: Some(DaemonView { age_ms, healing: self.healing_words() }),
            lang: Lang::En,
        }))
    }

    fn healing_words(&self) -> String {
        let mode = format!("{:?}", self.loaded.settings.healing).to_lowercase();
        match (self.hold(&now()), self.memory.degraded.as_str()) {
            (_, degraded) if !degraded.is_empty() => format!("nothing is done: {degraded}"),
            (Some(hold), _) => format!("paused by {}: {}", hold.who, hold.why),
            (None, _) => mode,
        }
    }
}

fn seconds(ms: u64) -> String {
    match ms / 1000 {
        0..10 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        seconds @ 10..7_200 => format!("{seconds} s"),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// One journal line for one record; nothing is decided by it.
fn tell(entry: &Entry) {
    let subject = &entry.subject;
    let word = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let incident = word(subject.incident.map(|id| id.to_string()));
    let code = word(subject.code.as_ref().map(ToString::to_string));
    let target = word(subject.target.as_ref().map(ToString::to_string));
    let kind = entry.body.kind();
    let result = entry.body.result().unwrap_or("-");
    let evidence = entry.body.evidence().join("; ");
    match &entry.body {
        Body::Escalated { .. } => {
            error!(
                MESSAGE_ID = ESCALATED,
                WBD_CODE = code,
                WBD_INCIDENT = incident,
                WBD_TARGET = target,
                kind,
                evidence,
                "a person is needed"
            );
        }
        Body::Opened { .. } | Body::Refused(_) | Body::Suspended { .. } => {
            warn!(
                MESSAGE_ID = RECORDED,
                WBD_CODE = code,
                WBD_INCIDENT = incident,
                WBD_TARGET = target,
                kind,
                result,
                evidence,
                "recorded"
            );
        }
        Body::Started { .. }
        | Body::Suppressed { .. }
        | Body::Unsuppressed {}
        | Body::Intent(_)
        | Body::Outcome { .. }
        | Body::Verdict { .. }
        | Body::Closed { .. }
        | Body::Approved { .. }
        | Body::Denied { .. }
        | Body::Cleared {}
        | Body::Manual { .. }
        | Body::Hold { .. }
        | Body::Lifted { .. }
        | Body::Resumed { .. }
        | Body::Rearmed {}
        | Body::Exit(_)
        | Body::Rotated { .. } => {
            info!(
                MESSAGE_ID = RECORDED,
                WBD_CODE = code,
                WBD_INCIDENT = incident,
                WBD_TARGET = target,
                kind,
                result,
                evidence,
                "recorded"
            );
        }
    }
}
