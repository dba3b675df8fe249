//! One action at a time, from the last look before it to its outcome. Chooses nothing.
pub(crate) mod action_run;
mod before;
mod preview;
