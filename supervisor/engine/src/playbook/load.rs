//! From files to a library whose parts fit together. Reads no file itself.
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wbd_model::name::PlaybookName;
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::Profile;
use wbd_model::suggest;

use super::compiled::{Explains, Playbook};
use super::library::Library;
use super::test_spec::PlaybookTest;
use super::{compile, document, profile, test_misfits};
use crate::expr::STACK_BYTES;
use crate::yaml::{Node, Place, documents, typed};

/// Reads files in overlay order: a later document of the same kind and name wins. A file with any problem
/// contributes nothing, and the others load as if it were not there; all problems of all files come back.
#[must_use]
pub fn load(sources: &[Source]) -> (Library, Vec<Problem>) {
    // The parser of expressions recurses; its thread's stack is given back when loading ends.
    let loaded = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("playbooks".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || load_here(sources)) {
            Ok(thread) => thread.join().map_err(|_| "reading playbooks ended in a bug of wbd".to_owned()),
            Err(error) => {
                Err(format!("cannot start the thread that reads playbooks: {error}; free memory and try again"))
            }
        }
    });
    loaded.unwrap_or_else(|message| {
        let whole = |source| Place::default().problem(source, message.clone(), None);
        (Library::default(), sources.iter().map(whole).collect())
    })
}

fn load_here(sources: &[Source]) -> (Library, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut files: Vec<File<'_>> = Vec::new();
    for source in sources {
        let read = catch_unwind(AssertUnwindSafe(|| read(source)));
        match read.unwrap_or_else(|_| {
            Err(vec![Place::default().problem(source, "reading this file ended in a bug of wbd", None)])
        }) {
            Ok(file) => files.push(file),
            Err(found) => problems.extend(found),
        }
    }
    // Taking one file out may bring an earlier one of the same name back, so everything is looked at again.
    loop {
        let library = merge(&files);
        let found: Vec<Vec<Problem>> = files.iter().map(|file| file.misfits(&library)).collect();
        if found.iter().all(Vec::is_empty) {
            problems.sort();
            problems.dedup();
            return (library, problems);
        }
        let broken: BTreeSet<usize> =
            found.iter().enumerate().filter(|(_, found)| !found.is_empty()).map(|(index, _)| index).collect();
        problems.extend(found.into_iter().flatten());
        files =
            files.into_iter().enumerate().filter(|(index, _)| !broken.contains(index)).map(|(_, file)| file).collect();
    }
}

/// One file's documents.
struct File<'a> {
    source: &'a Source,
    playbooks: Vec<(Arc<Playbook>, Node)>,
    profiles: Vec<Arc<Profile>>,
    tests: Vec<(Arc<PlaybookTest>, Node)>,
}

fn read(source: &Source) -> Result<File<'_>, Vec<Problem>> {
    let (trees, mut problems) = documents(source);
    let mut file = File { source, playbooks: Vec::new(), profiles: Vec::new(), tests: Vec::new() };
    let mut names = BTreeSet::new();
    for (index, tree) in trees.into_iter().enumerate() {
        if index == 0 && tree.get("apiVersion").is_none() {
            problems.push(tree.place.problem(source, "the first document must say apiVersion: wbd/v1", None));
        }
        let kind = tree.get("kind").and_then(Node::text).unwrap_or_default().to_owned();
        let name = tree.get("metadata").and_then(|metadata| metadata.get("name"));
        if let Some(name) = name.and_then(Node::text)
            && !names.insert((kind.clone(), name.to_owned()))
        {
            let place = tree.place_of(&["metadata", "name"]);
            problems.push(place.problem(source, format!("the {kind} {name:?} stands in this file twice"), None));
        }
        if let Err(found) = file.take(tree, &kind) {
            problems.extend(found);
        }
    }
    if problems.is_empty() { Ok(file) } else { Err(problems) }
}

