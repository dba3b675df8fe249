//! The only place that changes the host: a closed list of actions, each with its bounds, its deadline and its undo.
//! Decides nothing; acts on recorded intents only.
mod action;
mod agent;
mod done;
mod dropin;
mod error;
mod execution;
mod executor;
mod kernel;
pub mod notes;
mod place;
mod preview;
mod process;
mod program;
mod reach;
mod site;
mod sysctl;
mod unit_look;
mod units;

pub use error::ActionError;
pub use executor::{Executor, Report};
pub use kernel::Kernel;
pub use preview::Preview;
pub use process::{ProcessRef, start_ticks};
pub use reach::{Alone, Machine, Reach};
pub use site::run_site_program;

#[cfg(doctest)]
pub mod walls;
