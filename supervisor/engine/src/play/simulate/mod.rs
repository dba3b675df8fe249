//! What playbooks would have done on a host's own record: its ledger, its samples and what its checks saw. The ring
//! decides as in life, on the record's clock. Reads nothing itself, and claims nothing that was not recorded.
mod drive;
mod event;
mod knowledge;
mod ledger;
mod record;
mod report;
mod timeline;

pub use record::Record;
pub use report::{Budget, CheckReport, Event, MOST_EVENTS, SimulationReport, Totals};

/// Rehearses.
///
/// # Errors
/// A turn does not come to rest, which is a bug of the engine.
pub fn simulate(record: &Record<'_>) -> Result<SimulationReport, String> {
    let timeline = timeline::build(record);
    drive::drive(record, &timeline)
}

#[cfg(test)]
mod tests;
