//! `wbd-supervisord`: sees the failures of host agents, heals what may be healed, proves and records it.
//! This file wires; it decides nothing.
mod agent_call;
mod bounded;
mod checks;
mod control;
mod deed;
mod disk;
mod event;
mod exits;
mod eyes;
mod follow;
mod holds;
mod jobs;
mod journal;
mod load;
mod log;
mod memory;
mod notify;
mod observed;
mod oom;
mod preview;
mod publish;
mod reload;
mod requests;
mod samples;
mod seats;
mod socket;
mod start;
mod supervisor;
mod telling;
mod turn;
mod unit;
mod waivers;
mod watch;
mod word;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Supervises the host security agent and heals its documented failures.
#[derive(Debug, Parser)]
#[command(name = "wbd-supervisord", version)]
struct Options {
    /// Be the agent's parent: no systemd, no bus, no root needed.
    #[arg(long)]
    standalone: bool,
    /// Put every path under this folder.
    #[arg(long, default_value = "/", value_name = "DIR")]
    root: PathBuf,
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Help and version are no errors; a closed pipe is quiet.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(start::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    log::begin();
    match start::run(&options.root, options.standalone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}
