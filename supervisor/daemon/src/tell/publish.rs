//! The journal's line of each record. Nothing is decided by it.
use tracing::{info, warn};
use wbd_model::entry::{Body, Entry};

/// Journal message id of every record of an incident that needs no person.
const RECORDED: &str = "5f0a1f1dd2c14a4f9a1e5b6c7d8e9f02";

/// One journal line for one record; nothing is decided by it.
pub(crate) fn tell(entry: &Entry) {
    let subject = &entry.subject;
    let word = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let incident = word(subject.incident.map(|id| id.to_string()));
    let code = word(subject.code.as_ref().map(ToString::to_string));
    let target = word(subject.target.as_ref().map(ToString::to_string));
    let kind = entry.body.kind();
    let result = entry.body.result().unwrap_or("-");
    let evidence = entry.body.evidence().join("; ");
    let body = &entry.body;
    let warns = matches!(
        body,
        Body::Opened { .. } | Body::Refused(_) | Body::Suspended { .. } | Body::Notified { ok: false, .. }
    );
    if warns {
        warn!(
            MESSAGE_ID = RECORDED,
            WBD_CODE = code,
            WBD_INCIDENT = incident,
            WBD_TARGET = target,
            kind,
            result,
            evidence,
            "recorded"
        );
    } else {
        info!(
            MESSAGE_ID = RECORDED,
            WBD_CODE = code,
            WBD_INCIDENT = incident,
            WBD_TARGET = target,
            kind,
            result,
            evidence,
            "recorded"
        );
    }
}
