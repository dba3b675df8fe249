//! All modules of a crate, from its root file on, and which file each named path leads to.
use std::collections::BTreeMap;
use std::fmt;

use super::text::{self, Text};

/// A `use` may lead to another one; more steps than this are a circle of names.
const MOST_SIGNPOSTS: usize = 16;

/// One file names something that stands in another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file that names.
    pub from: String,
    /// Where in it.
    pub line: usize,
    /// The path as it is written.
    pub path: String,
    /// The file in which that stands.
    pub to: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} names {}, which stands in {}", self.from, self.line, self.path, self.to)
    }
}

/// Every import between the files of one crate; `load` gives the text of a file by its path.
///
/// # Errors
/// A file cannot be read or is no Rust.
pub fn imports(root: &str, load: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Import>, String> {
    let mut tree = Tree { load, modules: Vec::new() };
    let text = load(root).ok_or_else(|| format!("{root} cannot be read"))?;
    tree.add_file(root, &text, None, folder_of(root).to_owned())?;
    Ok(tree.imports())
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn beside(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

struct Tree<'a> {
    load: &'a dyn Fn(&str) -> Option<String>,
    modules: Vec<Module>,
}

struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    text: Text,
}

/// What a path names: a module, or something inside of it.
struct Meant {
    module: usize,
    is_inside: bool,
}

impl Tree<'_> {
    /// `folder` is where the files of its modules lie.
    fn add_file(&mut self, file: &str, text: &str, parent: Option<usize>, folder: String) -> Result<usize, String> {
        let text = text::read(text).map_err(|error| format!("{file}: {error}"))?;
        self.add(file, text, parent, folder)
    }

    fn add(&mut self, file: &str, mut text: Text, parent: Option<usize>, folder: String) -> Result<usize, String> {
        let inline = std::mem::take(&mut text.inline);
        let files = std::mem::take(&mut text.files);
        let here = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), parent, children: BTreeMap::new(), text });
        for (name, inside) in inline {
            let child = self.add(file, inside, Some(here), beside(&folder, &name))?;
            self.modules[here].children.insert(name, child);
        }
        for (name, said) in files {
            let inside = beside(&folder, &name);
            let places = match &said {
                Some(said) => vec![(beside(folder_of(file), said), folder_of(file).to_owned())],
                None => vec![(format!("{inside}.rs"), inside.clone()), (format!("{inside}/mod.rs"), inside.clone())],
            };
            let found = places.iter().find_map(|(path, inside)| Some((path, inside, (self.load)(path)?)));
            let (path, inside, text) = found.ok_or_else(|| format!("{file}: the file of `mod {name}` is not there"))?;
            let child = self.add_file(path, &text, Some(here), inside.clone())?;
            self.modules[here].children.insert(name, child);
        }
        Ok(here)
    }

    fn imports(&self) -> Vec<Import> {
        let mut all = Vec::new();
        for (here, module) in self.modules.iter().enumerate() {
            for named in &module.text.named {
                let Some(meant) = self.meant(here, &named.path, MOST_SIGNPOSTS) else { continue };
                let to = &self.modules[meant.module].file;
                // Who brings in a module uses what is named through it, and that is seen where it is named.
                let is_used = meant.is_inside || named.is_glob;
                if is_used && *to != module.file {
                    let (from, path) = (module.file.clone(), named.path.join("::"));
                    all.push(Import { from, line: named.line, path, to: to.clone() });
                }
            }
        }
        all.sort();
        all.dedup();
        all
    }

    /// Where a path ends that `here` names; `None`: outside of this crate.
    fn meant(&self, here: usize, path: &[String], signposts: usize) -> Option<Meant> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => 0,
            "self" => here,
            "super" => self.modules[here].parent?,
            name => match self.modules[here].children.get(name) {
                Some(child) => *child,
                None => return self.signpost(here, name, rest, signposts)?,
            },
        };
        while let Some((name, more)) = rest.split_first() {
            match self.modules[at].children.get(name) {
                Some(child) => at = *child,
                None if name == "super" => at = self.modules[at].parent?,
                None => {
                    let there = Meant { module: at, is_inside: true };
                    return self.signpost(at, name, more, signposts).unwrap_or(Some(there));
                }
            }
            rest = more;
        }
        Some(Meant { module: at, is_inside: false })
    }

    /// Where a name leads that `use` brings into a module; `None`: no `use` does.
    fn signpost(&self, at: usize, name: &str, rest: &[String], signposts: usize) -> Option<Option<Meant>> {
        let target = self.modules[at].text.names.get(name)?;
        let path: Vec<String> = target.iter().chain(rest).cloned().collect();
        Some(signposts.checked_sub(1).and_then(|left| self.meant(at, &path, left)))
    }
}
