//! The incident engine as its ledger tells it: every test is a small world, a fault and the records
//! that must come of it. Nothing here waits or looks at the host.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]
mod approvals;
mod breaker;
mod causes;
mod check;
mod crashes;
mod explored;
mod guards;
mod ladder;
mod life;
mod offers;
mod operator;
mod renamed;
mod rotation;
mod schedules;
mod shares;
mod windows;
mod world;
