//! Short answers of the control socket. Decides none of them.
use wbd_model::check::CheckKey;
use wbd_model::control::Response;

/// Why something has to wait.
pub(crate) const UNDER_WAY: &str = "an action is under way; try again when it is done";

/// No, and why.
pub(crate) fn refused(message: impl Into<String>) -> Response {
    Response::Refused { message: message.into() }
}

/// Yes, it is done.
pub(crate) fn done(message: impl Into<String>) -> Response {
    begun(message, Vec::new())
}

/// It is done, and the incidents of these checks tell what comes of it.
pub(crate) fn begun(message: impl Into<String>, about: Vec<CheckKey>) -> Response {
    Response::Done { message: message.into(), about }
}

/// It is done, and whether that is on disk; `degraded`: why not.
pub(crate) fn recorded(message: String, about: Vec<CheckKey>, degraded: &str) -> Response {
    if degraded.is_empty() {
        return begun(message, about);
    }
    begun(format!("{message}; it is not on disk yet: {degraded}"), about)
}
