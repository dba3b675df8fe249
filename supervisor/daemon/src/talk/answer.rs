//! Short answers of the control socket. Decides none of them.
use wbd_model::control::Response;

/// Why something has to wait.
pub(crate) const UNDER_WAY: &str = "an action is under way; try again when it is done";

/// No, and why.
pub(crate) fn refused(message: impl Into<String>) -> Response {
    Response::Refused { message: message.into() }
}

/// Yes, it is done.
pub(crate) fn done(message: impl Into<String>) -> Response {
    Response::Done { message: message.into() }
}

/// It is done, and whether that is on disk; `degraded`: why not.
pub(crate) fn recorded(message: String, degraded: &str) -> Response {
    if degraded.is_empty() {
        return done(message);
    }
    done(format!("{message}; it is not on disk yet: {degraded}"))
}
