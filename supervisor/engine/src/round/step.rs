//! What a turn asks the loop to do, and the records that several rules write.
use wbd_model::entry::{Body, Outcome, Subject};
use wbd_model::incident::{ActionId, Closing};

use crate::state::{ActionRequest, Incident};

/// The detail of an outcome that nobody saw.
pub(super) const LOST: &str = "the supervisor ended before the outcome was known";

/// What the loop must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write this record.
    Write(Subject, Box<Body>),
    /// Look once more, capture, ask the guards, write the intent, act.
    Act(Box<ActionRequest>),
}

pub(super) fn write(subject: Subject, body: Body) -> Step {
    Step::Write(subject, Box::new(body))
}

/// An intent without an outcome, and nobody is doing it: the supervisor died in between.
pub(super) fn lost(incident: &Incident, action: ActionId) -> Step {
    let detail = LOST.to_owned();
    write(incident.subject(), Body::Outcome { action, result: Outcome::Unknown, detail, took_ms: 0 })
}

pub(super) fn close(incident: &Incident, how: Closing) -> Step {
    write(incident.subject(), Body::Closed { how })
}
