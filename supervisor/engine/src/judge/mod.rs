//! What checks say: verdicts, causes, plans with nothing left to choose, and the words for people. Knows no time and no
//! guard.
pub mod diagnose;
mod evidence;
mod health;
pub mod plan;
mod protection;
pub mod report;
pub mod snapshot;
mod verdict;
pub mod words;

pub use verdict::{Judgement, Verification, contradiction, cured, judge, proof};
