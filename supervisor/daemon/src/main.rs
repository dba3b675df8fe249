//! `wbd-supervisord`: sees the failures of host agents, heals what may be healed, proves and records it.
//! This file wires; it decides nothing.
mod act;
mod agent;
mod event;
mod follow;
mod look;
mod record;
mod start;
mod supervisor;
mod talk;
mod tell;
#[cfg(test)]
mod testing;
mod turn;
mod view;

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
    // A probe started this process to ask the host's resolver.
    if let Some(ended) = wbd_probes::serve_names(std::env::args_os().skip(1)) {
        return ended;
    }
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Help and version are no errors; a closed pipe is quiet.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(start::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    tell::log::begin();
    match start::run(&options.root, options.standalone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("wbd-supervisord ends: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}
