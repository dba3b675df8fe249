//! `wbd-supervisord`: sees the failures of host agents, heals what may be healed, proves and records it.
//! This file wires; it decides nothing.
mod agent_call;
mod checks;
mod control;
mod deed;
mod event;
mod exits;
mod eyes;
mod follow;
mod load;
mod memory;
mod notify;
mod oom;
mod publish;
mod reload;
mod requests;
mod samples;
mod start;
mod supervisor;
mod turn;
mod unit;
mod watch;

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

/// Usage errors, as everywhere in this product.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Help and version are no errors; a closed pipe is quiet.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    start::log();
    match start::run(&options.root, options.standalone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}
