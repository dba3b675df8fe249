//! The ledger as its callers see it: what is kept, what is refused, what is found.
mod answers;
mod bundle;
mod bundle_bounds;
mod chain;
mod crash;
mod faults;
mod forged;
mod lived;
mod locked;
mod own_disk;
mod rotation;
mod samples;
mod short;

use std::path::Path;

use wbd_model::action::{Action, Change, Class};
use wbd_model::entry::{Body, Entry, Intent, Subject};
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::name::{Code, TargetName};
use wbd_model::time::{BootId, Now};

use crate::{Anchors, Ledger, Rotation, Snapshot, Standing};

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
        paid: false,
        takes_back_stop: false,
        before: Default::default(),
    }
}

pub(crate) fn open(dir: &Path) -> Ledger {
    let ledger = opened(dir);
    assert_eq!(*ledger.standing(), Standing::Sound);
    ledger
}

/// Whatever its standing.
pub(crate) fn opened(dir: &Path) -> Ledger {
    Ledger::open(dir, Some("host-a"), &Anchors::default()).unwrap()
}

/// A ledger of `count` records, closed again.
pub(crate) fn filled(dir: &Path, count: u64) {
    let mut ledger = open(dir);
    for number in 1..=count {
        ledger.append(&now(number), subject(number), manual(&format!("step {number}"))).unwrap();
    }
}

pub(crate) fn rotation(reason: &str) -> Rotation {
    let snapshot = Snapshot { debits_ms: vec![5, 6], next_incident: 9, next_action: 12, state: None };
    Rotation { reason: reason.to_owned(), who: "root".to_owned(), snapshot, anchor: None }
}

/// Many more cases where there is time for them.
pub(crate) fn long() -> bool {
    std::env::var_os("WBD_LONG").is_some()
}

/// How many random cases: `few`, or what `PROPTEST_CASES` says. Each writes a file: never more than twenty times as
/// many.
pub(crate) fn cases(few: u32) -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    wanted.map_or(few, |wanted: u32| wanted.min(20 * few))
}

/// A folder in memory where there is one: these tests write thousands of files whose durability is not in question.
pub(crate) fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// As at a start: what an earlier process did is taken in, and the reserve is whole again.
fn adopt(ledger: &mut Ledger, at: &Now) -> Vec<Entry> {
    let adopted = ledger.adopt_reserve(at, &[], |_| true).unwrap();
    ledger.refill_reserve(at);
    adopted
}
