//! The thinking, pure: values in, values out. No I/O, no clock, no randomness.
//!
//! Its rooms, each of which imports only rooms above it in this list (`tests/tests/arrows.rs` holds them to it):
mod expr;
pub mod guard;
pub mod judge;
pub mod play;
pub mod playbook;
pub mod replay;
pub mod round;
pub mod state;
pub mod trend;
mod yaml;
