//! The whole folded state on its way from one ledger file to the next: packed into the first record of the new
//! file, bounded in size, and unpacked again. Decides nothing about actions.
use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize as _;
use serde_json::Value;
use wbd_model::action::Class;
use wbd_model::settings::HostBudget;
use wbd_model::time::Now;

use crate::state::escalations::EscalationQueue;
use crate::state::{Debit, Hold, Payer, State};

/// Bytes that a packed state may have: a record of the ledger holds 1 MiB, and other fields are in it too.
pub const MOST_BYTES: usize = 768 << 10;

/// What whoever sets aside a ledger that does not verify is told.
pub const SPENT: &str = "since the old records cannot be trusted, the budget for restarts counts as spent for a day";

/// The state as JSON. What decides least is left behind first, until the rest fits in `most_bytes`: closed
/// incidents, captured states for `undo`, what open incidents were seen with, open incidents themselves (their
/// failure opens them again). Pauses, debits, attempts, latches, suspensions and numbers always go along.
///
/// # Errors
/// Not even these fit: how many bytes they have.
pub fn pack(state: &State, most_bytes: usize) -> Result<Box<Value>, usize> {
    let mut state = state.clone();
    let leave: [fn(&mut State); 5] = [
        |_| {},
        |state| state.incidents.retain(|_, incident| !incident.is_closed()),
        |state| state.undoable.clear(),
        |state| {
            state.exits.clear();
            for incident in state.incidents.values_mut() {
                incident.evidence.clear();
                incident.before.clear();
                incident.intent.iter_mut().for_each(|intent| intent.before.clear());
            }
        },
        |state| {
            state.incidents.clear();
            state.open.clear();
        },
    ];
    let mut bytes = usize::MAX;
    for leave in leave {
        leave(&mut state);
        let Ok(packed) = serde_json::to_value(&state) else { continue };
        bytes = packed.to_string().len();
        if bytes <= most_bytes {
            return Ok(Box::new(packed));
        }
    }
    Err(bytes)
}

/// The state again. One that cannot be read was written by another version or by nobody: an operator's pause may
/// have stood in it, so one stands now.
pub(crate) fn unpack(packed: &Value) -> State {
    State::deserialize(packed).unwrap_or_else(|error| State { hold: Some(unread(&error)), ..State::default() })
}

fn unread(error: &serde_json::Error) -> Hold {
    Hold {
        who: "wbd".to_owned(),
        why: format!("what the ledger before this one knew cannot be read: {error}"),
        until_wall_ms: None,
        from_class: Class::A0,
        until_boot: None,
        busy: None,
    }
}

impl State {
    /// What counts of a ledger that was begun on another host: its pauses, debits, attempts, suspensions and
    /// numbers. Its incidents, waivers and hold files are not this host's, and what was captured
    /// there must not be put back here.
    #[must_use]
    pub fn of_another_host(self) -> Self {
        Self {
            incidents: BTreeMap::new(),
            open: BTreeMap::new(),
            exits: VecDeque::new(),
            undoable: VecDeque::new(),
            file_holds: BTreeMap::new(),
            waivers: Vec::new(),
            escalations: EscalationQueue::default(),
            ..self
        }
    }

    /// What counts of a ledger that does not verify: what was read of it, with all of `budget` spent now and a life of
    /// the agent behind it, since nobody knows what the rest held, and with no number below `last`, its last record's.
    #[must_use]
    pub fn of_a_bad_ledger(mut self, now: &Now, budget: HostBudget, last: u64) -> Self {
        self.enter_boot(now);
        let spent = usize::try_from(budget.per_day.max(budget.per_hour)).unwrap_or(usize::MAX);
        self.debits = vec![Debit { at_ms: now.boot_ms, payer: Payer::Unknown }; spent];
        self.agent_lived = true;
        self.lived_ms = now.boot_ms;
        self.next_incident = self.next_incident.max(last.saturating_add(1));
        self.next_action = self.next_action.max(last.saturating_add(1));
        self
    }
}
