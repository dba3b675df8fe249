//! What the supervisor says of itself and of what it saw: status, report, incidents. Never a source of state.
use std::collections::BTreeMap;

use wbd_engine::guard::{self, hold, window};
use wbd_engine::judge::report::{self, Inputs, Row};
use wbd_engine::state::State;
use wbd_model::check::CheckKey;
use wbd_model::control::{self, CheckedRow, IncidentRow, Status};
use wbd_model::hold::HoldRow;
use wbd_model::incident::Phase;
use wbd_model::lang::Lang;
use wbd_model::report::{DaemonView, Report, SCHEMA};
use wbd_model::settings::{Healing, Settings};
use wbd_model::time::Now;
use wbd_probes::clock::now;

use crate::look::checks::Check;
use crate::talk::products;
use crate::view::View;
use wbd_model::control::Mode;

impl View<'_> {
    /// Open incidents, and the closed ones that are still in memory.
    pub(crate) fn incident_rows(&self, closed: bool) -> Vec<IncidentRow> {
        let rows = self.writer.state.incidents.values().filter(|incident| closed || !incident.is_closed());
        rows.map(|incident| IncidentRow {
            id: incident.id,
            code: incident.key.code.clone(),
            target: incident.key.target.clone(),
            playbook: incident.playbook.clone(),
            case: incident.case.clone(),
            phase: incident.phase.clone(),
            opened: incident.opened.wall_ms,
            changed: incident.changed.wall_ms,
            acts: incident.acts,
            held: incident.held().cloned(),
            guide: incident.escalated.clone().unwrap_or_default(),
            reason: incident.reason.clone(),
        })
        .collect()
    }

    /// How the daemon is.
    pub(crate) fn status(&self) -> Status {
        let now = now();
        // What stood in the part that cannot be read, nobody knows.
        let left = |of: fn(&State, &Settings, &Now) -> (u32, u32)| match self.writer.is_trusted() {
            true => of(&self.writer.state, &self.products.loaded.settings, &now),
            false => (0, 0),
        };
        let ((hour, day), (hour_others, day_others)) = (left(guard::budget_left), left(guard::budget_left_to_others));
        let holds = self.holds(&now);
        Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.mode,
            pid: std::process::id(),
            up_ms: now.since(&self.started.boot, self.started.boot_ms).unwrap_or(0),
            healing: self.products.loaded.settings.healing,
            healing_of: self.healing_of(),
            hold: (!holds.is_empty()).then(|| words(&holds)),
            holds,
            waivers: self.writer.state.waivers.clone(),
            degraded: Some(self.writer.degraded.clone()).filter(|why| !why.is_empty()),
            suspended: self.writer.state.suspended.keys().cloned().collect(),
            suspensions: self.suspensions(&now),
            playbooks: self.products.loaded.library.playbooks.len(),
            profiles: self.profiles(),
            ledger_seq: self.writer.state.seq,
            journal_unread: self.writer.anchors_unread().map(str::to_owned),
            budget_left_hour: hour,
            budget_left_day: day,
            budget_left_hour_others: Some(hour_others),
            budget_left_day_others: Some(day_others),
            open: self.incident_rows(false),
            handed_over: self.handed_over(),
            untold: self.notifier.untold_rows(&self.writer.state, &now),
            untold_dropped: self.notifier.untold_dropped(&self.writer.state),
            next: self.next(&now),
            checks: self.checked(&now),
            agent: Some(self.agent.row()),
            products: products::rows(self),
        }
    }

    /// The last complete look of each check.
    fn checked(&self, now: &Now) -> Vec<CheckedRow> {
        let row = |check: &Check| {
            let last = check.last.as_ref()?;
            let CheckKey { code, target } = check.bound.key.clone();
            let age_ms = now.boot_ms.saturating_sub(last.began_ms);
            Some(CheckedRow { code, target, verdict: last.judgement.verdict, age_ms })
        };
        self.checks.all.iter().filter_map(row).collect()
    }

    /// What holds actions back because a person said so: the pause, unless its time is over, and hold files.
    pub(crate) fn holds(&self, now: &Now) -> Vec<HoldRow> {
        hold::standing(&self.writer.state, now).map(|(file, hold)| hold::row(file, hold, now)).collect()
    }

    /// One that an operator asked for once more is open again, and not seen gone either.
    fn handed_over(&self) -> Vec<CheckKey> {
        let state = &self.writer.state;
        state.latched.iter().filter(|key| !state.open.contains_key(*key)).cloned().collect()
    }

    /// Playbooks that wbd itself stopped: why, and when each is tried once more.
    fn suspensions(&self, now: &Now) -> Vec<String> {
        let state = &self.writer.state;
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
        for incident in self.writer.state.open.values().filter_map(|id| self.writer.state.incidents.get(id)) {
            if let Some(until) = incident.held().and_then(|held| held.until_ms) {
                due.push((
                    until.saturating_sub(now.boot_ms),
                    format!("{}: next try for {}", incident.id, incident.key),
                ));
            } else if matches!(incident.phase, Phase::Verifying) {
                due.push((0, format!("{}: verification of {}", incident.id, incident.key)));
            }
        }
        let maintenance = self.products.loaded.settings.maintenance.as_ref();
        due.extend(maintenance.and_then(|maintenance| window::outlook(maintenance, now.wall_ms)));
        if let Some(at_ms) = self.checks.next_due_ms() {
            due.push((at_ms.saturating_sub(now.boot_ms), "next check".to_owned()));
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
                    held_ms: self.timers.failing_since(&check.bound.key).map(|since| now.boot_ms.saturating_sub(since)),
                    took_ms: last.took_ms,
                })
            })
            .collect();
        if !self.products.is_known() || rows.len() < self.checks.all.len() {
            return None;
        }
        let oldest = self.checks.all.iter().filter_map(|c| c.last.as_ref()).map(|last| last.began_ms).min();
        let age_ms = oldest.map_or(0, |began| now.boot_ms.saturating_sub(began));
        let mut report = report::report(Inputs {
            host: wbd_probes::host::name(),
            started_ms: now.wall_ms,
            duration_ms: 0,
            rows: &rows,
            unseen_profiles: &self.products.unseen,
            alike: &self.products.alike,
            forgotten: &self.products.forgotten,
            problems: &self.products.loaded.problems,
            daemon: Some(DaemonView {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                age_ms,
                healing: self.healing_words(),
            }),
            waivers: &self.writer.state.waivers,
            alone: self.mode == Mode::Standalone,
            lang: Lang::En,
        });
        report.holds = self.holds(&now);
        Some(report)
    }

    /// Products of this host that have a stricter mode than the host.
    fn healing_of(&self) -> BTreeMap<String, Healing> {
        let settings = &self.products.loaded.settings;
        let here = self.profiles();
        let own = settings.products.iter().filter(|(name, _)| here.contains(name));
        let own = own.filter_map(|(name, policy)| Some((name.clone(), policy.healing?)));
        own.filter(|(_, healing)| *healing < settings.healing).collect()
    }

    fn healing_words(&self) -> String {
        let mode = control::healing_words(self.products.loaded.settings.healing, &self.healing_of());
        match (self.holds(&now()).as_slice(), self.writer.degraded.as_str()) {
            (_, degraded) if !degraded.is_empty() => format!("nothing is done: {degraded}"),
            ([], _) => mode,
            (holds, _) if holds.iter().all(|row| row.busy.is_some()) => format!("held {}", words(holds)),
            (holds, _) => format!("paused {}", words(holds)),
        }
    }
}

/// All holds in words; empty for none.
fn words(holds: &[HoldRow]) -> String {
    holds.iter().map(hold::words).collect::<Vec<_>>().join("; ")
}

fn seconds(ms: u64) -> String {
    match ms / 1000 {
        0..10 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        seconds @ 10..7_200 => format!("{seconds} s"),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::Supervisor;
    use crate::testing::supervisor;
    use wbd_model::control::Mode;
    use wbd_model::incident::IncidentId;
    use wbd_model::name::{Code, TargetName};

    #[test]
    fn what_was_handed_over_and_is_tried_once_more_is_open_and_nothing_else() {
        let (_root, mut supervisor) = supervisor(Mode::Systemd);
        let key = CheckKey { code: Code::new("WBD-6007").unwrap(), target: TargetName::new("wbd").unwrap() };
        let is_told = |supervisor: &Supervisor| supervisor.view().status().handed_over.contains(&key);
        supervisor.writer.state.latched.insert(key.clone());
        assert!(is_told(&supervisor));
        supervisor.writer.state.open.insert(key.clone(), IncidentId(2));
        assert!(!is_told(&supervisor));
        supervisor.writer.state.open.remove(&key);
        assert!(is_told(&supervisor), "it was not seen gone");
    }
}
