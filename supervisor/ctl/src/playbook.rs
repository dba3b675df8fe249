//! `playbook`: files checked, tested and shown here; only `run` asks the supervisor. Judges no host.
mod named;

use std::path::PathBuf;

use serde_json::{Value, json};
use wbd_engine::play::testing;
use wbd_engine::playbook::{self, Library};
use wbd_model::control::Request;
use wbd_model::name::PlaybookName;
use wbd_model::report::SCHEMA;
use wbd_model::suggest;
use wbd_probes::files;

use crate::Context;
use crate::cli::{Format, NoWait, Playbook};
use crate::config::broken;
use crate::count::counted;
use crate::exit::{Ended, Exit, Failure};
use crate::linted::{Linted, linted, warned};
use crate::out::Tone;
use crate::{host, reference, simulate, wait};

pub(crate) use named::loaded;

/// `playbook VERB`.
///
/// # Errors
/// Broken files, failed tests, a name that is not there, a refusal.
pub(crate) fn run(context: &mut Context, verb: Playbook) -> Ended {
    match verb {
        Playbook::List => list(context),
        Playbook::Show { name } => show(context, &name),
        Playbook::Lint { files } => lint(context, &files),
        Playbook::Test { files } => test(context, &files),
        Playbook::Run { name, target, wait: NoWait { no_wait } } => {
            let request = Request::RunPlaybook { playbook: name, target, without_approval: false };
            wait::change(context, &request, no_wait)
        }
        Playbook::Simulate(order) => simulate::run(context, &order),
        Playbook::Reference { name } => reference::run(context, name.as_deref()),
        Playbook::Schema => {
            let format = if context.format == Format::Yaml { Format::Yaml } else { Format::Json };
            context.out.document(format, &playbook::schema())?;
            Ok(Exit::Done)
        }
    }
}

fn list(context: &mut Context) -> Ended {
    let (library, problems) = host::library(&context.root);
    if context.format != Format::Text {
        let playbooks: Vec<Value> = library
            .playbooks
            .values()
            .map(|playbook| json!({"name": playbook.name, "code": playbook.code, "file": playbook.file, "digest": playbook.digest, "acts": playbook.acts()}))
            .collect();
        let profiles: Vec<&str> = library.profiles.keys().map(wbd_model::name::ProfileName::as_str).collect();
        let value = json!({"schema": SCHEMA, "playbooks": playbooks, "profiles": profiles, "problems": problems});
        context.out.document(context.format, &value)?;
        return Ok(Exit::Done);
    }
    let out = &mut context.out;
    if library.playbooks.is_empty() {
        out.line(format!("No playbooks in {}.", host::playbook_folder(&context.root).display()));
    }
    for playbook in library.playbooks.values() {
        let acts = if playbook.acts() { "heals" } else { "reports" };
        // Whole, though a path may go beyond the line: it is there to be opened.
        out.line(format!("{:<18} {:<14} {acts}  {}", playbook.name.as_str(), playbook.code.as_str(), playbook.file));
    }
    if !library.profiles.is_empty() {
        let names: Vec<&str> = library.profiles.keys().map(wbd_model::name::ProfileName::as_str).collect();
        out.paragraph("Profiles: ", &names.join(", "));
    }
    if !problems.is_empty() {
        out.spans(&[(
            Tone::Bad,
            &format!("{} in files that are not used; see: wbdctl playbook lint", counted(problems.len(), "problem")),
        )]);
    }
    Ok(Exit::Done)
}

fn show(context: &mut Context, name: &str) -> Ended {
    let (sources, _) = files::playbooks(&context.root);
    let (library, _) = playbook::load(&sources);
    let found = PlaybookName::new(name).ok().and_then(|name| library.playbooks.get(&name).cloned());
    let Some(found) = found else { return Err(Failure::failed(missing(name, &library))) };
    let text =
        sources.iter().find(|source| source.path == found.file).map(|source| source.text.as_str()).unwrap_or_default();
    if context.format != Format::Text {
        let value = json!({"schema": SCHEMA, "name": found.name, "code": found.code, "source": found.source,
            "file": found.file, "digest": found.digest, "text": text});
        context.out.document(context.format, &value)?;
        return Ok(Exit::Done);
    }
    context.out.line(format!("# {} {}, from {}", found.name, found.code, found.file));
    context.out.line(format!("# digest {}", found.digest));
    for line in text.lines() {
        context.out.line(line);
    }
    Ok(Exit::Done)
}

fn missing(name: &str, library: &Library) -> String {
    let known = library.playbooks.keys().map(PlaybookName::as_str);
    match suggest::nearest(name, known) {
        Some(near) => format!("there is no playbook {name:?}; did you mean {near}?"),
        None => format!("there is no playbook {name:?}; list them: wbdctl playbook list"),
    }
}

fn lint(context: &mut Context, named: &[PathBuf]) -> Ended {
    let Linted { files, problems, warnings } = linted(context, named);
    if !problems.is_empty() {
        return broken(context, &problems);
    }
    if context.format == Format::Text {
        warned(context, &warnings);
        let also =
            if warnings.is_empty() { String::new() } else { format!(", {}", counted(warnings.len(), "warning")) };
        context.out.line(format!("{}, no problems{also}", counted(files, "file")));
    } else {
        let value = json!({"schema": SCHEMA, "files": files, "problems": [], "warnings": warnings});
        context.out.document(context.format, &value)?;
    }
    Ok(Exit::Done)
}

fn test(context: &mut Context, named: &[PathBuf]) -> Ended {
    let (library, problems, own) = loaded(context, named);
    if !problems.is_empty() {
        return broken(context, &problems);
    }
    let mut results = Vec::new();
    for test in library.tests.values().filter(|test| own.iter().any(|source| source.path == test.file)) {
        results.push((test.name.clone(), test.file.clone(), testing::run(&library, test)));
    }
    let failed = results.iter().filter(|(_, _, failures)| !failures.is_empty()).count();
    if context.format == Format::Text {
        for (name, _, failures) in &results {
            let (tone, word) = if failures.is_empty() { (Tone::Good, "pass") } else { (Tone::Bad, "FAIL") };
            context.out.spans(&[(tone, word), (Tone::Plain, &format!("  {name}"))]);
            for failure in failures {
                context.out.paragraph("      ", &failure.to_string());
            }
        }
        context.out.line(format!("{} passed, {failed} failed", results.len() - failed));
    } else {
        let tests: Vec<Value> = results
            .iter()
            .map(|(name, file, failures)| {
                let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
                json!({"name": name, "file": file, "passed": failures.is_empty(), "failures": failures})
            })
            .collect();
        context.out.document(context.format, &json!({"schema": SCHEMA, "tests": tests, "failed": failed}))?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
