//! The only place that changes the host: a closed list of actions, each with its bounds, its deadline and its undo.
//! Decides nothing; acts on recorded intents only.
mod agent;
mod done;
mod dropin;
mod error;
mod executor;
mod kernel;
pub mod notes;
mod place;
mod process;
mod program;
mod reach;
mod site;
mod sysctl;
mod units;

pub use done::Preview;
pub use error::ActionError;
pub use executor::{Executor, Report};
pub use kernel::Kernel;
pub use process::{ProcessRef, start_ticks};
pub use reach::{Alone, Machine, Reach};
pub use site::run_site_program;
pub use units::RESTARTABLE_UNITS;

#[cfg(doctest)]
pub mod walls;
