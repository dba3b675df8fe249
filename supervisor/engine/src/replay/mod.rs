//! From the ledger to the state, and from one ledger file to the next.
mod apply;
pub mod snapshot;

pub use apply::replay;
