//! Simulated hosts and what happens to them, for these tests and for the ledger's. Judges and counts nothing.
pub(crate) mod check;
mod executor;
pub(crate) mod host;
pub(crate) mod schedule;
pub(crate) mod truth;

use host::Host;
use schedule::Schedule;

/// Above the time after which whatever waits is handed over.
const CALM_MS: u64 = 3 * 86_400_000;

/// The whole schedule, then a calm in which everything has to end.
pub(crate) fn lived(schedule: &Schedule) -> Host {
    let mut host = Host::new(schedule);
    for (at_ms, event) in &schedule.events {
        host.run(*at_ms);
        host.happens(event);
    }
    host.calms_down();
    host.run(host.true_ms + CALM_MS);
    host
}
