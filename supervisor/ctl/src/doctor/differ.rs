//! Where doctor and the supervisor say different things of a check: the supervisor is asked to look again, and then the
//! worse one counts. Looks at nothing itself.
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use wbd_model::check::{CheckKey, Verdict};
use wbd_model::control::{Request, Response, Status};
use wbd_model::report::{Cause, CheckRow, Differing, OneView, Report};

use super::look::ms;
use super::merge;
use crate::client::{Client, Unanswered};
use crate::when;

/// A look takes this long at most; one that hangs is not waited for.
const LONGEST: Duration = Duration::from_secs(4);
/// Between two questions whether it has looked.
const PAUSE: Duration = Duration::from_millis(100);

/// What the supervisor says, and when it looked.
#[derive(Debug)]
struct Theirs<'a> {
    report: &'a Report,
    /// How long ago each check was looked at, where that is known.
    ages: BTreeMap<CheckKey, u64>,
    /// Why it did not look again.
    unasked: Option<String>,
}

/// The report with both views, after the supervisor looked again at what differs; it is waited for until `until`.
pub(super) fn settle(own: Report, theirs: &Report, client: &Client, until: Instant) -> Report {
    let keys = differing(&own, theirs);
    if keys.is_empty() {
        return own;
    }
    match look_again(client, &keys, until) {
        Ok((report, ages)) => weigh(own, &keys, &Theirs { report: &report, ages, unasked: None }),
        Err(why) => weigh(own, &keys, &Theirs { report: theirs, ages: BTreeMap::new(), unasked: Some(why) }),
    }
}

/// The checks of which both say something, and not the same. What could not be seen from here is taken over before.
fn differing(own: &Report, theirs: &Report) -> Vec<CheckKey> {
    let of = |row: &CheckRow| theirs.checks.iter().find(|theirs| key(theirs) == key(row)).map(|row| row.verdict);
    let said = own.checks.iter().filter(|row| row.verdict != Verdict::Unknown || row.unclear);
    said.filter(|row| of(row).is_some_and(|theirs| theirs != row.verdict)).map(key).collect()
}

/// The supervisor's report after it looked at these checks once more, and how long ago that was.
fn look_again(client: &Client, keys: &[CheckKey], until: Instant) -> Result<(Report, BTreeMap<CheckKey, u64>), String> {
    let asked = Instant::now();
    let until = until.min(asked + LONGEST);
    let call = |request: &Request| {
        let left = until.saturating_duration_since(Instant::now());
        let late = || format!("it did not look again within {}", when::length(ms(asked.elapsed())));
        if left.is_zero() {
            return Err(late());
        }
        client.within(left).call(request).map_err(|error| match error {
            Unanswered::Late(_) => late(),
            Unanswered::Unreachable(why) | Unanswered::NotPermitted(why) | Unanswered::Garbled(why) => why,
        })
    };
    let Response::Done { .. } = call(&Request::LookAgain { checks: keys.to_vec() })? else {
        // One of an earlier version does not know the question.
        return Err("it cannot be asked to look again; bring supervisor and wbdctl to one version".to_owned());
    };
    loop {
        let Response::Status(status) = call(&Request::Status {})? else {
            return Err("its answer makes no sense".to_owned());
        };
        let ages = ages(&status);
        let since = ms(asked.elapsed());
        if keys.iter().all(|key| ages.get(key).is_none_or(|age_ms| *age_ms <= since)) {
            let Response::Report(Some(report)) = call(&Request::Report {})? else {
                return Err("it has no report yet".to_owned());
            };
            return Ok((*report, ages));
        }
        sleep(PAUSE);
    }
}

fn ages(status: &Status) -> BTreeMap<CheckKey, u64> {
    let of = |code: &_, target: &_| CheckKey { code: Clone::clone(code), target: Clone::clone(target) };
    status.checks.iter().map(|row| (of(&row.code, &row.target), row.age_ms)).collect()
}

/// Of what still differs the worse view counts, and both are said.
fn weigh(mut own: Report, keys: &[CheckKey], theirs: &Theirs<'_>) -> Report {
    for key in keys {
        let find = |report: &Report| report.checks.iter().find(|row| self::key(row) == *key).cloned();
        let (Some(here), Some(there)) = (find(&own), find(theirs.report)) else { continue };
        if here.verdict == there.verdict {
            continue;
        }
        let view = |row: &CheckRow| OneView { verdict: row.verdict, reason: row.reason.clone() };
        let differing = Differing {
            code: key.code.clone(),
            target: key.target.clone(),
            here: view(&here),
            supervisor: view(&there),
            supervisor_age_ms: theirs.ages.get(key).copied(),
            not_asked: theirs.unasked.clone(),
        };
        let words = words(&differing);
        if there.verdict > here.verdict {
            take(&mut own.causes, &theirs.report.causes, key);
        }
        for cause in own.causes.iter_mut().filter(|cause| is_of(cause, key)) {
            cause.add(words.clone());
        }
        for row in own.checks.iter_mut().filter(|row| self::key(row) == *key) {
            row.verdict = here.verdict.max(there.verdict);
            row.reason.clone_from(&words);
        }
        own.differing.push(differing);
    }
    merge::settle(own)
}

/// Both views in a sentence.
fn words(both: &Differing) -> String {
    let view = |view: &OneView| match view.reason.as_str() {
        "" => view.verdict.as_str().to_owned(),
        reason => format!("{} ({reason})", view.verdict.as_str()),
    };
    let looked = match (&both.not_asked, both.supervisor_age_ms) {
        (Some(why), _) => {
            format!("the supervisor said {} before, and did not look again: {why}", view(&both.supervisor))
        }
        (None, Some(age_ms)) => {
            format!("the supervisor looked again {} ago and says {}", when::length(age_ms), view(&both.supervisor))
        }
        (None, None) => format!("the supervisor looked again and says {}", view(&both.supervisor)),
    };
    format!("doctor says {}; {looked}; the worse one counts", view(&both.here))
}

/// Takes over the supervisor's cause of a check in place of one's own.
fn take(own: &mut Vec<Cause>, theirs: &[Cause], key: &CheckKey) {
    let found: Vec<Cause> = theirs.iter().filter(|cause| is_of(cause, key)).cloned().collect();
    if !found.is_empty() {
        own.retain(|cause| !is_of(cause, key));
        own.extend(found);
    }
}

fn is_of(cause: &Cause, key: &CheckKey) -> bool {
    cause.code == key.code && cause.target == key.target
}

fn key(row: &CheckRow) -> CheckKey {
    CheckKey { code: row.code.clone(), target: row.target.clone() }
}

#[cfg(test)]
#[path = "differ_tests.rs"]
mod tests;
