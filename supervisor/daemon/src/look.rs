//! What is looked at and when, the answers, and which products there are. Judges nothing.
pub(crate) mod checks;
pub(crate) mod load;
pub(crate) mod observed;
pub(crate) mod products;
pub(crate) mod samples;
pub(crate) mod scheduler;
