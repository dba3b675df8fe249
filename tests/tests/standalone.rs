//! Scenarios of a stand-alone supervisor with a real agent in a scratch root: no systemd, no bus, no root needed. They start the built programs, so only `tests/run` starts them.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "standalone/bad_ledger.rs"]
mod bad_ledger;
#[path = "standalone/bad_playbook.rs"]
mod bad_playbook;
#[path = "standalone/config.rs"]
mod config;
#[path = "standalone/control.rs"]
mod control;
#[path = "standalone/crash_figures.rs"]
mod crash_figures;
#[path = "standalone/crash_lane.rs"]
mod crash_lane;
#[path = "standalone/crashes.rs"]
mod crashes;
#[path = "standalone/escalation.rs"]
mod escalation;
#[path = "standalone/guards.rs"]
mod guards;
#[path = "standalone/heals.rs"]
mod heals;
#[path = "standalone/ledger.rs"]
mod ledger;
#[path = "standalone/machine.rs"]
mod machine;
#[path = "standalone/ninety_days.rs"]
mod ninety_days;
#[path = "standalone/older.rs"]
mod older;
#[path = "standalone/operator.rs"]
mod operator;
#[path = "standalone/screens.rs"]
mod screens;
#[path = "standalone/second.rs"]
mod second;
#[path = "standalone/simulate.rs"]
mod simulate;
#[path = "standalone/starts.rs"]
mod starts;
#[path = "standalone/stops.rs"]
mod stops;
#[path = "standalone/toy.rs"]
mod toy;
#[path = "standalone/trial.rs"]
mod trial;
#[path = "standalone/unseen.rs"]
mod unseen;
#[path = "standalone/views.rs"]
mod views;
#[path = "standalone/windows.rs"]
mod windows;
