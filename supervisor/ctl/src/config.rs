//! `config`: the supervisor's settings, checked or shown. Never writes them.
use std::path::PathBuf;

use serde_json::{Value, json};
use wbd_engine::playbook::{Library, settings};
use wbd_model::problem::{Problem, Source};
use wbd_model::report::SCHEMA;
use wbd_model::settings::Settings;

use crate::Context;
use crate::cli::{Config, Format};
use crate::exit::{Ended, Exit, Failure};
use crate::{host, linted};

/// What a folder such as /etc/wbd holds.
const SETTINGS: &str = "wbd.yaml";
const PLAYBOOKS: &str = "playbooks.d";

/// `config VERB`.
///
/// # Errors
/// Every problem of the settings, each with its place.
pub(crate) fn run(context: &mut Context, verb: Config) -> Ended {
    match verb {
        Config::Check { files } => check(context, &files),
        Config::Cat => cat(context),
    }
}

fn cat(context: &mut Context) -> Ended {
    let settings = match host::settings(&context.root, context.config.as_deref()) {
        Ok(settings) => settings,
        Err(problems) => return broken(context, &problems),
    };
    let mut value = serde_json::to_value(&settings).map_err(Failure::bug)?;
    if context.format == Format::Text {
        // The settings' own form is the one that people can copy into the file.
        context.out.document(Format::Yaml, &value)?;
    } else {
        value["schema"] = json!(SCHEMA);
        context.out.document(context.format, &value)?;
    }
    Ok(Exit::Done)
}

fn check(context: &mut Context, named: &[PathBuf]) -> Ended {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let (library, _) = host::library(&context.root);
    if named.is_empty() {
        match host::settings(&context.root, context.config.as_deref()) {
            Ok(settings) => {
                let source = host::settings_source(&context.root, context.config.as_deref());
                judge(source.as_ref(), &settings, &library, &mut problems, &mut warnings);
            }
            Err(found) => problems.extend(found),
        }
    }
    for path in named {
        let file = if path.is_dir() { path.join(SETTINGS) } else { path.clone() };
        match host::source(&file)
            .map_err(|problem| vec![problem])
            .and_then(|source| Ok((settings::parse(&source)?, source)))
        {
            Ok((settings, source)) => judge(Some(&source), &settings, &library, &mut problems, &mut warnings),
            Err(found) => problems.extend(found),
        }
        let playbooks = path.join(PLAYBOOKS);
        if playbooks.is_dir() && playbooks.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            let found = linted::linted(context, &[playbooks]);
            problems.extend(found.problems);
            warnings.extend(found.warnings);
        }
    }
    if !problems.is_empty() {
        return broken(context, &problems);
    }
    match context.format {
        Format::Text if warnings.is_empty() => context.out.line("The settings are good."),
        Format::Text => {
            linted::warned(context, &warnings);
            let number = warnings.len();
            let noun = if number == 1 { "warning" } else { "warnings" };
            context.out.line(format!("The settings can be used, with {number} {noun}."));
        }
        Format::Json | Format::Yaml | Format::Nagios => {
            let value = json!({"schema": SCHEMA, "problems": [], "warnings": warnings});
            context.out.document(context.format, &value)?;
        }
    }
    Ok(Exit::Done)
}

/// Settings that can be read: what in them is not run, and what does not count.
fn judge(
    source: Option<&Source>,
    settings: &Settings,
    library: &Library,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    problems
        .extend(host::as_problems(&host::site_program(settings), source.map(std::slice::from_ref).unwrap_or_default()));
    warnings.extend(host::advised_settings(source, settings, library));
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
