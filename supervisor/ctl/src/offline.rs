//! Rotates the ledger while no supervisor runs; the ledger's own lock makes sure of that. Rotates no good ledger by
//! itself.
use std::ops::ControlFlow;
use std::path::Path;

use wbd_engine::replay::snapshot;
use wbd_engine::state::State;
use wbd_ledger::{Filter, LedgerError, Reader, Rotation, Snapshot};
use wbd_model::settings::HostBudget;
use wbd_model::time::Now;

use crate::exit::{Exit, Failure};
use crate::{host, moment};

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
    let (anchors, host_id) = (wbd_ledger::anchors(root), wbd_ledger::host_id(root));
    let read = Reader::open(&state_dir).map(|reader| {
        let bad = match reader.verify_against(&anchors) {
            Ok(verification) => verification.problem.map(|bad| bad.seq),
            Err(_) => Some(0),
        };
        let mut state = State::default();
        // What follows the first bad record is not known.
        let _ = reader.each(&Filter::default(), |entry| {
            if bad.is_some_and(|bad| entry.seq >= bad) {
                return ControlFlow::Break(());
            }
            state.apply(&entry);
            ControlFlow::Continue(())
        });
        if reader.is_foreign(host_id.as_deref()) {
            state = state.of_another_host();
        }
        let last = reader.head().ok().flatten().map_or(0, |(seq, _)| seq);
        (state, bad.is_none(), last, moment::beside(&reader))
    });
    let (state, good, last, now) = match read {
        Ok(read) => read,
        Err(error @ LedgerError::NotThere { .. }) => return Err(error.into()),
        Err(_) => (State::default(), false, 0, moment::clocks()),
    };
    let budget = host::settings(root, None).map_or_else(|_| HostBudget::default(), |settings| settings.budget);
    let anchor = anchors.newest().cloned();
    let last = anchor.as_ref().map_or(last, |anchor| last.max(anchor.seq));
    let snapshot = snapshot(state, good, last, &now, budget)?;
    let rotation = Rotation { reason: reason.to_owned(), who: host::user(), snapshot, anchor };
    let entry = wbd_ledger::rotate(&state_dir, host_id.as_deref(), &now, &rotation)?;
    let evidence = entry.body.evidence().join("; ");
    let spent = if good { String::new() } else { format!("; {}", snapshot::SPENT) };
    Ok(format!("a new ledger begins with record {}: {evidence}{spent}", entry.seq))
}

/// An unreadable ledger counts as an empty budget, and no number may be used twice: there are never
/// more incidents or actions than records.
fn snapshot(state: State, good: bool, last: u64, now: &Now, budget: HostBudget) -> Result<Snapshot, LedgerError> {
    let state = if good { state } else { state.of_a_bad_ledger(now, budget, last) };
    let packed = snapshot::pack(&state, snapshot::MOST_BYTES);
    Ok(Snapshot {
        debits_ms: state.debits.iter().map(|debit| debit.at_ms).collect(),
        next_incident: state.next_incident.max(1),
        next_action: state.next_action.max(1),
        state: Some(packed.map_err(|bytes| LedgerError::TooLarge { bytes, max: snapshot::MOST_BYTES })?),
    })
}

#[cfg(test)]
mod tests {
    use wbd_model::time::BootId;

    use super::*;

    #[test]
    fn a_bad_ledger_is_no_new_budget_and_reuses_no_number() {
        let budget = HostBudget::of(3, 6);
        let now = Now { boot: BootId("b".to_owned()), boot_ms: 500, wall_ms: 0 };
        let numbers = |snapshot: &Snapshot| (snapshot.debits_ms.clone(), snapshot.next_incident, snapshot.next_action);
        let bad = snapshot(State::default(), false, 41, &now, budget).unwrap();
        assert_eq!(numbers(&bad), (vec![500; 6], 42, 42));
        let state = State { next_incident: 5, next_action: 9, ..State::default() };
        let good = snapshot(state, true, 41, &now, budget).unwrap();
        assert_eq!(numbers(&good), (vec![], 5, 9));
        assert!(good.state.is_some() && bad.state.is_some());
    }
}
