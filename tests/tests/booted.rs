//! Scenarios on booted Debian hosts with the real package; they need root, so only `tests/run` starts them.

#[path = "booted/agent_ends.rs"]
mod agent_ends;
#[path = "booted/agent_hangs.rs"]
mod agent_hangs;
#[path = "booted/inotify.rs"]
mod inotify;
#[path = "booted/kill_supervisor.rs"]
mod kill_supervisor;
#[path = "booted/package.rs"]
mod package;
#[path = "booted/site.rs"]
mod site;
