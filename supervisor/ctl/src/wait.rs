//! Waits for what comes of a request: reads the supervisor's incidents until each has ended, or a deadline is over. Asks
//! for nothing else.
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::control::{CheckedRow, IncidentRow, Request, Response};
use wbd_model::incident::{Closing, Guard, IncidentId, Phase, Refusal};
use wbd_model::report::SCHEMA;
use wbd_model::time::Now;

use crate::Context;
use crate::ask;
use crate::cli::Format;
use crate::client::Client;
use crate::exit::{Ended, Exit, Failure};
use crate::{moment, phase};

/// Longer than any action with its verification as shipped.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// An incident that was asked for is there by then.
const OPENING: Duration = Duration::from_secs(15);
/// A refusal that stood before the asking is asked of the guards again by then.
const ASKED_AGAIN: Duration = Duration::from_secs(5);
/// A supervisor that is not there for so long does not come back by itself.
const GONE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The failure is gone, and that was proved.
    Proven,
    /// A guard refused, or what was done did not help.
    Refused,
    /// Neither, when the time was over.
    UnderWay,
}

/// What came of a request for one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    /// The check.
    pub(crate) key: CheckKey,
    /// How it ended.
    pub(crate) end: End,
    /// The same in words, the guard's own where one refused.
    pub(crate) words: String,
}

impl Came {
    fn line(&self) -> String {
        format!("{}: {}", self.key, self.words)
    }

    fn document(&self) -> Value {
        let result = match self.end {
            End::Proven => "proven",
            End::Refused => "refused",
            End::UnderWay => "under-way",
        };
        json!({"code": self.key.code, "target": self.key.target, "result": result, "message": self.words})
    }
}

/// A request that is about to be made: what there was before it says nothing of what comes of it.
#[derive(Debug)]
pub(crate) struct Asking {
    client: Client,
    began: Instant,
    before: Vec<IncidentRow>,
}

impl Asking {
    /// From now on.
    ///
    /// # Errors
    /// The supervisor cannot be asked.
    pub(crate) fn begin(client: Client) -> Result<Self, Failure> {
        let before = ask::refusals(client.call(&Request::Incidents {})?).and_then(rows)?;
        Ok(Self { client, began: Instant::now(), before })
    }

    /// The newest incident that a check had before.
    pub(crate) fn before(&self, key: &CheckKey) -> Option<&IncidentRow> {
        newest(&self.before, key)
    }

    /// Waits for the end of each, in their order.
    ///
    /// # Errors
    /// The supervisor cannot be asked any more.
    pub(crate) fn ends_of(&self, keys: &[CheckKey]) -> Result<Vec<Came>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut answered = Instant::now();
        loop {
            let waited = self.began.elapsed();
            match self.look() {
                Ok((rows, checks)) => {
                    answered = Instant::now();
                    let now = moment::clocks();
                    let came: Vec<Option<Came>> =
                        keys.iter().map(|key| self.came(key, &rows, &checks, waited, &now)).collect();
                    if waited >= PATIENCE || came.iter().all(Option::is_some) {
                        let late =
                            |(came, key): (Option<Came>, &CheckKey)| came.unwrap_or_else(|| self.late(key, &rows));
                        return Ok(came.into_iter().zip(keys).map(late).collect());
                    }
                }
                // It may be started anew meanwhile, and goes on where it was.
                Err(unanswered) if answered.elapsed() >= GONE => return Err(unanswered),
                Err(_) => {}
            }
            sleep(PAUSE);
        }
    }

    fn look(&self) -> Result<(Vec<IncidentRow>, Vec<CheckedRow>), Failure> {
        let rows = ask::refusals(self.client.call(&Request::Incidents {})?).and_then(rows)?;
        Ok((rows, ask::status_of(self.client.call(&Request::Status {})?)?.checks))
    }

    fn came(
        &self,
        key: &CheckKey,
        rows: &[IncidentRow],
        checks: &[CheckedRow],
        waited: Duration,
        now: &Now,
    ) -> Option<Came> {
        let before = self.before(key);
        let row = newest(rows, key).filter(|row| is_of_this_asking(row, before));
        let (end, words) = match row {
            Some(row) if waited < ASKED_AGAIN && before == Some(row) => return None,
            Some(row) => ended(row, now)?,
            None => unopened(checks.iter().find(|check| is_of(check, key)), waited)?,
        };
        Some(Came { key: key.clone(), end, words })
    }

    fn late(&self, key: &CheckKey, rows: &[IncidentRow]) -> Came {
        let row = newest(rows, key).filter(|row| is_of_this_asking(row, self.before(key)));
        let (end, words) = row.map_or_else(|| (End::UnderWay, not_begun()), late);
        Came { key: key.clone(), end, words }
    }
}

