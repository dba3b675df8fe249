//! What a file may say and had better not. It loads all the same; refuses nothing.
use std::path::Path;

use wbd_model::action::Class;
use wbd_model::forbidden::{self, Purpose};
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::{ProcessSelector, ProfileSpec, Sign, VersionSource};

use super::document::{PlaybookDocument, ProfileDocument};
use super::faults::Faults;
use super::guide_programs;
use super::library::Library;
use super::{compile, health, references, unprovable};
use crate::yaml::{Node, documents, typed};

const BY_NAME_ALONE: &str =
    "names a process by comm alone, which anybody may take: add program, unit or user (without one, only root's count)";

/// What is not wrong and should be better, for files that load.
#[must_use]
pub fn advice(sources: &[Source], library: &Library) -> Vec<Problem> {
    sources.iter().flat_map(|source| of_file(source, library)).collect()
}

/// What playbooks say of health and had better say otherwise. Apart from the rest, since it takes a while, and since it
/// asks for what an author of before could not write.
#[must_use]
pub fn advice_on_health(sources: &[Source]) -> Vec<Problem> {
    let mut found = Vec::new();
    for source in sources {
        let mut faults = Faults::new(source);
        let (trees, _) = documents(source);
        for tree in trees.iter().filter(|tree| tree.get("kind").and_then(Node::text) == Some("Playbook")) {
            let Ok(document) = typed::<PlaybookDocument>(source, tree) else { continue };
            let Ok(playbook) = compile::compile(source, tree, document) else { continue };
            health::advise(&mut faults, tree, &playbook);
        }
        found.extend(faults.found);
    }
    found
}

fn of_file(source: &Source, library: &Library) -> Vec<Problem> {
    let mut faults = Faults::new(source);
    let (trees, _) = documents(source);
    let of = |kind: &'static str| trees.iter().filter(move |tree| tree.get("kind").and_then(Node::text) == Some(kind));
    for tree in of("Playbook") {
        references::of_playbook(&mut faults, tree, library);
        guide_programs::unsaid(&mut faults, tree);
        let Ok(document) = typed::<PlaybookDocument>(source, tree) else { continue };
        let Ok(playbook) = compile::compile(source, tree, document) else { continue };
        for reason in unprovable::reasons(&playbook) {
            faults.add(tree.place_of(&["spec", "verify", "pass"]), reason);
        }
    }
    for tree in of("Profile") {
        references::of_profile(&mut faults, tree, library);
        // What does not fit its types is a problem, and told as one.
        let Ok(document) = typed::<ProfileDocument>(source, tree) else { continue };
        programs(&mut faults, tree, &document.spec);
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
    faults.found
}

/// Classes that do not count as they are written, and what tells a version by code in its arguments.
fn programs(faults: &mut Faults<'_>, tree: &Node, spec: &ProfileSpec) {
    for (name, command) in &spec.commands {
        match command.class {
            Class::A0 | Class::A1 | Class::A2 => {
                let place = tree.place_of(&["spec", "commands", name, "class"]);
                let message = format!("commands.{name}.class {} counts as A3, as for every program", command.class);
                faults.add_with_hint(place, message, Some("write A3, or leave class out".to_owned()));
            }
            Class::A3 | Class::A4 => {}
        }
    }
    for (name, version) in &spec.version {
        let VersionSource::Program(argv) = version else { continue };
        let Some((program, arguments)) = argv.split_first() else { continue };
        if let Some(why) = forbidden::why(Purpose::Answer, [Path::new(program)], arguments) {
            faults.add(tree.place_of(&["spec", "version", name]), format!("version.{name}: {why}"));
        }
    }
}

fn by_process(sign: &Sign) -> Option<&ProcessSelector> {
    match sign {
        Sign::Process(selector) => Some(selector),
        Sign::File(_) | Sign::Package(_) => None,
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
        let (library, problems) = load(std::slice::from_ref(&source));
        assert_eq!(problems, [], "it loads all the same");
        let found = advice(&[source], &library);
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

    /// What is advised on a profile with these lines, after a look that it loads.
    fn advised_on(lines: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: p}}\nspec:\n  present: {{any: [{{file: /p}}]}}\n{lines}"
        );
        let source = Source { path: "p.yaml".to_owned(), text };
        let (library, problems) = load(std::slice::from_ref(&source));
        assert_eq!(problems, [], "it loads all the same");
        advice(&[source], &library).iter().map(Problem::brief).collect()
    }

    #[test]
    fn a_verification_that_cannot_hold_is_advised_against_at_its_place() {
        let fd_leak = shipped_sources().into_iter().find(|source| source.path.ends_with("fd-leak.yaml")).unwrap();
        let library = load(&shipped_sources()).0;
        let advise = |source: &Source| advice(std::slice::from_ref(source), &library);
        let wrong = fd_leak.text.replace("fd.open < before.fd.open", "!trend.leaking");
        let found = advise(&Source { text: wrong, ..fd_leak.clone() });
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].message.contains("asks trend.leaking, which is unknown for days"), "{found:#?}");
        let line = usize::try_from(found[0].line).unwrap();
        assert!(fd_leak.text.lines().nth(line - 1).unwrap().contains("verify:"), "{found:#?}");
        assert_eq!(advise(&fd_leak), []);
    }

    #[test]
    fn a_class_below_a3_is_advised_against_and_one_that_is_left_out_is_not() {
        let of = |class: &str| advised_on(&format!("  commands: {{fix: {{argv: [/opt/fix], timeout: 5s{class}}}}}\n"));
        for class in ["A0", "A1", "A2"] {
            let said = of(&format!(", class: {class}"));
            let wanted =
                format!("p.yaml:6:58: commands.fix.class {class} counts as A3, as for every program (write A3");
            assert!(said.len() == 1 && said[0].starts_with(&wanted), "{said:#?}");
        }
        assert_eq!((of(", class: A3"), of("")), (vec![], vec![]));
    }

    #[test]
    fn a_version_that_is_told_by_a_shell_is_advised_against_and_one_by_a_program_is_not() {
        let of = |argv: &str| advised_on(&format!("  version: {{left: {{program: {argv}}}}}\n"));
        let said = of("[/bin/sh, -c, rpm -q p]");
        assert!(said.len() == 1 && said[0].contains("version.left: sh is a shell"), "{said:#?}");
        assert_eq!((of("[/usr/bin/rpm, -q, p]"), of("[/opt/p, --version]")), (vec![], vec![]));
    }

    #[test]
    fn no_shipped_file_is_advised_on() {
        let sources = shipped_sources();
        assert_eq!(advice(&sources, &load(&sources).0), []);
    }
}
