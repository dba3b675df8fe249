//! Scenarios on booted Debian hosts with the real package; they need root, so only `tests/run` starts them.

#[path = "booted/agent_ends.rs"]
mod agent_ends;
#[path = "booted/agent_hangs.rs"]
mod agent_hangs;
#[path = "booted/alone.rs"]
mod alone;
#[path = "booted/busy_host.rs"]
mod busy_host;
#[path = "booted/covered_boot.rs"]
mod covered_boot;
#[path = "booted/degraded.rs"]
mod degraded;
#[path = "booted/degraded_bus.rs"]
mod degraded_bus;
#[path = "booted/degraded_disk.rs"]
mod degraded_disk;
#[path = "booted/degraded_limits.rs"]
mod degraded_limits;
#[path = "booted/degraded_mount.rs"]
mod degraded_mount;
#[path = "booted/dns.rs"]
mod dns;
#[path = "booted/doctor.rs"]
mod doctor;
#[path = "booted/fd_leak.rs"]
mod fd_leak;
#[path = "booted/jobs.rs"]
mod jobs;
#[path = "booted/journal.rs"]
mod journal;
#[path = "booted/kill_supervisor.rs"]
mod kill_supervisor;
#[path = "booted/ledger.rs"]
mod ledger;
#[path = "booted/manager.rs"]
mod manager;
#[path = "booted/modes.rs"]
mod modes;
#[path = "booted/names.rs"]
mod names;
#[path = "booted/network.rs"]
mod network;
#[path = "booted/operator.rs"]
mod operator;
#[path = "booted/ours.rs"]
mod ours;
#[path = "booted/package.rs"]
mod package;
#[path = "booted/quiet.rs"]
mod quiet;
#[path = "booted/roles.rs"]
mod roles;
#[path = "booted/servers.rs"]
mod servers;
#[path = "booted/settings.rs"]
mod settings;
#[path = "booted/site.rs"]
mod site;
#[path = "booted/supervisor_life.rs"]
mod supervisor_life;
#[path = "booted/units.rs"]
mod units;
#[path = "booted/upgrade.rs"]
mod upgrade;
#[path = "booted/verbs.rs"]
mod verbs;
#[path = "booted/version.rs"]
mod version;
#[path = "booted/views.rs"]
mod views;
