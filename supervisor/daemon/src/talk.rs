//! The control socket and what is asked over it: requests, approvals, waivers, pauses.
pub(crate) mod agent_call;
pub(crate) mod answer;
pub(crate) mod approvals;
pub(crate) mod bounded;
pub(crate) mod busy;
pub(crate) mod connection_pool;
pub(crate) mod control;
pub(crate) mod holds;
pub(crate) mod products;
pub(crate) mod requests;
pub(crate) mod socket;
mod status;
pub(crate) mod waivers;
