//! What people and the journal are told: escalations, status, reports, log lines. Never a source of state.
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod notifier;
pub(crate) mod notify;
pub(crate) mod publish;
