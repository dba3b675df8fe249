//! `playbook reference`: every probe and every action, from the declarations. Looks at no host.
use serde_json::{Value, json};
use wbd_model::action::{self, ActionName, NamedBy};
use wbd_model::declared::Parameter;
use wbd_model::probe::{self, Answered, ProbeName};
use wbd_model::report::SCHEMA;
use wbd_model::suggest;

use crate::Context;
use crate::cli::Format;
use crate::exit::{Ended, Exit, Failure};
use crate::out::{Out, Tone};

/// One thing that is declared.
#[derive(Debug, Clone, Copy)]
enum Entry {
    Probe(&'static probe::Declaration),
    Action(&'static action::Declaration),
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
    let probes = ProbeName::ALL.iter().map(|name| Entry::Probe(name.declaration()));
    probes.chain(ActionName::all().map(|name| Entry::Action(name.declaration()))).collect()
}

fn missing(name: &str, all: &[Entry]) -> String {
    match suggest::nearest(name, all.iter().map(|entry| entry.key())) {
        Some(near) => format!("there is no probe and no action {name:?}; did you mean {near}?"),
        None => format!("there is no probe and no action {name:?}; list them: wbdctl playbook reference"),
    }
}

fn document(entries: &[Entry]) -> Value {
    let (mut probes, mut actions) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Probe(it) => probes.push(probe(it)),
            Entry::Action(it) => actions.push(action(it)),
        }
    }
    json!({"schema": SCHEMA, "probes": probes, "actions": actions})
}

fn action(it: &action::Declaration) -> Value {
    json!({
        "name": it.key,
        "does": it.does,
        "form": Parameter::form(it.key, it.parameters),
        "parameters": it.parameters.iter().map(parameter).collect::<Vec<Value>>(),
        "class": it.class,
        // No class is the author's word any more; the key stays for those that read it.
        "class_at_least": false,
        "named_by": named_by(it.named_by),
        "not_beside": it.conflicts,
        "ends_agent": it.agent.ends(),
        "starts_agent": it.agent.starts(),
        "provable": it.provable,
        "undo": it.undo,
        "stand_alone": it.alone.map(spoken),
    })
}

const fn named_by(who: NamedBy) -> &'static str {
    match who {
        NamedBy::Playbook => "playbook",
        NamedBy::Person => "person",
        NamedBy::Undo => "undo",
    }
}

fn probe(it: &probe::Declaration) -> Value {
    let field = |field: &wbd_model::observation::Field| {
        let mut value = json!({"name": field.name, "type": field.kind, "unit": field.unit.word(),
            "label": field.label, "doc": field.doc});
        if let Some(otherwise) = field.otherwise {
            value["otherwise"] = json!(otherwise);
        }
        value
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
    for entry in all {
        if let Entry::Probe(it) = entry {
            out.entry(&[(Tone::Plain, &format!("  {:<16} ", it.key))], Tone::Plain, &spoken(it.asks));
        }
    }
    out.heading("Actions");
    for entry in all {
        if let Entry::Action(it) = entry {
            let head = format!("  {:<16} {} ", it.key, it.class);
            out.entry(&[(Tone::Plain, &head)], Tone::Plain, &spoken(it.does));
        }
    }
    out.line("");
    out.line("One with its parameters: wbdctl playbook reference NAME");
}

impl Entry {
    const fn key(&self) -> &'static str {
        match self {
            Self::Probe(it) => it.key,
            Self::Action(it) => it.key,
        }
    }

    fn show(&self, out: &mut Out) {
        match self {
            Self::Probe(it) => show_probe(out, it),
            Self::Action(it) => show_action(out, it),
        }
    }
}

fn show_probe(out: &mut Out, it: &probe::Declaration) {
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
        let otherwise = field.otherwise.map(|words| format!(" / {words}")).unwrap_or_default();
        out.paragraph(&format!("  {} ({}{unit}): ", field.name, field.kind), &format!("{}{otherwise}", field.label));
        out.paragraph("      ", field.doc);
    }
    out.heading("Unknown");
    out.paragraph("  ", it.unknown);
}

