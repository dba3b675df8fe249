//! The eyes: read-only looks at a host, each under a root path and a deadline. They change nothing and decide nothing.
//!
//! Everything here is synchronous and blocking; whoever has other things to do calls from a thread of its own.

mod bus;
mod cgroup;
mod dns;
mod endpoint;
mod eyes;
mod fds;
mod filter;
mod health;
mod held;
mod inotify;
mod memo;
mod oom;
mod ours;
mod process;
mod procs;
mod sampling;
mod scan;
mod service;
mod starvation;
mod stat;
mod under;
mod version;

pub mod clock;
pub mod files;
pub mod holds;
pub mod host;
pub mod programs;

pub use bus::{UnitState, shown as shown_unit};
pub use eyes::{Eyes, Presence};
pub use oom::{OomCounts, OomScope};
pub use sampling::Reading;
pub use service::{Manager, agent_service};

#[cfg(test)]
mod testing;
