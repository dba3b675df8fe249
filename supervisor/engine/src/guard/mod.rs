//! Whether an action may be done now: every guard, and the only place that can make a `Permit`.
pub mod approval;
pub mod breaker;
mod budget;
pub mod hold;
mod offer;
mod permit;
pub mod waiver;
pub mod window;

pub use budget::{budget_left, budget_left_to_others};
pub use offer::offer;
pub use permit::{Permit, check, permit, permit_by_hand, permit_first_start};
