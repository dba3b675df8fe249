//! One action at a time, from the last look before it to its outcome. Chooses nothing.
mod before;
pub(crate) mod deed;
mod preview;
