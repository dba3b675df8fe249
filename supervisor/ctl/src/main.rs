//! `wbdctl`: reads the command line, hands it to one verb, ends with one code. Decides nothing itself.
mod agent;
mod ask;
mod catalogue;
mod cli;
mod client;
mod columns;
mod config;
mod context;
mod control;
mod count;
mod demo;
mod doctor;
mod escalation;
mod exit;
mod explain;
mod export;
mod failed_unit;
mod help;
mod host;
mod incidents;
mod ledger;
mod linted;
#[cfg(test)]
mod manual;
mod moment;
mod offline;
mod out;
mod phase;
mod plan;
mod playbook;
mod product;
mod record;
mod reference;
mod retry_unit;
mod simulate;
mod status;
mod wait;
mod waiver;
mod when;

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use wbd_model::text::Shown;

use crate::cli::{Cli, Format, Verb};
use crate::context::Context;
use crate::exit::{Ended, Exit};
use crate::out::{Out, Surroundings};

fn main() -> ExitCode {
    // A probe started this process to ask the host's resolver.
    if let Some(ended) = wbd_probes::serve_names(std::env::args_os().skip(1)) {
        return ended;
    }
    // People get one line, never a backtrace; the unwinding still cleans up (demo).
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.payload();
        let text = what
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| what.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no reason given");
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        complain(&format!("bug: {text}{place}; please report it"));
    }));
    std::panic::catch_unwind(start).unwrap_or(Exit::Failed).into()
}

fn start() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if cli.global.output == Format::Nagios && !matches!(cli.verb, Verb::Doctor(_)) {
        let text = "the output format nagios is for doctor only";
        return usage(&Cli::command().error(ErrorKind::ArgumentConflict, text));
    }
    let mut context = Context {
        root: cli.global.root,
        config: cli.global.config,
        format: cli.global.output,
        lang: cli.global.lang,
        timeout: cli.global.timeout,
        examine_for: cli.global.examine_for,
        out: Out::stdout(Surroundings::here().style(cli.global.color)),
    };
    let ended = run(&mut context, cli.verb);
    let trouble = context.out.finish();
    let exit = ended.unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            complain(&failure.message);
        }
        for line in &failure.more {
            let _ = writeln!(std::io::stderr(), "{}", Shown::of(line));
        }
        failure.exit
    });
    match trouble {
        None => exit,
        Some(error) => {
            complain(&format!("cannot write the answer: {error}"));
            Exit::Failed
        }
    }
}

fn run(context: &mut Context, verb: Verb) -> Ended {
    match verb {
        Verb::Doctor(doctor) => doctor::run(context, doctor),
        Verb::Status => status::run(context),
        Verb::Incidents(verb) => incidents::run(context, &verb),
        Verb::Ledger(verb) => ledger::run(context, verb),
        Verb::Playbook(verb) => playbook::run(context, verb),
        Verb::Explain { code } => explain::run(context, code.as_deref()),
        Verb::Approve { incident, yes, wait } => incidents::approve(context, incident, yes, wait.no_wait),
        Verb::Deny { incident } => incidents::deny(context, incident),
        Verb::Pause { length, class, why } => control::pause(context, length, class, &why),
        Verb::Resume(wait) => control::resume(context, wait.no_wait),
        Verb::Waiver(verb) => waiver::run(context, verb),
        Verb::Escalation(verb) => escalation::run(context, &verb),
        Verb::Product(verb) => product::run(context, verb),
        Verb::Undo { action } => control::undo(context, action),
        Verb::Reload { wait: _ } => control::reload(context),
        Verb::Agent(verb) => agent::run(context, verb),
        Verb::Target(verb) => agent::target(context, &verb),
        Verb::Config(verb) => config::run(context, verb),
        Verb::Demo { keep } => demo::run(context, keep),
        Verb::Help { command } => help::run(context, &command),
        Verb::Completions { shell } => Ok(completions(context, shell)),
        Verb::LastWord => failed_unit::run(context),
        Verb::AnotherTry => retry_unit::run(context),
        Verb::DemoChild { parent, scratch, program } => demo::child(parent, &scratch, &program),
    }
}

fn completions(context: &mut Context, shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wbdctl", &mut script);
    context.out.raw(&script);
    Exit::Done
}

/// Help and version are answers; everything else is a wrong command line.
fn usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    let broken = |error: &std::io::Error| error.kind() != std::io::ErrorKind::BrokenPipe;
    if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Exit::Usage;
    }
    match printed {
        Err(error) if broken(&error) => {
            complain(&format!("cannot write the answer: {error}"));
            Exit::Failed
        }
        Ok(()) | Err(_) => Exit::Done,
    }
}

/// One line to standard error; if even that fails, there is nobody left to tell.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "wbdctl: {}", Shown::of(text));
}
