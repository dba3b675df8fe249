//! The agent's process and its unit: followed, and told of. Starts and stops nothing.
pub(crate) mod bus;
pub(crate) mod exits;
pub(crate) mod jobs;
pub(crate) mod oom;
pub(crate) mod unit;
pub(crate) mod watch;
