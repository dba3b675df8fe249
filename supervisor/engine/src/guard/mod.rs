//! Whether an action may be done now: every guard, and the only place that can make a `Permit`.
pub mod approval;
pub mod breaker;
pub mod hold;
mod permit;
pub mod waiver;
pub mod window;

pub use permit::{Permit, budget_left, check, permit, permit_by_hand, permit_first_start};