impl<'a> File<'a> {
    fn take(&mut self, tree: Node, kind: &str) -> Result<(), Vec<Problem>> {
        let source: &'a Source = self.source;
        match kind {
            "Playbook" => {
                let document = typed(source, &tree)?;
                let mut playbook = compile::compile(source, &tree, document)?;
                playbook.file.clone_from(&source.path);
                self.playbooks.push((Arc::new(playbook), tree));
            }
            "Profile" => {
                let document: document::ProfileDocument = typed(source, &tree)?;
                let found = profile::check(source, &tree, &document.spec);
                if !found.is_empty() {
                    return Err(found);
                }
                self.profiles.push(Arc::new(Profile { name: document.metadata.name, spec: document.spec }));
            }
            "PlaybookTest" => {
                let document: document::TestDocument = typed(source, &tree)?;
                let test =
                    PlaybookTest { name: document.metadata.name, file: source.path.clone(), spec: document.spec };
                self.tests.push((Arc::new(test), tree));
            }
            other => {
                let known = ["Playbook", "Profile", "PlaybookTest"];
                let message = if other.is_empty() {
                    "the key \"kind\" is missing".to_owned()
                } else {
                    format!("unknown kind {other:?}")
                };
                return Err(vec![tree.place_of(&["kind"]).problem(source, message, suggest::hint(other, known))]);
            }
        }
        Ok(())
    }

    /// What does not fit together with the other files.
    fn misfits(&self, library: &Library) -> Vec<Problem> {
        let mut found = Vec::new();
        for (playbook, tree) in &self.playbooks {
            let list = tree.get("spec").and_then(|spec| spec.get("explains"));
            let places = list.map(Node::elements).unwrap_or_default();
            for (explains, node) in playbook.explains.iter().zip(places) {
                if let Some((message, hint)) = misspelt(explains, library) {
                    found.push(node.place.problem(self.source, message, hint));
                }
                if reaches(library, &explains.playbook, &playbook.name) {
                    let message = format!(
                        "{} explains {} and is explained by it: a cause cannot be its own consequence",
                        playbook.name, explains.playbook
                    );
                    found.push(node.place.problem(self.source, message, None));
                }
            }
        }
        for (test, tree) in &self.tests {
            found.extend(test_misfits::misfits(self.source, tree, test, library));
        }
        found
    }
}

/// A name that is nearly one that exists. A name that resembles none may be a masked playbook's, and
/// masking one must not break the others.
fn misspelt(explains: &Explains, library: &Library) -> Option<(String, Option<String>)> {
    let name = explains.playbook.as_str();
    let Some(playbook) = library.playbooks.get(&explains.playbook) else {
        let near = suggest::nearest(name, library.playbooks.keys().map(PlaybookName::as_str))?;
        return Some((format!("there is no playbook {name:?}"), Some(format!("did you mean {near:?}?"))));
    };
    let case = explains.case.as_deref().filter(|case| playbook.case(case).is_none())?;
    let near = suggest::nearest(case, playbook.cases.iter().map(|case| case.id.as_str()))?;
    Some((format!("{name} has no case {case:?}"), Some(format!("did you mean {near:?}?"))))
}

/// Whether `from` explains `to`, directly or through others.
fn reaches(library: &Library, from: &PlaybookName, to: &PlaybookName) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            let explained =
                library.playbooks.get(name).map(|playbook| playbook.explains.as_slice()).unwrap_or_default();
            open.extend(explained.iter().map(|explains| &explains.playbook));
        }
    }
    false
}

fn merge(files: &[File<'_>]) -> Library {
    let mut library = Library::default();
    for file in files {
        library
            .playbooks
            .extend(file.playbooks.iter().map(|(playbook, _)| (playbook.name.clone(), Arc::clone(playbook))));
        library.profiles.extend(file.profiles.iter().map(|profile| (profile.name.clone(), Arc::clone(profile))));
        library.tests.extend(file.tests.iter().map(|(test, _)| (test.name.clone(), Arc::clone(test))));
    }
    library
}