fn show_action(out: &mut Out, it: &action::Declaration) {
    out.spans(&[(Tone::Strong, it.key), (Tone::Plain, ": an action")]);
    out.paragraph("", &spoken(it.does));
    match it.named_by {
        NamedBy::Playbook => out.line(format!("  {}", Parameter::form(it.key, it.parameters))),
        NamedBy::Person => out.line("  A person asks for it; no playbook can name it."),
        NamedBy::Undo => out.line("  It is made by undo and by a rollback; no playbook can name it."),
    }
    parameters(out, it.parameters);
    out.heading("What it means");
    out.paragraph("  ", &format!("Class {}.", it.class));
    out.paragraph("  ", &format!("Not at the same time as {}.", it.conflicts));
    match it.undo {
        Some(undo) => out.paragraph("  ", &format!("Undo: {undo}.")),
        None => out.line("  No undo."),
    }
    out.paragraph("  ", it.again());
    if let Some(instead) = it.alone {
        out.paragraph("  ", &format!("Stand-alone this is not done: a person is notified {}.", spoken(instead)));
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
    fn the_list_has_every_probe_and_action_whole_and_on_a_terminal_within_its_width() {
        let text = text_of(|out| list(out, &entries()));
        for key in entries().iter().map(Entry::key) {
            assert_eq!(
                text.lines().filter(|line| line.trim_start().starts_with(&format!("{key} "))).count(),
                1,
                "{key}"
            );
        }
        assert!(!text.contains("..."), "{text}");
        let shown = crate::out::testing::utf8_text_of(|out| list(out, &entries()));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn one_probe_is_shown_with_its_parameters_fields_units_and_what_makes_it_unknown() {
        let text = text_of(|out| Entry::Probe(ProbeName::FdUsage.declaration()).show(out));
        for words in [
            "fd.usage: {process: ROLE}",
            "process: a role of the profile",
            "age_s (int, seconds): age of the process",
            "seconds since the process started",
            "where the soft limit is 0",
        ] {
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn one_action_is_shown_with_its_class_its_conflict_its_undo_and_what_happens_stand_alone() {
        let shown = |key: &str| {
            let all = entries();
            let entry = all.iter().find(|entry| entry.key() == key).copied();
            text_of(|out| entry.into_iter().for_each(|entry| entry.show(out)))
        };
        let text = shown("sysctl.set");
        for words in [
            "Class A1.",
            "value: a number or {cel: EXPRESSION}",
            "another action on the same kernel setting",
            "Undo: the value and the file as they were.",
            "sysctl -w",
        ] {
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
        assert!(shown("command.run").contains("Class A3."));
        assert!(shown("unit.restart").contains("not repeated in the same incident"));
        assert!(shown("agent.stop").contains("no playbook can name it"));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn programs_get_the_same_keys_for_all_and_for_one() {
        let all = document(&entries());
        assert_eq!(all["probes"].as_array().map(Vec::len), Some(ProbeName::ALL.len()));
        assert_eq!(all["actions"].as_array().map(Vec::len), Some(ActionName::all().count()));
        let one = document(&[Entry::Probe(ProbeName::FdTrend.declaration())]);
        assert_eq!(one["actions"], json!([]));
        assert_eq!(one["probes"][0]["answered_from"], "samples");
        assert_eq!(one["probes"][0]["parameters"][0]["name"], "process");
        assert_eq!(
            one["probes"][0]["fields"][4],
            json!({"name": "per_day", "type": "int", "unit": "a day",
            "label": "growth", "doc": "growth a day, rounded; 0 without a leak"})
        );
        assert!(all["probes"].as_array().is_some_and(|all| all.contains(&one["probes"][0])));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_the_nearest_one() {
        assert!(missing("fd.usag", &entries()).ends_with("did you mean fd.usage?"));
        assert!(missing("something else", &entries()).ends_with("wbdctl playbook reference"));
    }
}
