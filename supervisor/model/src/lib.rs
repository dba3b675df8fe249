//! The nouns that every room of the supervisor shares. No I/O, no clock, no randomness.
pub mod action;
pub mod catalogue;
pub mod check;
pub mod control;
pub mod entry;
pub mod incident;
pub mod maintenance;
pub mod name;
pub mod observation;
pub mod plan;
pub mod probe;
pub mod problem;
pub mod profile;
pub mod report;
pub mod sample;
pub mod settings;
pub mod time;
