//! Names in a test that its playbook does not have, found at load. Runs nothing.
use wbd_model::name::PlaybookName;
use wbd_model::problem::{Problem, Source};
use wbd_model::suggest;

use super::compiled::Playbook;
use super::library::Library;
use super::test_spec::PlaybookTest;
use crate::yaml::Node;

/// What a test names and its playbook does not have. A misspelt fact would be unknown for ever.
pub(crate) fn misfits(source: &Source, tree: &Node, test: &PlaybookTest, library: &Library) -> Vec<Problem> {
    let mut found = Vec::new();
    let spec = tree.get("spec");
    let name = test.spec.playbook.as_str();
    let Some(playbook) = library.playbooks.get(&test.spec.playbook) else {
        let near = suggest::nearest(name, library.playbooks.keys().map(PlaybookName::as_str));
        let place = tree.place_of(&["spec", "playbook"]);
        // A masked playbook's test is no error of its file; running it tells.
        found.extend(near.map(|near| {
            place.problem(source, format!("there is no playbook {name:?}"), Some(format!("did you mean {near:?}?")))
        }));
        return found;
    };
    for moment in spec.and_then(|spec| spec.get("at")).map(Node::elements).unwrap_or_default() {
        found.extend(moment.get("see").map(|see| unknown_facts(source, see, playbook)).unwrap_or_default());
        for (other, see) in moment.get("others").map(Node::entries).unwrap_or_default() {
            let other = library.playbooks.iter().find(|(name, _)| name.as_str() == other.text);
            found.extend(other.map(|(_, playbook)| unknown_facts(source, see, playbook)).unwrap_or_default());
        }
    }
    for wanted in spec.and_then(|spec| spec.get("expect")).map(Node::elements).unwrap_or_default() {
        let Some(case) = wanted.get("case") else { continue };
        let ids = playbook.cases.iter().map(|case| case.id.as_str());
        if let Some(text) = case.text().filter(|text| playbook.case(text).is_none()) {
            found.push(case.place.problem(source, format!("{name} has no case {text:?}"), suggest::hint(text, ids)));
        }
    }
    found
}

fn unknown_facts(source: &Source, see: &Node, playbook: &Playbook) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, facts) in see.entries() {
        let Some((_, question)) = playbook.observe.iter().find(|(known, _)| *known == name.text) else {
            let known = playbook.observe.iter().map(|(known, _)| known.as_str());
            let message = format!("{} observes nothing as {:?}", playbook.name, name.text);
            found.push(name.place.problem(source, message, suggest::hint(&name.text, known)));
            continue;
        };
        let fields = question.name.fields();
        for (field, value) in facts.entries() {
            let Some(known) = fields.iter().find(|known| known.name == field.text) else {
                let message = format!("{} has no field {:?}", question.name.as_str(), field.text);
                let hint = suggest::hint(&field.text, fields.iter().map(|known| known.name));
                found.push(field.place.problem(source, message, hint));
                continue;
            };
            if value.kind().is_some_and(|kind| kind != known.kind) {
                found.push(value.place.problem(
                    source,
                    format!("{}.{} is {}", name.text, field.text, crate::expr::a(known.kind)),
                    None,
                ));
            }
        }
    }
    found
}
