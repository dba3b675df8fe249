//! From the ledger to the state, and from one ledger file to the next.
mod apply;
pub mod carry;

pub use apply::replay;
