//! `explain`: what a failure means, whether it is there now, what wbd does and what a person does. The meaning is built
//! in; what this release does is computed from the playbooks, and doctor looks.
mod failure;
mod here;
mod known;
mod text;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wbd_engine::playbook::{self, Library};
use wbd_model::catalogue::{Respond, Row, Seen};
use wbd_model::name::Code;
use wbd_model::problem::Source;
use wbd_model::report::SCHEMA;
use wbd_model::settings::Settings;
use wbd_model::suggest;

use crate::Context;
use crate::catalogue::{OURS, rows};
use crate::cli::Format;
use crate::demo::PLAYBOOKS;
use crate::doctor;
use crate::exit::{Ended, Exit, Failure};
use crate::host;
use crate::out::{Out, Tone};

use self::failure::Explained;
use self::here::{Here, Values};
use self::known::Detected;

/// Settings and playbooks are read within this.
const WITHIN: Duration = Duration::from_secs(5);

/// Explains one code, or lists all that are built in.
///
/// # Errors
/// A code that nobody knows.
pub(crate) fn run(context: &mut Context, spoken: Option<&str>) -> Ended {
    let Some(spoken) = spoken else {
        list(&mut context.out, context.format, &rows()?)?;
        return Ok(Exit::Done);
    };
    let files = Files::read(&context.root, context.config.as_deref());
    let explained = explained(&files, &context.root, spoken)?;
    if let Some(parent) = context.examine_for {
        return doctor::answer_one(context, parent, &explained.row.code);
    }
    if context.format != Format::Text {
        let here = look(context, &files, &explained);
        context.out.document(context.format, &document(&explained, &here)?)?;
        return Ok(Exit::Done);
    }
    text::begin(&mut context.out, &explained);
    // Looking may take its time.
    context.out.flush();
    let here = look(context, &files, &explained);
    text::end(&mut context.out, &explained, &here);
    Ok(Exit::Done)
}

/// The playbooks and settings of this host, or why there are none.
struct Files {
    library: Library,
    settings: Option<Settings>,
    /// Why the playbooks are those of this release and not those of this host.
    none: Option<String>,
}

impl Files {
    /// Reads them aside, since a read on a dead mount cannot be ended.
    fn read(root: &Path, config: Option<&Path>) -> Self {
        let (folder, config) = (root.to_owned(), config.map(Path::to_owned));
        let reading =
            doctor::aside(move || (host::library(&folder).0, host::settings(&folder, config.as_deref()).ok()));
        let built_in = |why: String| Self { library: built_in(), settings: None, none: Some(why) };
        match reading.recv_timeout(WITHIN) {
            Ok((library, settings)) if library.playbooks.is_empty() => {
                let why = format!("no playbooks are installed below {}", host::playbook_folder(root).display());
                Self { settings, ..built_in(why) }
            }
            Ok((library, settings)) => Self { library, settings, none: None },
            Err(_) => built_in(format!("the playbooks could not be read within {} s", WITHIN.as_secs())),
        }
    }
}

/// The playbooks of this release.
fn built_in() -> Library {
    let source = |(name, text): &(&str, &str)| Source { path: (*name).to_owned(), text: (*text).to_owned() };
    let sources: Vec<Source> = PLAYBOOKS.iter().map(source).collect();
    playbook::load(&sources).0
}

fn explained(files: &Files, root: &Path, spoken: &str) -> Result<Explained, Failure> {
    let (rows, wanted) = (rows()?, Code::from_spoken(spoken).ok());
    let built_in = wanted.as_ref().and_then(|wanted| rows.iter().find(|row| row.code == *wanted).cloned());
    let own = || wanted.as_ref().and_then(|wanted| by_playbook(&files.library, wanted));
    let row = built_in.or_else(own).ok_or_else(|| Failure::failed(unknown(spoken, &rows)))?;
    let detectors = known::detectors(&files.library, &row.code, files.settings.as_ref());
    let detected = if detectors.is_empty() && row.product != OURS { Detected::No } else { Detected::Yes };
    Ok(Explained { row, detected, detectors, values: Values::of_agent(root) })
}

/// Whether it is so now; only where something on this host looks for it.
fn look(context: &Context, files: &Files, explained: &Explained) -> Here {
    let why = match (explained.detected, &files.none) {
        (Detected::No, _) => "there is no check for it".to_owned(),
        (Detected::Yes, Some(why)) if explained.row.product != OURS => why.clone(),
        (Detected::Yes, _) => match doctor::examine_one(context, &explained.row.code) {
            Ok(report) => return Here::Looked(Box::new(report)),
            Err(failure) => failure.message,
        },
    };
    Here::NotLooked(why)
}

/// A code of the site's own, from the playbook that tells it.
fn by_playbook(library: &Library, wanted: &Code) -> Option<Row> {
    let found = *known::tellers(library, wanted).first()?;
    let name = &found.name;
    Some(Row {
        code: wanted.clone(),
        product: format!("a code of this host, from {}", found.file),
        title: format!("a code of this host's playbook {name}"),
        response: if found.acts() { Respond::Heal } else { Respond::Guide },
        seen: Seen::Host,
        means: format!("What it looks for, does and advises: wbdctl playbook show {name}"),
        does: String::new(),
        guide: Vec::new(),
        source: found.source.clone(),
    })
}

fn document(explained: &Explained, here: &Here) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(&explained.row).map_err(Failure::bug)?;
    let code = &explained.row.code;
    value["schema"] = json!(SCHEMA);
    value["detected"] = json!(explained.detected);
    value["playbook"] = json!(explained.detectors.first().map(|it| &it.playbook));
    value["file"] = json!(explained.detectors.first().map(|it| &it.file));
    value["playbooks"] = json!(explained.detectors);
    value["now"] = match here {
        Here::NotLooked(why) => json!({"looked": false, "reason": why, "checks": [], "causes": []}),
        Here::Looked(_) => {
            json!({"looked": true, "reason": null, "checks": here.checks(code), "causes": here.causes(code)})
        }
    };
    value["guide_here"] = json!(explained.guide(here));
    Ok(value)
}

fn list(out: &mut Out, format: Format, rows: &[Row]) -> Result<(), Failure> {
    if format != Format::Text {
        let codes: Vec<Value> = rows
            .iter()
            .map(|row| json!({"code": row.code, "title": row.title, "response": row.response, "product": row.product}))
            .collect();
        return out.document(format, &json!({"schema": SCHEMA, "codes": codes}));
    }
    let mut product = "";
    for row in rows {
        if row.product != product {
            product = &row.product;
            out.heading(product);
        }
        let code = format!("  {:<15} ", row.code.as_str());
        out.entry(&[(Tone::Plain, &code)], Tone::Plain, &row.title);
    }
    Ok(())
}

fn unknown(spoken: &str, rows: &[Row]) -> String {
    let wanted = spoken.trim().to_ascii_uppercase();
    let wanted = Code::from_spoken(&wanted).map_or(wanted, String::from);
    match suggest::nearest(&wanted, rows.iter().map(|row| row.code.as_str())) {
        Some(code) => format!("no failure has the code {spoken:?}; did you mean {code}?"),
        None => format!("no failure has the code {spoken:?}; list them all: wbdctl explain"),
    }
}

#[cfg(test)]
#[path = "explain/tests.rs"]
mod tests;
