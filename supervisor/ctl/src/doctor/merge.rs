//! What the supervisor saw and this user may not see: taken over with its age. Looks at nothing.
use std::collections::BTreeMap;

use wbd_model::check::{CheckKey, Verdict};
use wbd_model::report::{CheckRow, Overall, Report};

use crate::when;

/// Fills what is unknown here with what the supervisor's report says. A pass of the supervisor never raises the verdict.
pub(crate) fn fill(mut own: Report, daemon: &Report, age_ms: u64) -> Report {
    let age = when::length(age_ms);
    let theirs: BTreeMap<CheckKey, &CheckRow> = daemon.checks.iter().map(|row| (key(row), row)).collect();
    let mut taken = Vec::new();
    for row in own.checks.iter_mut().filter(|row| row.verdict == Verdict::Unknown) {
        let Some(seen) = theirs.get(&key(row)).filter(|seen| seen.verdict != Verdict::Unknown) else { continue };
        let own_reason = std::mem::take(&mut row.reason);
        row.verdict = seen.verdict;
        row.reason = format!("not to be seen from here ({own_reason}); the supervisor says {}, {age} ago: {}", seen.verdict.as_str(), seen.reason);
        taken.push(key(row));
    }
    let causes = daemon.causes.iter().filter(|cause| {
        let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
        taken.contains(&key)
    });
    own.causes.extend(causes.cloned());
    settle(own)
}

/// Sorts the causes, worst first, and says the whole in one word.
pub(crate) fn settle(mut report: Report) -> Report {
    report.causes.sort_by_key(|cause| std::cmp::Reverse(cause.severity));
    let worst = |verdict: Verdict| {
        report.checks.iter().any(|row| row.verdict == verdict) || report.causes.iter().any(|cause| cause.severity == verdict)
    };
    report.verdict = if worst(Verdict::Fail) {
        Overall::Fail
    } else if worst(Verdict::Warn) {
        Overall::Warn
    } else if worst(Verdict::Unknown) {
        Overall::Unknown
    } else {
        Overall::Ok
    };
    report
}

fn key(row: &CheckRow) -> CheckKey {
    CheckKey { code: row.code.clone(), target: row.target.clone() }
}