/// Asks for a change; unless nobody wants to wait, shows what came of it.
///
/// # Errors
/// A refusal, no leave, no answer; what was asked for was refused later, failed, or is not over yet.
pub(crate) fn change(context: &mut Context, request: &Request, no_wait: bool) -> Ended {
    if no_wait {
        return ask::change(context, request);
    }
    let asking = Asking::begin(context.client())?;
    let Response::Done { message, about } = ask::refusals(context.client().call(request)?)? else {
        return Err(ask::mismatch("a change"));
    };
    show(context, &asking, &message, &about, json!({}))
}

/// Shows what was done, waits, and shows what came of it; `more`: further keys for programs.
///
/// # Errors
/// It was refused or failed, or is not over yet; the supervisor cannot be asked any more.
pub(crate) fn show(context: &mut Context, asking: &Asking, message: &str, about: &[CheckKey], more: Value) -> Ended {
    let text = context.format == Format::Text;
    if text {
        context.out.paragraph("", message);
        context.out.flush();
    }
    let came = asking.ends_of(about)?;
    let worst = failure(&came);
    if text {
        for good in came.iter().filter(|came| came.end == End::Proven) {
            context.out.paragraph("", &good.line());
        }
    } else {
        let mut value = json!({"schema": SCHEMA, "result": result(worst.as_ref()), "message": message,
            "came": came.iter().map(Came::document).collect::<Vec<_>>()});
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        context.out.document(context.format, &value)?;
    }
    worst.map_or(Ok(Exit::Done), Err)
}

/// The result of the whole for programs.
fn result(worst: Option<&Failure>) -> &'static str {
    match worst.map(|failure| failure.exit) {
        None => "done",
        Some(Exit::TryAgain) => "under-way",
        Some(
            Exit::Done
            | Exit::Failed
            | Exit::Verdict(_)
            | Exit::Usage
            | Exit::Unreachable
            | Exit::NotPermitted
            | Exit::BadConfig,
        ) => "refused",
    }
}

/// Every end that is none of what was asked for, the worst deciding the exit code.
fn failure(came: &[Came]) -> Option<Failure> {
    let lines = |end: End| came.iter().filter(move |came| came.end == end).map(Came::line);
    let mut all = lines(End::Refused).chain(lines(End::UnderWay));
    let first = all.next()?;
    let is_refused = came.iter().any(|came| came.end == End::Refused);
    Some(Failure::new(if is_refused { Exit::Failed } else { Exit::TryAgain }, first).and(all))
}

fn rows(response: Response) -> Result<Vec<IncidentRow>, Failure> {
    if let Response::Incidents(rows) = response { Ok(rows) } else { Err(ask::mismatch("incidents")) }
}

fn newest<'a>(rows: &'a [IncidentRow], key: &CheckKey) -> Option<&'a IncidentRow> {
    rows.iter().filter(|row| row.code == key.code && row.target == key.target).max_by_key(|row| row.id)
}

fn is_of(check: &CheckedRow, key: &CheckKey) -> bool {
    check.code == key.code && check.target == key.target
}

/// An incident that was over before says nothing of what was asked for since.
fn is_of_this_asking(row: &IncidentRow, before: Option<&IncidentRow>) -> bool {
    before.is_none_or(|before| row.id > before.id || row.id == before.id && !is_closed(before))
}

