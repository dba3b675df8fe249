//! wbd_agent: reads the command line, runs what it says, and turns the outcome into one line and an exit code.

mod agent;
mod alone;
mod call;
mod channel;
mod cli;
mod clock;
mod commands;
mod failure;
mod foreground;
mod health_report;
mod lifecycle;
mod lock;
mod log;
mod look;
mod off_limits;
mod path_check;
mod problems;
mod run_dir;
mod settings;
mod store;
mod unit;
mod was;
mod watch;

use clap::Parser;
use failure::Exit;
use std::io::Write;
use std::process::ExitCode;
use wbd_agent_api::shown;

fn main() -> ExitCode {
    let mut cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is quiet.
            let _ = error.print();
            // Help and version are no mistake.
            return if error.use_stderr() { exit_code(Exit::Usage) } else { ExitCode::SUCCESS };
        }
    };
    // The agent leaves the folder it was started in, so a relative root would mean another place then.
    if let Ok(absolute) = std::path::absolute(&cli.root) {
        cli.root = absolute;
    }
    let outcome = match cli.verb {
        Some(verb) => lifecycle::run(verb, &cli),
        None => {
            log::start();
            foreground::run(&cli)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "wbd_agent: {}", shown(&failure.message));
            exit_code(failure.exit)
        }
    }
}

fn exit_code(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}
