//! One turn of the ring: (state, what was seen) -> records to write and actions to ask for. Pure: it
//! neither looks nor acts nor writes.
mod ladder;
mod orphans;
mod proof;
mod step;
mod timers;
mod turn;

pub use ladder::next_plan;
pub use step::Step;
pub use timers::Timers;
pub use turn::{round, turn};
