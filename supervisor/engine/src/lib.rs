//! The thinking, pure: values in, values out. No I/O, no clock, no randomness.
pub mod diagnose;
mod expr;
pub mod guard;
pub mod incident;
pub mod judge;
pub mod leak;
pub mod look;
pub mod plan;
pub mod playbook;
pub mod rehearse;
pub mod replay;
pub mod report;
pub mod round;
pub mod settings;
pub mod simulate;
pub mod testing;
pub mod trend;
pub mod words;
