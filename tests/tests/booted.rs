//! Scenarios on booted Debian hosts with the real package; they need root, so only `tests/run` starts them.

#[path = "booted/package.rs"]
mod package;
