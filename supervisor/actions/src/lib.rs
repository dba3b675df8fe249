//! The only hands: a closed list of deeds, each with its bounds, its deadline and its undo. Decides nothing; acts on recorded intents only.
mod agent;
mod dropin;
mod error;
mod hands;
mod place;
mod process;
mod program;
mod site;
mod sysctl;
mod units;

pub use error::ActionError;
pub use hands::{Hands, Mode, Preview, Report, StopNote};
pub use process::{ProcessRef, start_ticks};
pub use site::run_site_program;
pub use units::RESTARTABLE_UNITS;

#[cfg(doctest)]
pub mod walls;
