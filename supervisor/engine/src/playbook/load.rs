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
use super::{compile, document, expressions, profile, regions, test_misfits, units};
use crate::expr::STACK_BYTES;
use crate::yaml::{Node, Place, documents, readable, tried, typed};

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
    let (mut files, mut unread): (Vec<File<'_>>, Vec<File<'_>>) = (Vec::new(), Vec::new());
    for source in sources {
        let read = catch_unwind(AssertUnwindSafe(|| {
            let (file, found) = read(source);
            (file, tried(source, found, &|changed| self::read(changed).1))
        }));
        let bug = || vec![Place::default().problem(source, "reading this file ended in a bug of wbd", None)];
        let (file, found) = read.unwrap_or_else(|_| (File::of(source), bug()));
        let into = if found.is_empty() { &mut files } else { &mut unread };
        into.push(file);
        problems.extend(found);
    }
    // Taking one file out may bring an earlier one of the same name back, so everything is looked at again.
    loop {
        let library = merge(&files);
        let found: Vec<Vec<Problem>> = files.iter().map(|file| file.misfits(&library)).collect();
        if found.iter().all(Vec::is_empty) {
            problems.extend(unread.iter().flat_map(|file| file.own_misfits(&library)));
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
    /// Of all its documents, those too that cannot be read.
    names: Vec<String>,
}

/// The documents of a file that can be read, and all that keeps the others from it.
fn read(source: &Source) -> (File<'_>, Vec<Problem>) {
    let (trees, mut problems) = documents(source);
    let mut file = File::of(source);
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
        file.names.extend(name.and_then(Node::text).map(str::to_owned));
        if let Err(found) = file.take(tree, &kind) {
            problems.extend(found);
        }
    }
    (file, problems)
}

impl<'a> File<'a> {
    fn of(source: &'a Source) -> Self {
        Self { source, playbooks: Vec::new(), profiles: Vec::new(), tests: Vec::new(), names: Vec::new() }
    }

    fn take(&mut self, tree: Node, kind: &str) -> Result<(), Vec<Problem>> {
        let source: &'a Source = self.source;
        match kind {
            "Playbook" => {
                let document = typed(source, &tree).map_err(|mut found| {
                    found.extend(expressions::faults(source, &tree));
                    found
                })?;
                let mut playbook = compile::compile(source, &tree, document)?;
                playbook.file.clone_from(&source.path);
                self.playbooks.push((Arc::new(playbook), tree));
            }
            "Profile" => {
                let (document, mut broken) = readable::<document::ProfileDocument>(source, &tree);
                let Some(document) = document else { return Err(broken) };
                let found = profile::check(source, &tree, &document.spec);
                broken.extend(regions::apart(tree.get("spec").unwrap_or(&tree), found, &broken));
                if !broken.is_empty() {
                    return Err(broken);
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

    /// What of a file that cannot be used does not fit together with the others either, its own names left out.
    fn own_misfits(&self, library: &Library) -> Vec<Problem> {
        let mut found = self.misfits(library);
        found.retain(|problem| !self.names.iter().any(|name| problem.message.contains(&format!("{name:?}"))));
        found
    }

    /// What does not fit together with the other files.
    fn misfits(&self, library: &Library) -> Vec<Problem> {
        let mut found = Vec::new();
        for (playbook, tree) in &self.playbooks {
            found.extend(units::misfits(self.source, tree, playbook, library));
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
