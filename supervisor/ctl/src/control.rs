//! `pause`, `resume`, `undo`, `reload`: an operator's word to the supervisor. Decides nothing.
use std::time::Duration;

use wbd_model::action::Class;
use wbd_model::control::Request;
use wbd_model::incident::ActionId;

use crate::Context;
use crate::ask;
use crate::exit::Ended;

/// `pause`.
///
/// # Errors
/// No answer, or no leave.
pub(crate) fn pause(context: &mut Context, length: Option<Duration>, from_class: Class, why: &[String]) -> Ended {
    let for_ms = length.map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    ask::change(context, &Request::Pause { why: why.join(" "), for_ms, from_class })
}

/// `resume`.
///
/// # Errors
/// No answer, or no leave.
pub(crate) fn resume(context: &mut Context) -> Ended {
    ask::change(context, &Request::Resume {})
}

/// `undo`.
///
/// # Errors
/// No answer, no leave, or a deed that cannot be taken back.
pub(crate) fn undo(context: &mut Context, action: ActionId) -> Ended {
    ask::change(context, &Request::Undo { action })
}

/// `reload`.
///
/// # Errors
/// No answer, no leave, or broken files: then every problem, and the old set stays.
pub(crate) fn reload(context: &mut Context) -> Ended {
    ask::change(context, &Request::Reload {})
}
