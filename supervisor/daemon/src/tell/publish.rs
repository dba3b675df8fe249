//! The journal's entry of each record: one sentence, with the fields that it is found by. Nothing is decided by it.
use std::collections::VecDeque;

use tracing::{error, info, warn};
use wbd_model::action::Action;
use wbd_model::entry::{Body, Entry};
use wbd_model::incident::ActionId;
use wbd_model::message::Priority;
use wbd_model::sentence::{Around, sentence};

use crate::tell::journal::shorten;

/// Actions whose names an outcome may still ask for; one is under way at a time.
const ACTIONS: usize = 16;
/// A text of an entry, bytes; far below what one datagram can carry.
const LONGEST: usize = 32 << 10;

/// Knows the names of the last actions, which their outcomes do not repeat.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    actions: VecDeque<(ActionId, Action)>,
}

impl Publisher {
    /// Enters one record; `title`: what the playbook calls the failure that was found.
    pub(crate) fn tell(&mut self, entry: &Entry, title: Option<&str>) {
        if let Body::Intent(intent) = &entry.body {
            if self.actions.len() >= ACTIONS {
                self.actions.pop_front();
            }
            self.actions.push_back((intent.action_id, intent.action.clone()));
        }
        let mut text =
            sentence(&entry.subject, &entry.body, &Around { action: self.action(entry), title, ..Around::default() });
        shorten(&mut text, LONGEST);
        enter(entry, &text);
    }

    fn action(&self, entry: &Entry) -> Option<&Action> {
        let Body::Outcome { action, .. } = &entry.body else { return None };
        self.actions.iter().find(|(id, _)| id == action).map(|(_, action)| action)
    }
}

fn enter(entry: &Entry, text: &str) {
    let (subject, body) = (&entry.subject, &entry.body);
    let priority = body.priority();
    let mut evidence = body.evidence().join("; ");
    shorten(&mut evidence, LONGEST);
    let incident = subject.incident.map(|id| id.to_string());
    // The level of a line is part of its code; all else is the same.
    macro_rules! enter {
        ($line:ident) => {
            $line!(
                MESSAGE_ID = body.message_id(),
                PRIORITY = priority.digit(),
                WBD_CODE = subject.code.as_ref().map(|code| code.as_str()),
                WBD_TARGET = subject.target.as_ref().map(|target| target.as_str()),
                WBD_INCIDENT = incident,
                WBD_PLAYBOOK = subject.playbook.as_ref().map(|name| name.as_str()),
                WBD_RECORD = entry.seq,
                KIND = body.kind(),
                RESULT = body.result(),
                EVIDENCE = evidence,
                "{text}"
            )
        };
    }
    match priority {
        Priority::Error => enter!(error),
        Priority::Warning => enter!(warn),
        Priority::Notice | Priority::Info | Priority::Debug => enter!(info),
    }
}
