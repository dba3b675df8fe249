//! `pause`, `resume`, `undo`, `reload`: an operator's decision to the supervisor. Decides nothing.
use std::time::Duration;

use wbd_model::action::Class;
use wbd_model::control::Request;
use wbd_model::hold::HOLD_FILES;
use wbd_model::incident::ActionId;

use crate::Context;
use crate::client::Unanswered;
use crate::exit::Ended;
use crate::wait;
use crate::{agent, ask};

/// `pause`.
///
/// # Errors
/// No answer, or no leave.
pub(crate) fn pause(context: &mut Context, length: Option<Duration>, from_class: Class, why: &[String]) -> Ended {
    let for_ms = length.map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    let request = Request::Pause { why: why.join(" "), for_ms, from_class };
    let response = context.client().call(&request).map_err(|error| match error {
        Unanswered::Unreachable(why) => Unanswered::Unreachable(format!("{why}; {}", by_file(context))),
        Unanswered::NotPermitted(_) | Unanswered::Late(_) | Unanswered::Garbled(_) => error,
    })?;
    let message = ask::done(response)?;
    ask::say(context, &message)
}

/// What holds actions back without a supervisor, and from its first moment on.
fn by_file(context: &Context) -> String {
    let [durable, passing] = HOLD_FILES.map(|name| context.root.join(name));
    format!(
        "or hold every action without it: touch {} (until it is removed) or {} (until a reboot)",
        durable.display(),
        passing.display()
    )
}

/// `resume`.
///
/// # Errors
/// No answer, or no leave; what goes on was refused or failed, or is not over yet.
pub(crate) fn resume(context: &mut Context, no_wait: bool) -> Ended {
    wait::change(context, &Request::Resume {}, no_wait)
}

/// `undo`.
///
/// # Errors
/// No answer, no leave, or an action that cannot be taken back.
pub(crate) fn undo(context: &mut Context, action: ActionId) -> Ended {
    let message = agent::done(&context.client(), &Request::Undo { action })?;
    ask::say(context, &message)
}

/// `reload`.
///
/// # Errors
/// No answer, no leave, or broken files: then every problem, and the old set stays.
pub(crate) fn reload(context: &mut Context) -> Ended {
    ask::change(context, &Request::Reload {})
}
