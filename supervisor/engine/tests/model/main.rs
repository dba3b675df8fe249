//! Model checking of the incident engine: its own transition code in a world that crashes, reboots, steps the
//! clock, fills the disk, delays and loses replies. Every bound is printed with the number of states.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at the first surprise and says how far it went"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "witness and mutants each care for a few kinds of records only")]
mod book;
mod caught;
mod check;
mod ghost;
mod goals;
mod mutant;
mod proven;
mod scenes;
mod trial;
mod turn;
mod world;
