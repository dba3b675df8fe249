//! Where an incident stands, in words, and what holds it: which guard, why, until when. Decides nothing.
use wbd_model::control::IncidentRow;
use wbd_model::incident::{Phase, Refusal};
use wbd_model::time::Now;

use crate::{moment, when};

/// What holds a waiting one.
pub(crate) fn held(row: &IncidentRow) -> Option<&Refusal> {
    if let Phase::Gated { held } = &row.phase { held.as_ref().or(row.held.as_ref()) } else { None }
}

/// A guard's no in words: which guard, why, and until when.
pub(crate) fn refusal(refusal: &Refusal, now: &Now) -> String {
    let until = refusal.until_ms.filter(|until_ms| *until_ms > now.boot_ms).map_or_else(String::new, |until_ms| {
        let left_ms = i64::try_from(until_ms.saturating_sub(now.boot_ms)).unwrap_or(i64::MAX);
        format!(", until {}", when::moment(now.wall_ms.saturating_add(left_ms)))
    });
    format!("{}: {}{until}", refusal.guard.as_str(), refusal.reason)
}

/// Where it stands, in words.
pub(crate) fn phase(row: &IncidentRow) -> String {
    match &row.phase {
        Phase::Suppressed { by } => format!("a consequence of {by}"),
        Phase::Gated { .. } => held(row).map_or_else(
            || "wbd is about to act".to_owned(),
            |held| format!("held by {}", refusal(held, &moment::clocks())),
        ),
        Phase::Acting { action } => format!("wbd does action {action}"),
        Phase::Indeterminate { action } => format!("wbd checks what action {action} did"),
        Phase::Verifying => "wbd checks whether it is healed".to_owned(),
        Phase::RollingBack { action } => format!("wbd undoes an action by {action}"),
        Phase::Probation => "healed; wbd checks it a little longer".to_owned(),
        Phase::Closed { how } => how.as_str().to_owned(),
    }
}
