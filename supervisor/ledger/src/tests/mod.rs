//! The ledger as its callers see it: what is kept, what is refused, what is found.
mod bundle;
mod chain;
mod crash;
mod faults;
mod samples;

use std::path::Path;

use wbd_model::action::{Action, Change, Class};
use wbd_model::entry::{Body, Intent, Subject};
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::name::{Code, TargetName};
use wbd_model::time::{BootId, Now};

use crate::{Carry, Ledger, Rotation, Standing};

pub(crate) fn now(ms: u64) -> Now {
    Now { boot: BootId("b1".to_owned()), boot_ms: ms, wall_ms: 1_700_000_000_000 + i64::try_from(ms).unwrap() }
}

pub(crate) fn subject(incident: u64) -> Subject {
    Subject {
        incident: Some(IncidentId(incident)),
        code: Some(Code::new("WBD-6007").unwrap()),
        target: Some(TargetName::new("wbd").unwrap()),
        playbook: None,
    }
}

pub(crate) fn manual(what: &str) -> Body {
    Body::Manual { what: what.to_owned(), who: "root".to_owned(), params: "\u{884c} 1".to_owned() }
}

pub(crate) fn intent(id: u64, action: Action) -> Intent {
    Intent {
        action_id: ActionId(id),
        class: action.class().max(Class::A1),
        action,
        rung: 0,
        rung_id: "restart".to_owned(),
        step: 0,
        steps: 1,
        start_by_ms: 99_000,
        changes: vec![Change { what: "wbd-agent.service".to_owned(), before: None, after: "restarted".to_owned() }],
        undo: None,
        plan: Vec::new(),
        undoes: None,
        by_hand: None,
        before: Default::default(),
    }
}

pub(crate) fn open(dir: &Path) -> Ledger {
    let ledger = Ledger::open(dir, Some("host-a"), None).unwrap();
    assert_eq!(*ledger.standing(), Standing::Sound);
    ledger
}

/// A ledger of `count` records, closed again.
pub(crate) fn filled(dir: &Path, count: u64) {
    let mut ledger = open(dir);
    for number in 1..=count {
        ledger.append(&now(number), subject(number), manual(&format!("step {number}"))).unwrap();
    }
}

pub(crate) fn rotation(reason: &str) -> Rotation {
    let carry = Carry { debits_ms: vec![5, 6], next_incident: 9, next_action: 12, state: None };
    Rotation { reason: reason.to_owned(), who: "root".to_owned(), carry, anchor: None }
}
