//! What the supervisor saw and this user may not see: taken over with its age. Looks at nothing.
use std::collections::BTreeMap;

use wbd_model::check::{CheckKey, Verdict};
use wbd_model::report::{CheckRow, Overall, Report};

use crate::when;

/// The code under which the engine reports a product whose presence is unknown.
const UNSEEN_PRODUCT: &str = "WBD-PROFILE";

/// Fills what could not be seen from here from the supervisor's report. A pass of the supervisor never raises the verdict.
pub(crate) fn fill(mut own: Report, daemon: &Report, age_ms: u64) -> Report {
    let age = when::length(age_ms);
    let theirs: BTreeMap<CheckKey, &CheckRow> = rows(daemon).map(|row| (key(row), row)).collect();
    let mut taken = Vec::new();
    let waived = own.waived.iter_mut().flat_map(|row| &mut row.checks);
    for row in own.checks.iter_mut().chain(waived).filter(|row| row.verdict == Verdict::Unknown && !row.unclear) {
        let Some(seen) = theirs.get(&key(row)).filter(|seen| seen.verdict != Verdict::Unknown) else { continue };
        let own_reason = std::mem::take(&mut row.reason);
        row.verdict = seen.verdict;
        row.reason = format!(
            "this user cannot see it ({own_reason}); the supervisor said {}, {age} ago: {}",
            seen.verdict.as_str(),
            seen.reason
        );
        taken.push(key(row));
    }
    taken.extend(products(&mut own, daemon, &age));
    let causes = daemon.causes.iter().filter(|cause| {
        let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
        taken.contains(&key)
    });
    own.causes.extend(causes.cloned());
    settle(own)
}

/// All of a report's checks, the waived ones too.
fn rows(report: &Report) -> impl Iterator<Item = &CheckRow> {
    report.checks.iter().chain(report.waived.iter().flat_map(|row| &row.checks))
}

/// Where nothing could be checked from here for want of playbooks, all of the supervisor's checks, with their age.
pub(crate) fn take_over(mut own: Report, daemon: &Report, age_ms: u64) -> Report {
    let age = when::length(age_ms);
    let known: Vec<CheckKey> = own.checks.iter().map(key).collect();
    for row in daemon.checks.iter().filter(|row| !known.contains(&key(row))) {
        let reason =
            format!("doctor did not check it; the supervisor said {}, {age} ago: {}", row.verdict.as_str(), row.reason);
        own.checks.push(CheckRow { reason, ..row.clone() });
    }
    let news = daemon
        .causes
        .iter()
        .filter(|cause| !own.causes.iter().any(|known| known.code == cause.code && known.target == cause.target));
    let news: Vec<_> = news.cloned().collect();
    own.causes.extend(news);
    settle(own)
}

/// Products whose presence cannot be told from here: the supervisor's checks of them are taken over whole.
fn products(own: &mut Report, daemon: &Report, age: &str) -> Vec<CheckKey> {
    let unseen = |row: &CheckRow| row.code.as_str() == UNSEEN_PRODUCT && row.verdict == Verdict::Unknown;
    let mut taken = Vec::new();
    let mut rows = Vec::new();
    for row in own.checks.iter_mut().filter(|row| unseen(row)) {
        if daemon.checks.iter().any(|theirs| unseen(theirs) && theirs.target == row.target) {
            continue;
        }
        let of_it = |theirs: &&CheckRow| theirs.target.as_str().split('/').next() == Some(row.target.as_str());
        let found: Vec<CheckRow> = daemon.checks.iter().filter(of_it).cloned().collect();
        for theirs in &daemon.waived {
            let found: Vec<CheckRow> = theirs.checks.iter().filter(of_it).cloned().collect();
            own.waived
                .iter_mut()
                .filter(|own| own.waiver == theirs.waiver)
                .for_each(|own| own.checks.extend(found.clone()));
        }
        let (verdict, word) =
            if found.is_empty() { (Verdict::Skip, "is not on this host") } else { (Verdict::Pass, "is on this host") };
        row.reason = format!("this user cannot see it ({}); the supervisor said {age} ago that it {word}", row.reason);
        row.verdict = verdict;
        taken.extend(found.iter().map(key));
        rows.extend(found);
    }
    own.checks.extend(rows);
    taken
}

/// Sorts the causes, worst first, and says the whole in one word.
pub(crate) fn settle(mut report: Report) -> Report {
    report.causes.sort_by_key(|cause| std::cmp::Reverse(cause.severity));
    let worst = |verdict: Verdict| {
        report.checks.iter().any(|row| row.verdict == verdict)
            || report.causes.iter().any(|cause| cause.severity == verdict)
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
