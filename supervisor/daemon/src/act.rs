//! One action at a time, from the last look before it to its outcome. Chooses nothing.
pub(crate) mod deed;
pub(crate) mod preview;
