//! The thinking, pure: values in, values out. No I/O, no clock, no randomness.
//!
//! In rooms, each of which imports only from those before it; `tests/tests/arrows.rs` holds them to it. What is known: state,
//! guard, replay. What is written, and what it says: yaml, expr, playbook, judge. What follows from both: round; and the same
//! without a host: play. Beside them: trend.
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
