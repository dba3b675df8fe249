//! Rotates the ledger while no supervisor runs; the ledger's own lock makes sure of that. Rotates no good ledger by itself.
use std::ops::ControlFlow;
use std::path::Path;

use wbd_engine::replay::State;
use wbd_ledger::{Carry, Filter, LedgerError, Reader, Rotation};
use wbd_model::settings::HostBudget;

use crate::exit::{Exit, Failure};
use crate::host;

/// Sets the ledger under a root aside; says what was done.
///
/// # Errors
/// Not root, a supervisor runs after all, there is no ledger, the disk is full.
pub(crate) fn rotate(root: &Path, reason: &str) -> Result<String, Failure> {
    if root == Path::new("/") && !nix::unistd::geteuid().is_root() {
        let text = "not permitted: the supervisor does not run, and only root may rotate the ledger without it";
        return Err(Failure::new(Exit::NotPermitted, text));
    }
    let state_dir = wbd_ledger::state_dir(root);
    let anchor = wbd_ledger::last_anchor(root);
    let now = wbd_probes::clock::now();
    let read = Reader::open(&state_dir).map(|reader| {
        let good = reader.verify_against(anchor.as_ref()).is_ok_and(|verification| verification.problem.is_none());
        let mut state = State::default();
        // As far as it can be read: what follows the first bad record is not known.
        let _ = reader.each(&Filter::default(), |entry| {
            state.apply(&entry);
            ControlFlow::Continue(())
        });
        let last = reader.head().ok().flatten().map_or(0, |(seq, _)| seq);
        (state, good, last)
    });
    let (state, good, last) = match read {
        Ok(read) => read,
        Err(error @ LedgerError::NotThere { .. }) => return Err(error.into()),
        Err(_) => (State::default(), false, 0),
    };
    let budget = host::settings(root, None).map_or_else(|_| HostBudget::default(), |settings| settings.budget);
    let last = anchor.as_ref().map_or(last, |anchor| last.max(anchor.seq));
    let carry = carry(&state, good, last, now.boot_ms, budget);
    let rotation = Rotation { reason: reason.to_owned(), who: host::user(), carry, anchor };
    let entry = wbd_ledger::rotate(&state_dir, wbd_ledger::host_id(root).as_deref(), &now, &rotation)?;
    let evidence = entry.body.evidence().join("; ");
    let spent = if good {
        ""
    } else {
        "; since the old records cannot be trusted, the budget for restarts counts as spent for a day"
    };
    Ok(format!("a new ledger begins with record {}: {evidence}{spent}", entry.seq))
}

/// An unreadable ledger counts as an empty budget, and no number may be used twice: there are never
/// more incidents or deeds than records.
fn carry(state: &State, good: bool, last: u64, now_ms: u64, budget: HostBudget) -> Carry {
    let mut debits_ms: Vec<u64> = state.debits.iter().map(|debit| debit.at_ms).collect();
    let (mut next_incident, mut next_action) = (state.next_incident.max(1), state.next_action.max(1));
    if !good {
        let spent = usize::try_from(budget.per_day.max(budget.per_hour)).unwrap_or(usize::MAX);
        debits_ms = vec![now_ms; spent];
        next_incident = next_incident.max(last.saturating_add(1));
        next_action = next_action.max(last.saturating_add(1));
    }
    Carry { debits_ms, next_incident, next_action }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_ledger_is_no_new_budget_and_reuses_no_number() {
        let budget = HostBudget { per_hour: 3, per_day: 6 };
        let bad = carry(&State::default(), false, 41, 500, budget);
        assert_eq!(bad, Carry { debits_ms: vec![500; 6], next_incident: 42, next_action: 42 });
        let state = State { next_incident: 5, next_action: 9, ..State::default() };
        let good = carry(&state, true, 41, 500, budget);
        assert_eq!(good, Carry { debits_ms: vec![], next_incident: 5, next_action: 9 });
    }
}
