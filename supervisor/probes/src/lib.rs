//! The probes: read-only questions to a host, each under a root path and a deadline. They change nothing and decide
//! nothing.
//!
//! Everything here is synchronous and blocking; whoever has other things to do calls from a thread of its own.

mod bus;
mod busy;
mod cgroup;
mod filter;
mod held;
mod memo;
mod names;
mod oom;
mod ours;
mod packages;
mod presence;
mod probe;
mod procs;
mod program_file;
mod runner;
mod sampling;
mod scan;
mod starvation;
mod stat;
mod under;

pub mod clock;
pub mod files;
pub mod holds;
pub mod host;
pub mod programs;

pub use bus::{UnitState, shown as shown_unit};
pub use busy::Sighting;
pub use names::serve as serve_names;
pub use oom::{OomCounts, OomScope};
pub use presence::Presence;
pub use probe::{Manager, agent_service};
pub use runner::ProbeRunner;
pub use sampling::Reading;

#[cfg(test)]
mod testing;
