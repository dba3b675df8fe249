//! What a file may say and had better not. It loads all the same; refuses nothing.
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::{ProcessSelector, Sign};

use super::document::{PlaybookDocument, ProfileDocument};
use super::faults::Faults;
use super::{compile, unprovable};
use crate::yaml::{Node, documents, typed};

const BY_NAME_ALONE: &str =
    "names a process by comm alone, which anybody may take: add program, unit or user (without one, only root's count)";

/// What is not wrong and should be better, for files that load.
#[must_use]
pub fn advice(sources: &[Source]) -> Vec<Problem> {
    sources.iter().flat_map(of_file).collect()
}

fn of_file(source: &Source) -> Vec<Problem> {
    let mut faults = Faults::new(source);
    let (trees, _) = documents(source);
    let profiles = trees.iter().filter(|tree| tree.get("kind").and_then(Node::text) == Some("Profile"));
    for tree in profiles {
        // What does not fit its types is a problem, and told as one.
        let Ok(document) = typed::<ProfileDocument>(source, tree) else { continue };
        for (role, selector) in &document.spec.process {
            if selector.is_by_name_alone() {
                faults.add(tree.place_of(&["spec", "process", role]), format!("process.{role} {BY_NAME_ALONE}"));
            }
        }
        let signs = tree.get("spec").and_then(|spec| spec.get("present")).and_then(|present| present.get("any"));
        let places = signs.map(Node::elements).unwrap_or_default();
        for (sign, node) in document.spec.present.any.iter().zip(places) {
            if by_process(sign).is_some_and(ProcessSelector::is_by_name_alone) {
                faults.add(node.place, format!("present {BY_NAME_ALONE}"));
            }
        }
    }
    let playbooks = trees.iter().filter(|tree| tree.get("kind").and_then(Node::text) == Some("Playbook"));
    for tree in playbooks {
        let Ok(document) = typed::<PlaybookDocument>(source, tree) else { continue };
        let Ok(playbook) = compile::compile(source, tree, document) else { continue };
        for reason in unprovable::reasons(&playbook) {
            faults.add(tree.place_of(&["spec", "verify", "pass"]), reason);
        }
    }
    faults.found
}

fn by_process(sign: &Sign) -> Option<&ProcessSelector> {
    match sign {
        Sign::Process(selector) => Some(selector),
        Sign::File(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{load, tests::shipped_sources};
    use super::*;

    /// Lines and columns of what is advised on a profile that goes by this selector.
    fn advised(selector: &str) -> Vec<(u64, u64)> {
        let text = format!(
            "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: p}}\nspec:\n  \
             present: {{any: [{{process: {selector}}}]}}\n  process: {{main: {selector}}}\n"
        );
        let source = Source { path: "p.yaml".to_owned(), text };
        assert_eq!(load(std::slice::from_ref(&source)).1, [], "it loads all the same");
        let found = advice(&[source]);
        assert!(found.iter().all(|it| it.message.contains("by comm alone")), "{found:#?}");
        found.iter().map(|it| (it.line, it.column)).collect()
    }

    #[test]
    fn a_process_by_its_name_alone_is_advised_against_and_loads() {
        assert_eq!(advised("{comm: p}"), [(6, 19), (5, 19)]);
        for more in ["program: /opt/p*/p", "exe: /opt/p", "unit: p.service", "user: [root, scan]"] {
            assert_eq!(advised(&format!("{{comm: p, {more}}}")), [], "{more}");
        }
        assert_eq!(advised("{health: true}"), []);
    }

    #[test]
    fn a_verification_that_cannot_hold_is_advised_against_at_its_place() {
        let fd_leak = shipped_sources().into_iter().find(|source| source.path.ends_with("fd-leak.yaml")).unwrap();
        let wrong = fd_leak.text.replace("fd.open < before.fd.open", "!trend.leaking");
        let found = advice(&[Source { text: wrong, ..fd_leak.clone() }]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].message.contains("asks trend.leaking, which is unknown for days"), "{found:#?}");
        let line = usize::try_from(found[0].line).unwrap();
        assert!(fd_leak.text.lines().nth(line - 1).unwrap().contains("verify:"), "{found:#?}");
        assert_eq!(advice(&[fd_leak]), []);
    }

    #[test]
    fn no_shipped_profile_goes_by_a_name_alone() {
        assert_eq!(advice(&shipped_sources()), []);
    }
}
