//! The ledger as the loop uses it, and its disk.
mod disk;
pub(crate) mod writer;
