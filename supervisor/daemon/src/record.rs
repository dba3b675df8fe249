//! The ledger as the loop uses it, and its disk.
pub(crate) mod disk;
pub(crate) mod memory;
