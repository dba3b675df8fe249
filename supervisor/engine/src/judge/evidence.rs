//! The facts behind a verdict as lines: by the names that playbooks use, and in words for people. Judges nothing.
use wbd_model::observation::{Fact, Field, Value};

use crate::expr::{Expr, Reference, Scope};
use crate::playbook::Bound;

/// Characters of a text that a line shows.
const LONGEST: usize = 200;

/// By name, as the ledger keeps them: `ino.user_used = 8190`.
pub(super) fn by_name(expression: &Expr, scope: &Scope<'_>) -> Vec<String> {
    let lines = expression.references().into_iter().filter_map(|reference| match reference {
        Reference::Fact { .. } | Reference::Before { .. } | Reference::Let(_) => {
            Some(named(reference, &scope.value(reference)))
        }
        // Constants of the profile are no evidence; they were known before.
        Reference::Profile(_) | Reference::Case | Reference::Item { .. } => None,
    });
    lines.collect()
}

fn named(reference: &Reference, fact: &Fact) -> String {
    match fact {
        Fact::Known(Value::Text(text)) => {
            format!("{reference} = {:?}", text.chars().take(LONGEST).collect::<String>())
        }
        Fact::Known(value @ (Value::Bool(_) | Value::Int(_))) => format!("{reference} = {value}"),
        Fact::Unknown(_) => format!("{reference} is not known"),
    }
}

/// The same in words, each line once: `watches of the user: 8190`. Of a value of `let` the facts that it is made of.
pub(super) fn in_words(bound: &Bound, expression: &Expr, scope: &Scope<'_>) -> Vec<String> {
    of_names(bound, expression.references(), scope)
}

/// The same of these names.
pub(super) fn of_names(bound: &Bound, names: Vec<&Reference>, scope: &Scope<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    collect(bound, names, scope, &mut lines);
    lines
}

fn collect(bound: &Bound, names: Vec<&Reference>, scope: &Scope<'_>, lines: &mut Vec<String>) {
    for reference in names {
        let fact = scope.value(reference);
        let line = match reference {
            Reference::Fact { observation, field } => told(bound, observation, field, &fact),
            Reference::Before { observation, field } => {
                told(bound, observation, field, &fact).map(|line| format!("before the action: {line}"))
            }
            Reference::Let(name) => {
                // It can only name those above it, so this ends.
                if let Some(inner) = value_of(bound, name) {
                    collect(bound, inner.references(), scope, lines);
                }
                continue;
            }
            Reference::Profile(_) | Reference::Case | Reference::Item { .. } => continue,
        };
        let line = line.unwrap_or_else(|| named(reference, &fact));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}

/// One fact in words; where a playbook asks the same question twice, with the name of the observation.
pub(super) fn told(bound: &Bound, observation: &str, field: &str, fact: &Fact) -> Option<String> {
    let line = declared(bound, observation, field)?.in_words(fact);
    let name = bound.probes.get(observation)?.name();
    let twice = bound.probes.values().filter(|probe| probe.name() == name).count() > 1;
    Some(if twice { format!("{observation}: {line}") } else { line })
}

/// Why an expression could not be decided, with the fact that is missing in words.
pub(super) fn unknown(bound: &Bound, expression: &Expr, scope: &Scope<'_>, why: &str) -> String {
    let missing = |reference: &&Reference| scope.value(reference) == Fact::Unknown(why.to_owned());
    let Some(reference) = expression.references().into_iter().find(missing) else { return why.to_owned() };
    let rest = why.strip_prefix(&format!("{reference}: ")).unwrap_or(why);
    let words = match reference {
        Reference::Fact { observation, field } => {
            told(bound, observation, field, &Fact::Unknown(String::new())).map(|line| format!("{line} ({rest})"))
        }
        Reference::Let(name) => value_of(bound, name).map(|inner| unknown(bound, inner, scope, rest)),
        Reference::Before { .. } | Reference::Profile(_) | Reference::Case | Reference::Item { .. } => None,
    };
    words.unwrap_or_else(|| why.to_owned())
}

fn value_of<'a>(bound: &'a Bound, name: &str) -> Option<&'a Expr> {
    bound.content.lets.iter().find(|(known, _)| known == name).map(|(_, expression)| expression)
}

fn declared(bound: &Bound, observation: &str, field: &str) -> Option<&'static Field> {
    bound.probes.get(observation)?.name().fields().iter().find(|known| known.name == field)
}

#[cfg(test)]
mod tests {
    use wbd_model::observation::{Kind, Observation, Observations};
    use wbd_model::settings::Settings;

    use super::*;
    use crate::judge::judge;
    use crate::playbook::tests::shipped_sources;
    use crate::playbook::{Library, load};

    /// Every field of every question, with these values.
    fn seen(bound: &Bound, truth: bool, number: i64) -> Observations {
        let mut all = Observations::new();
        for (name, probe) in &bound.probes {
            let mut observation = Observation::default();
            for field in probe.name().fields() {
                match field.kind {
                    Kind::Bool => observation.know(field.name, truth),
                    Kind::Int => observation.know(field.name, number),
                    Kind::Text => observation.know(field.name, "text"),
                };
            }
            all.insert(name.clone(), observation);
        }
        all
    }

    fn shipped() -> Vec<Bound> {
        let (library, problems): (Library, _) = load(&shipped_sources());
        assert!(problems.is_empty(), "{problems:?}");
        let bounds = library.bind(&library.profiles.keys().cloned().collect(), &Settings::default());
        assert!(bounds.len() > 10, "{}", bounds.len());
        bounds
    }

    #[test]
    fn no_evidence_of_a_shipped_playbook_shows_the_name_of_a_fact() {
        for bound in shipped() {
            for (truth, number) in [(true, 0), (false, 0), (true, 9_999_999), (false, 9_999_999)] {
                let says = judge(&bound, &seen(&bound, truth, number));
                assert_eq!(says.seen.is_empty(), says.evidence.is_empty(), "{}", bound.playbook);
                for line in &says.seen {
                    assert!(!line.contains(['_', '=']), "{}: {line}", bound.playbook);
                }
            }
        }
    }

    #[test]
    fn what_could_not_be_seen_is_named_in_words_with_its_reason() {
        for bound in shipped() {
            let blind: Observations = bound
                .probes
                .iter()
                .map(|(name, probe)| (name.clone(), Observation::unseen(probe.name().fields(), "needs root")))
                .collect();
            let says = judge(&bound, &blind);
            assert!(says.reason.contains("not known") && says.reason.ends_with("(needs root)"), "{}", says.reason);
            assert!(!says.reason.contains('_'), "{}", says.reason);
        }
    }
}
