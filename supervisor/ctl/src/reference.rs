//! `playbook reference`: every probe that a playbook can ask, from the declarations. Looks at no host.
use serde_json::{Value, json};
use wbd_model::declared::Parameter;
use wbd_model::probe::{self, Answered, ProbeName};
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::cli::Format;
use crate::exit::{Ended, Exit, Failure};
use crate::explain;
use crate::out::{Out, Tone, cut};

/// One thing that a playbook can name.
#[derive(Debug, Clone, Copy)]
enum Entry {
    Probe(&'static probe::Declaration),
}

/// All of them, or the one of this name.
///
/// # Errors
/// A name that is not there.
pub(crate) fn run(context: &mut Context, name: Option<&str>) -> Ended {
    let all = entries();
    let Some(name) = name else {
        if context.format == Format::Text {
            list(&mut context.out, &all);
        } else {
            context.out.document(context.format, &document(&all))?;
        }
        return Ok(Exit::Done);
    };
    let Some(found) = all.iter().find(|entry| entry.key() == name) else {
        return Err(Failure::failed(missing(name, &all)));
    };
    if context.format == Format::Text {
        found.show(&mut context.out);
    } else {
        context.out.document(context.format, &document(&[*found]))?;
    }
    Ok(Exit::Done)
}

fn entries() -> Vec<Entry> {
    ProbeName::ALL.iter().map(|name| Entry::Probe(name.declaration())).collect()
}

fn missing(name: &str, all: &[Entry]) -> String {
    match explain::nearest(name, all.iter().map(|entry| entry.key())) {
        Some(near) => format!("there is no probe {name:?}; did you mean {near}?"),
        None => format!("there is no probe {name:?}; list them: wbdctl playbook reference"),
    }
}

fn document(entries: &[Entry]) -> Value {
    let probes: Vec<Value> = entries.iter().map(|Entry::Probe(it)| probe(it)).collect();
    json!({"schema": SCHEMA, "probes": probes})
}

fn probe(it: &probe::Declaration) -> Value {
    let field = |field: &wbd_model::observation::Field| {
        json!({"name": field.name, "type": field.kind, "unit": field.unit.word(), "label": field.label,
            "doc": field.doc})
    };
    json!({
        "name": it.key,
        "asks": it.asks,
        "form": Parameter::form(it.key, it.parameters),
        "parameters": it.parameters.iter().map(parameter).collect::<Vec<Value>>(),
        "answered_from": answered(it.answered),
        "for_host": it.of_host,
        "fields": it.fields.iter().map(field).collect::<Vec<Value>>(),
        "unknown": it.unknown,
    })
}

fn parameter(it: &Parameter) -> Value {
    json!({"name": it.name, "takes": it.takes.words(), "required": it.required, "doc": it.doc})
}

const fn answered(by: Answered) -> &'static str {
    match by {
        Answered::Host => "host",
        Answered::Ledger => "ledger",
        Answered::Samples => "samples",
    }
}

fn list(out: &mut Out, all: &[Entry]) {
    out.spans(&[(Tone::Strong, "Probes")]);
    for Entry::Probe(it) in all {
        out.line(format!("  {:<16} {}", it.key, cut(it.asks, 60)));
    }
    out.line("");
    out.line("Parameters, fields and what makes them unknown: wbdctl playbook reference NAME");
}

impl Entry {
    const fn key(&self) -> &'static str {
        match self {
            Self::Probe(it) => it.key,
        }
    }

    fn show(&self, out: &mut Out) {
        let Self::Probe(it) = self;
        out.spans(&[(Tone::Strong, it.key), (Tone::Plain, ": a probe")]);
        out.paragraph("", &spoken(it.asks));
        if let Some(note) = it.answered.note() {
            out.paragraph("", note);
        }
        out.line(format!("  {}", Parameter::form(it.key, it.parameters)));
        if it.of_host {
            out.line("  A playbook with scope: host may ask it.");
        }
        parameters(out, it.parameters);
        out.heading("Fields");
        for field in it.fields {
            let unit = field.unit.word().map(|word| format!(", {word}")).unwrap_or_default();
            out.line(format!("  {} ({}{unit}): {}", field.name, field.kind, field.label));
            out.paragraph("      ", field.doc);
        }
        out.heading("Unknown");
        out.paragraph("  ", it.unknown);
    }
}

fn parameters(out: &mut Out, all: &[Parameter]) {
    if all.is_empty() {
        return;
    }
    out.heading("Parameters");
    for it in all {
        let left_out = if it.required { "" } else { "; may be left out" };
        out.paragraph(&format!("  {}: ", it.name), &format!("{}{left_out}", it.takes.words()));
        out.paragraph("      ", &spoken(it.doc));
    }
}

/// The screen has no other type for what is literal.
fn spoken(text: &str) -> String {
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::testing::text_of;

    #[test]
    fn the_list_has_every_probe_on_a_line_of_its_own_in_80_columns() {
        let text = text_of(|out| list(out, &entries()));
        for key in ProbeName::KEYS {
            assert_eq!(
                text.lines().filter(|line| line.trim_start().starts_with(&format!("{key} "))).count(),
                1,
                "{key}"
            );
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn one_probe_is_shown_with_its_parameters_fields_units_and_what_makes_it_unknown() {
        let text = text_of(|out| Entry::Probe(ProbeName::FdUsage.declaration()).show(out));
        for words in [
            "fd.usage: {process: ROLE}",
            "process: a role of the profile",
            "age_s (int, seconds): age",
            "seconds since the process started",
            "where the soft limit is 0",
        ] {
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn programs_get_the_same_keys_for_all_and_for_one() {
        let all = document(&entries());
        assert_eq!(all["probes"].as_array().map(Vec::len), Some(ProbeName::ALL.len()));
        let one = document(&[Entry::Probe(ProbeName::FdTrend.declaration())]);
        assert_eq!(one["probes"][0]["answered_from"], "samples");
        assert_eq!(one["probes"][0]["parameters"][0]["name"], "process");
        assert_eq!(one["probes"][0]["fields"][3]["unit"], "a day");
        assert!(all["probes"].as_array().is_some_and(|all| all.contains(&one["probes"][0])));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_the_nearest_one() {
        assert!(missing("fd.usag", &entries()).ends_with("did you mean fd.usage?"));
        assert!(missing("something else", &entries()).ends_with("wbdctl playbook reference"));
    }
}
