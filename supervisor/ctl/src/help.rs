//! `help`: the long help of a command, by its words. Does nothing else.
use clap::CommandFactory;
use wbd_model::suggest;

use crate::Context;
use crate::cli::Cli;
use crate::exit::{Ended, Exit, Failure};

/// Shows the help of `wbdctl WORDS`.
///
/// # Errors
/// There is no such command.
pub(crate) fn run(context: &mut Context, words: &[String]) -> Ended {
    let mut command = Cli::command();
    command.build();
    let mut path = command.get_name().to_owned();
    for word in words {
        let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
        let known: Vec<&str> = shown.map(clap::Command::get_name).collect();
        let Some(below) = command.find_subcommand(word).filter(|below| !below.is_hide_set()) else {
            let hint = suggest::hint(word, known.iter().copied()).map_or_else(String::new, |hint| format!("; {hint}"));
            return Err(Failure::new(Exit::Usage, format!("{path} has no command {word}{hint}")));
        };
        path = format!("{path} {word}");
        command = below.clone();
    }
    let help = command.render_long_help();
    context.out.raw(help.to_string().as_bytes());
    context.out.line("");
    context.out.line("The manual has more: man wbdctl");
    Ok(Exit::Done)
}
