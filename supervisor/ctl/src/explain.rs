//! `explain`: what a failure means, from the catalogue that is built in; a site's own codes lead to their playbook. Looks
//! at nothing else on the host.
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use wbd_engine::playbook::Playbook;
use wbd_model::catalogue::{Respond, Row, Seen};
use wbd_model::name::Code;
use wbd_model::report::SCHEMA;
use wbd_model::suggest;

use crate::Context;
use crate::cli::Format;
use crate::exit::{Ended, Exit, Failure};
use crate::host;
use crate::out::{Out, Tone};

const CATALOGUE: &str = include_str!("../../../playbooks/catalogue.yaml");
const OWN: &str = include_str!("own.yaml");

/// Every failure that wbd knows.
///
/// # Errors
/// Only our own mistake: the texts are built in, and a test reads them.
pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut rows: Vec<Row> = serde_saphyr::from_str(CATALOGUE).map_err(Failure::bug)?;
    let own: Vec<Row> = serde_saphyr::from_str(OWN).map_err(Failure::bug)?;
    rows.extend(own);
    Ok(rows)
}

/// Explains one code, or lists all that are built in.
///
/// # Errors
/// A code that nobody knows.
pub(crate) fn run(context: &mut Context, spoken: Option<&str>) -> Ended {
    let (root, format) = (context.root.clone(), context.format);
    let Some(spoken) = spoken else {
        list(&mut context.out, format, &rows()?)?;
        return Ok(Exit::Done);
    };
    one(&mut context.out, format, &root, spoken)
}

fn one(out: &mut Out, format: Format, root: &Path, spoken: &str) -> Ended {
    let rows = rows()?;
    let wanted = Code::from_spoken(spoken).ok();
    let Some(row) = rows.iter().find(|row| Some(&row.code) == wanted.as_ref()) else {
        return match wanted.and_then(|wanted| by_playbook(root, &wanted)) {
            Some(found) => own(out, format, &found),
            None => Err(Failure::failed(unknown(spoken, &rows))),
        };
    };
    if format == Format::Text {
        show(out, row);
    } else {
        let mut value = serde_json::to_value(row).map_err(Failure::bug)?;
        value["schema"] = json!(SCHEMA);
        out.document(format, &value)?;
    }
    Ok(Exit::Done)
}

/// The installed playbook that tells this code, by itself or for a profile that gives it the code.
fn by_playbook(root: &Path, wanted: &Code) -> Option<(Code, Arc<Playbook>)> {
    let (library, _) = host::library(root);
    let given = library.profiles.values().flat_map(|profile| profile.spec.codes.iter());
    // `playbook` or `playbook/case`.
    let named = given.filter(|(_, code)| *code == wanted).filter_map(|(key, _)| key.split('/').next());
    let named: Vec<&str> = named.collect();
    let mut playbooks = library.playbooks.values();
    let found = playbooks.find(|it| it.code == *wanted || named.contains(&it.name.as_str()))?;
    Some((wanted.clone(), Arc::clone(found)))
}

fn own(out: &mut Out, format: Format, (code, playbook): &(Code, Arc<Playbook>)) -> Ended {
    if format == Format::Text {
        let title = format!("{code}: a code of this host's playbook {}", playbook.name);
        out.hanging(&[], Tone::Strong, &title);
        out.paragraph("", &format!("({}; follows {})", playbook.file, playbook.source));
        out.paragraph("  ", &format!("What it looks for, does and advises: wbdctl playbook show {}", playbook.name));
    } else {
        let value = json!({"schema": SCHEMA, "code": code, "playbook": playbook.name, "file": playbook.file,
            "source": playbook.source});
        out.document(format, &value)?;
    }
    Ok(Exit::Done)
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

fn show(out: &mut Out, row: &Row) {
    out.hanging(&[], Tone::Strong, &format!("{}: {}", row.code, row.title));
    out.paragraph("", &format!("({}; follows {})", row.product, row.source));
    out.heading("What it means");
    out.paragraph("  ", &flow(&row.means));
    out.paragraph("  ", seen(row.seen));
    out.heading("What wbd does");
    out.paragraph("  ", &flow(&row.does));
    if let Some(playbook) = &row.playbook {
        out.paragraph("  ", &format!("Playbook: {playbook}; see wbdctl playbook show {playbook}"));
    } else if row.response == Respond::Heal || row.response == Respond::Approve {
        out.line("  This release has no playbook for it.");
    }
    if !row.guide.is_empty() {
        out.heading("What you can do");
        for (number, step) in row.guide.iter().enumerate() {
            out.paragraph(&format!("  {}. ", number + 1), step);
        }
    }
}

fn flow(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const fn seen(seen: Seen) -> &'static str {
    match seen {
        Seen::Host => "It can be seen on this host.",
        Seen::Log => "It can be seen in forwarded log lines of another machine only.",
        Seen::Told => "It can be seen in the vendor's console or on another system only.",
    }
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
mod tests {
    use std::collections::BTreeSet;

    use wbd_model::text::columns;

    use super::*;
    use crate::out::testing::{text_of, utf8_text_within};

    #[test]
    fn every_row_is_explained_within_the_width() {
        let rows = rows().unwrap();
        assert!(rows.len() >= 60, "{}", rows.len());
        let codes: BTreeSet<&Code> = rows.iter().map(|row| &row.code).collect();
        assert_eq!(codes.len(), rows.len(), "a code stands twice");
        for row in &rows {
            for width in [40, 80, 100] {
                let text = utf8_text_within(width, |out| {
                    one(out, Format::Text, Path::new("/none"), row.code.as_str()).unwrap();
                });
                assert!(text.starts_with(row.code.as_str()), "{text}");
                assert!(text.contains("What it means"), "{text}");
                for line in text.lines() {
                    let one_word = line.split_whitespace().count() <= 2;
                    assert!(columns(line) <= width || one_word, "{line}");
                }
            }
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let failure = |spoken| {
            let mut told = String::new();
            text_of(|out| told = one(out, Format::Text, Path::new("/none"), spoken).unwrap_err().message);
            told
        };
        assert!(failure("WBD-54O4").contains("did you mean WBD-5404"));
        // 5404 and 5104 are as near: none of them is meant more than the other.
        assert!(failure("5504").contains("list them all: wbdctl explain"));
        assert!(failure("WBD-60O7").contains("did you mean WBD-6007"));
        assert!(failure("nonsense at all").contains("wbdctl explain"));
    }
}
