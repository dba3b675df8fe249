//! The ring without a host: a playbook's own tests, and what playbooks would have done on a record.
mod rehearse;
pub mod simulate;
pub mod testing;
