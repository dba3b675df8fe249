//! Expressions of a document that cannot be read as a playbook yet: so that its structure and they are corrected in one
//! go. Tells nothing that may follow from the rest.
use std::collections::BTreeMap;

use wbd_model::observation::Kind;
use wbd_model::probe::ProbeName;
use wbd_model::problem::{Problem, Source};

use super::faults::Faults;
use crate::expr::{Items, Names};
use crate::yaml::{At, Node};

/// Every problem of every expression, as far as the names that it uses are known.
pub(super) fn faults(source: &Source, tree: &Node) -> Vec<Problem> {
    // Without observations every name would be told as missing.
    let Some(spec) = tree.get("spec").filter(|spec| spec.get("observe").is_some()) else { return Vec::new() };
    let mut check = Check { faults: Faults::new(source), names: names(spec), lost: Vec::new() };
    check.lost = lost(spec);
    let cases = spec.get("detect").and_then(|detect| detect.get("cases")).map(Node::elements).unwrap_or_default();
    for (name, value) in spec.get("let").map(Node::entries).unwrap_or_default() {
        let kind = value.get("cel").and_then(|text| check.expression(text, None));
        match kind {
            Some(kind) => check.names.lets.push((name.text.as_str(), kind)),
            // Its type is not known, so neither is what builds on it.
            None => check.lost.push(name.text.as_str()),
        }
    }
    check.condition(spec.get("detect").and_then(|detect| detect.get("healthy")));
    for case in cases {
        check.condition(case.get("when"));
    }
    check.names.cases = Some(cases.iter().filter_map(|case| case.get("id")?.text()).collect());
    for rung in spec.get("rungs").map(Node::elements).unwrap_or_default() {
        check.condition(rung.get("if"));
        for step in rung.get("steps").map(Node::elements).unwrap_or_default() {
            for (_, values) in step.entries() {
                for (_, value) in values.entries() {
                    if let Some(text) = value.get("cel") {
                        check.expression(text, None);
                    }
                }
            }
        }
    }
    check.names.cases = None;
    check.names.before = true;
    check.condition(spec.get("verify").and_then(|verify| verify.get("pass")));
    check.faults.found
}

struct Check<'a> {
    faults: Faults<'a>,
    names: Names<'a>,
    /// Names that stand for something unreadable.
    lost: Vec<&'a str>,
}

impl<'a> Check<'a> {
    fn condition(&mut self, text: Option<&'a Node>) {
        if let Some(text) = text {
            self.expression(text, Some(Kind::Bool));
        }
    }

    /// The type of its value, where all that it names is known and right.
    fn expression(&mut self, node: &'a Node, wanted: Option<Kind>) -> Option<Kind> {
        let text = node.text()?;
        let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        if self.lost.iter().any(|lost| words.contains(lost)) {
            return None;
        }
        let text = At { place: node.place, value: text.to_owned() };
        self.faults.compile(&text, wanted, &self.names).map(|expression| expression.kind())
    }
}

/// The name and probe of each question that can be read.
fn names(spec: &Node) -> Names<'_> {
    let of_host = spec.get("scope").and_then(Node::text) == Some("host");
    let items = spec.get("each").map(|each| if each.get("role").is_some() { Items::Roles } else { Items::Endpoints });
    let observations: BTreeMap<&str, ProbeName> =
        observed(spec).filter_map(|(name, probe)| Some((name, probe?))).collect();
    Names { observations, profile: !of_host, items, ..Names::default() }
}

/// Names whose question cannot be read, or that a misspelt key may hold.
fn lost(spec: &Node) -> Vec<&str> {
    let unread = observed(spec).filter(|(_, probe)| probe.is_none()).map(|(name, _)| name);
    let misplaced = spec
        .entries()
        .iter()
        .filter(|(key, _)| !KEYS.contains(&key.text.as_str()))
        .flat_map(|(_, value)| value.entries().iter().map(|(key, _)| key.text.as_str()));
    unread.chain(misplaced).collect()
}

/// The keys of a playbook's `spec` that hold no names under a wrong one.
const KEYS: [&str; 11] =
    ["applies", "scope", "each", "every", "observe", "let", "detect", "explains", "rungs", "verify", "text"];

fn observed(spec: &Node) -> impl Iterator<Item = (&str, Option<ProbeName>)> {
    let entries = spec.get("observe").map(Node::entries).unwrap_or_default();
    entries.iter().map(|(name, question)| {
        let key = question.entries().first().map(|(key, _)| key.text.as_str());
        (name.text.as_str(), ProbeName::ALL.iter().copied().find(|probe| Some(probe.as_str()) == key))
    })
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    const GOOD: &str = "apiVersion: wbd/v1
kind: Playbook
metadata: {name: port, code: WEB-PORT}
spec:
  applies: {has: [process.main, health]}
  observe:
    proc: {process.state: {process: main}}
  let:
    dead: {cel: \"!proc.alive\"}
  detect:
    cases: [{id: down, level: fail, when: \"dead\"}]
  rungs: [{id: start, if: \"case == 'down'\", steps: [{agent.start: {}}]}]
  verify: {pass: \"proc.alive\", within: 10s}
  text: {en: {down: {title: t, cause: c, guide: [g]}}}
";

    fn said(changes: &[(&str, &str)]) -> Vec<String> {
        let mut text = GOOD.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let (_, problems) = load(&[Source { path: "p.yaml".to_owned(), text }]);
        problems.iter().map(|problem| format!("{}: {}", problem.line, problem.message)).collect()
    }

    #[test]
    fn wrong_keys_and_wrong_expressions_are_told_at_once() {
        assert_eq!(said(&[]), Vec::<String>::new());
        let all = said(&[
            ("level: fail", "lvel: fail"),
            ("pass: \"proc.alive\"", "pass: \"proc.alve\""),
            ("if: \"case == 'down'\"", "if: \"case = 'down'\""),
            ("within: 10s", "within: 10"),
            ("cel: \"!proc.alive\"", "cel: \"!proc.alive &\""),
        ]);
        for line in
            ["9: ", "11: unknown key \"lvel\"", "12: ", "13: proc (process.state) has no field \"alve\"", "13: wrong"]
        {
            assert!(all.iter().any(|it| it.starts_with(line)), "{line}: {all:#?}");
        }
        assert_eq!(all.len(), 5, "{all:#?}");
    }

    #[test]
    fn what_may_follow_from_a_misspelt_name_is_not_told() {
        for changes in [
            &[("  observe:", "  obsreve:")][..],
            &[("process.state: {", "process.stat: {")],
            &[("  let:", "  lets:")],
            &[("  let:\n", "  lte:\n"), ("level: fail", "lvel: fail")],
        ] {
            let said = said(changes);
            assert_eq!(said.len(), changes.len(), "{changes:?}: {said:#?}");
        }
    }
}
