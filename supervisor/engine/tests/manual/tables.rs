//! The tables of wbd-playbook(5), as the declarations of probes and actions make them. Compares nothing.
use std::fmt::Write as _;

use wbd_model::action::{self, ActionName, NamedBy};
use wbd_model::declared::{Parameter, Takes};
use wbd_model::probe::{Declaration, ProbeName};

/// The block of probes.
pub(crate) fn probes() -> String {
    ProbeName::ALL.iter().map(|name| probe(name.declaration())).collect()
}

fn probe(it: &Declaration) -> String {
    let mut page = head(it.key, it.parameters);
    page.push_str(&prose(it.asks));
    page.push_str(&it.answered.note().map(prose).unwrap_or_default());
    if it.of_host {
        page.push_str(&prose("A playbook with `scope: host` may ask it."));
    }
    page.push_str(".Pp\n");
    page.push_str(&parameters(it.parameters));
    page.push_str(".Bl -tag -width Ds -compact\n");
    for field in it.fields {
        let unit = field.unit.word().map(|word| format!(", {word}")).unwrap_or_default();
        let _ = writeln!(page, ".It Va {} Pq {}{unit}\n{}", field.name, field.kind, field.doc);
    }
    page.push_str(".El\n.Pp\nUnknown:\n");
    page.push_str(&prose(it.unknown));
    page
}

/// The block of actions: those that a step can name.
pub(crate) fn actions() -> String {
    let of_steps = |it: &action::Declaration| it.named_by == NamedBy::Playbook;
    ActionName::all().map(ActionName::declaration).filter(|it| of_steps(it)).map(action).collect()
}

fn action(it: &action::Declaration) -> String {
    let mut page = head(it.key, it.parameters);
    page.push_str(&prose(&format!("Class {}. {}", it.class, it.does)));
    page.push_str(".Pp\n");
    page.push_str(&parameters(it.parameters));
    page.push_str(&prose(&format!("Not at the same time as {}.", it.conflicts)));
    let undo = it.undo.map_or_else(|| "No undo.".to_owned(), |undo| format!("Undo: {undo}."));
    page.push_str(&prose(&undo));
    page.push_str(&prose(it.again()));
    if let Some(instead) = it.alone {
        page.push_str(&prose(&format!("Stand-alone this is not done: a person is notified {instead}.")));
    }
    page
}

fn head(key: &str, parameters: &[Parameter]) -> String {
    format!(".Ss {key}\n.Ql {}\n.Pp\n", Parameter::form(key, parameters))
}

fn parameters(parameters: &[Parameter]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    let mut page = ".Bl -tag -width Ds -compact\n".to_owned();
    for parameter in parameters {
        let _ = write!(page, ".It Va {}\n{}", parameter.name, prose(parameter.doc));
        if let Takes::Word(known) = parameter.takes {
            page.push_str(&prose(&format!("One of `{}`.", known.join("`, `"))));
        }
        if !parameter.required {
            page.push_str("May be left out.\n");
        }
    }
    page.push_str(".El\n.Pp\n");
    page
}

/// Sentences in lines of their own; what stands between backquotes is literal.
fn prose(text: &str) -> String {
    let mut page = String::new();
    let mut rest = text.split('`');
    let mut after = String::new();
    while let Some(plain) = rest.next() {
        let stop = plain.chars().next().filter(|first| ".,;:".contains(*first));
        if let (Some(stop), false) = (stop, page.is_empty()) {
            after = format!(" {stop}");
        }
        if !page.is_empty() {
            page.push_str(&after);
            page.push('\n');
        }
        let plain = plain.trim_start_matches(['.', ',', ';', ':']).trim();
        if !plain.is_empty() {
            page.push_str(&plain.replace(". ", ".\n"));
            page.push('\n');
        }
        let Some(literal) = rest.next() else { break };
        after.clear();
        let _ = write!(page, ".Ql {literal}");
    }
    page
}
