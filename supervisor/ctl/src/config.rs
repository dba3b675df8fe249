//! `config`: the supervisor's settings, checked or shown. Never writes them.
use serde_json::{Value, json};
use wbd_model::problem::Problem;
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::cli::{Config, Format};
use crate::exit::{Ended, Exit, Failure};
use crate::host;

/// `config VERB`.
///
/// # Errors
/// Every problem of the settings, each with its place.
pub(crate) fn run(context: &mut Context, verb: Config) -> Ended {
    let settings = match host::settings(&context.root, context.config.as_deref()) {
        Ok(settings) => settings,
        Err(problems) => return broken(context, &problems),
    };
    if matches!(verb, Config::Check) {
        let open = host::site_program(&settings);
        if !open.is_empty() {
            let source = host::settings_source(&context.root, context.config.as_deref());
            return broken(context, &host::as_problems(&open, source.as_slice()));
        }
    }
    match (verb, context.format) {
        (Config::Check, Format::Text) => context.out.line("The settings are good."),
        (Config::Check, format) => context.out.document(format, &json!({"schema": SCHEMA, "problems": []}))?,
        (Config::Cat, format) => {
            let mut value = serde_json::to_value(&settings).map_err(Failure::bug)?;
            if format == Format::Text {
                // The settings' own form is the one that people can copy into the file.
                context.out.document(Format::Yaml, &value)?;
            } else {
                value["schema"] = json!(SCHEMA);
                context.out.document(format, &value)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Problems of files: for people on standard error, for programs on standard output.
///
/// # Errors
/// The problems.
pub(crate) fn broken(context: &mut Context, problems: &[Problem]) -> Ended {
    if context.format == Format::Text {
        return Err(told(problems));
    }
    let problems: Vec<Value> = problems.iter().map(|problem| json!(problem)).collect();
    context.out.document(context.format, &json!({"schema": SCHEMA, "problems": problems}))?;
    Ok(Exit::BadConfig)
}

/// Problems in words, with their number.
fn told(problems: &[Problem]) -> Failure {
    let number = problems.len();
    let head = format!("{number} {}", if number == 1 { "problem" } else { "problems" });
    let listed = problems.iter().map(ToString::to_string);
    listed.fold(Failure::new(Exit::BadConfig, head), |failure, problem| failure.and(problem.lines()))
}