fn is_closed(row: &IncidentRow) -> bool {
    matches!(row.phase, Phase::Closed { .. })
}

/// Nothing was opened: because it does not fail any more, or for a reason that does not go away by waiting.
fn unopened(check: Option<&CheckedRow>, waited: Duration) -> Option<(End, String)> {
    let since = check.filter(|check| u128::from(check.age_ms) < waited.as_millis());
    match since.map(|check| check.verdict) {
        Some(verdict @ (Verdict::Pass | Verdict::Skip | Verdict::Warn)) => {
            Some((End::Proven, format!("the check says {} now; nothing is to be done", verdict.as_str())))
        }
        Some(Verdict::Fail | Verdict::Unknown) | None => (waited >= OPENING).then(|| (End::Refused, not_begun())),
    }
}

fn not_begun() -> String {
    "no incident was opened, so nothing is done; see why: wbdctl doctor".to_owned()
}

/// Whether an incident is over: closed, or held by a guard for longer than a moment.
pub(crate) fn ended(row: &IncidentRow, now: &Now) -> Option<(End, String)> {
    let id = row.id;
    match &row.phase {
        Phase::Closed { how } => Some(closed(row, *how)),
        Phase::Gated { .. } => {
            let refusal = phase::held(row)?;
            let said = format!("refused by {} ({id})", phase::refusal(refusal, now));
            if is_final(refusal) { Some((End::Refused, said)) } else { waits_long(refusal, now, id) }
        }
        Phase::Suppressed { .. }
        | Phase::Acting { .. }
        | Phase::Indeterminate { .. }
        | Phase::Verifying
        | Phase::RollingBack { .. }
        | Phase::Probation => None,
    }
}

fn closed(row: &IncidentRow, how: Closing) -> (End, String) {
    let id = row.id;
    match how {
        Closing::Healed | Closing::SelfHealed | Closing::Subsumed => (End::Proven, format!("{} ({id})", how.as_str())),
        Closing::HandedOver => {
            let why = row.reason.as_deref().unwrap_or("no reason is on record");
            let more = format!("what a person can do: wbdctl incidents show {id}");
            (End::Refused, format!("handed over to a person ({id}): {why}; {more}"))
        }
        Closing::Noise => (End::Refused, format!("its product or its playbook is no longer there ({id})")),
        Closing::Waived => (End::Refused, format!("it was waived ({id}); see: wbdctl waiver list")),
    }
}

/// Whether waiting for a few seconds does not change a guard's mind.
fn is_final(refusal: &Refusal) -> bool {
    match refusal.guard {
        Guard::Approval
        | Guard::Mode
        | Guard::Hold
        | Guard::Denied
        | Guard::HostBudget
        | Guard::Attempts
        | Guard::Suspended
        | Guard::Window
        | Guard::Ledger
        | Guard::Reach => true,
        Guard::Backoff | Guard::Conflict | Guard::Unseen => false,
    }
}

/// A guard that says yes by itself, but later than anybody waits here.
fn waits_long(refusal: &Refusal, now: &Now, id: IncidentId) -> Option<(End, String)> {
    let left_ms = refusal.until_ms?.saturating_sub(now.boot_ms);
    let words = || still(&format!("held by {}", phase::refusal(refusal, now)), id);
    (u128::from(left_ms) > PATIENCE.as_millis()).then(|| (End::UnderWay, words()))
}

/// The time is over.
fn late(row: &IncidentRow) -> (End, String) {
    let (id, stands) = (row.id, phase::phase(row));
    match row.phase {
        Phase::Probation => (End::Proven, format!("{stands} ({id})")),
        Phase::Suppressed { .. }
        | Phase::Gated { .. }
        | Phase::Acting { .. }
        | Phase::Indeterminate { .. }
        | Phase::Verifying
        | Phase::RollingBack { .. }
        | Phase::Closed { .. } => (End::UnderWay, still(&stands, id)),
    }
}

fn still(stands: &str, id: IncidentId) -> String {
    format!("still under way ({id}): {stands}; see the rest: wbdctl incidents show {id}")
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
