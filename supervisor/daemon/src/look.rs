//! What is looked at and when, the answers, and which products there are. Judges nothing.
pub(crate) mod check_runner;
pub(crate) mod checks;
pub(crate) mod gap;
pub(crate) mod load;
pub(crate) mod products;
pub(crate) mod recorded_facts;
pub(crate) mod samples;
pub(crate) mod scheduler;
