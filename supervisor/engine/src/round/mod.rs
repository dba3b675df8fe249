//! One turn of the ring: (state, what was seen) -> records to write and actions to ask for. Pure: it
//! neither looks nor acts nor writes.
mod ladder;
mod memory;
mod orphans;
mod proof;
mod step;
mod turn;

pub use ladder::next_plan;
pub use memory::Memory;
pub use step::Step;
pub use turn::{round, turn};
