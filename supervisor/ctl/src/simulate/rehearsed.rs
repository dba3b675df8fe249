//! A rehearsal that was made, with its record, and what no record can tell. Shows nothing.
use std::collections::BTreeSet;

use serde_json::Value;
use wbd_engine::play::simulate::SimulationReport;
use wbd_model::name::ProfileName;
use wbd_model::settings::Settings;

use crate::cli::Simulate;

/// Where a record is from, and what stands beside it.
pub(super) struct Origin {
    pub(super) words: String,
    pub(super) host: Option<String>,
    pub(super) settings: Settings,
    pub(super) present: BTreeSet<ProfileName>,
    pub(super) made: i64,
    pub(super) offset_s: i32,
}

/// What was asked for, and what came of it.
pub(super) struct Rehearsed<'a> {
    pub(super) order: &'a Simulate,
    pub(super) origin: Origin,
    pub(super) playbooks: Vec<Value>,
    pub(super) report: SimulationReport,
    pub(super) entries: usize,
    pub(super) answers: usize,
    pub(super) duration_ms: u64,
}

/// Something was recorded of at least one check.
pub(super) fn is_known(report: &SimulationReport) -> bool {
    report.checks.iter().any(|check| check.recorded_ms > 0) || report.totals.incidents > 0
}

/// What no record can tell.
pub(super) fn limits(rehearsed: &Rehearsed<'_>) -> Vec<String> {
    let report = &rehearsed.report;
    let mut limits = vec![
        "What an action would have changed: after each one the record goes on as it really went.".to_owned(),
        "What lies between two records: an answer stands until the next one, and numbers that change no verdict of \
         the installed playbooks are kept every five minutes; nothing is known while the supervisor did not run."
            .to_owned(),
        "What a rollback would have put back; settings and profiles of that time: they are taken as they are now."
            .to_owned(),
    ];
    if report.actions_in_life > 0 {
        limits.push(format!(
            "How it would have gone without the {} actions that wbd really did for these failures.",
            report.actions_in_life
        ));
    }
    if report.decisions_in_life > 0 {
        limits.push(format!(
            "What a person would have decided: {} decisions (approvals or denials) on these failures are not carried \
             over.",
            report.decisions_in_life
        ));
    }
    limits
}
