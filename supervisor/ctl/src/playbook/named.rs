//! The playbook files that were named on the command line, read in the place of the installed ones. Shows nothing.
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use wbd_engine::playbook::{self, Library};
use wbd_model::problem::{Problem, Source};
use wbd_probes::files;

use crate::context::Context;
use crate::host;

/// The files that were named, each with its tests beside it, or those that are installed.
fn sources(context: &Context, named: &[PathBuf]) -> (Vec<Source>, Vec<Problem>) {
    if named.is_empty() {
        return files::playbooks(&context.root);
    }
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    let named = &below(named, &mut problems);
    let beside = named.iter().filter_map(|path| beside(path)).filter(|path| path.is_file() && !named.contains(path));
    for path in named.iter().cloned().chain(beside) {
        let path = &path;
        match host::source(path) {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    (sources, problems)
}

/// Files that are named stay, and folders become the playbook files in them and one level below, as they are installed.
fn below(named: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        let (own, folders) = listed(path, problems);
        files.extend(own);
        for folder in folders {
            files.extend(listed(&folder, problems).0);
        }
        if files.len() == before {
            problems.push(host::about(path, "no playbook file is in it: it holds no NAME.yaml".to_owned()));
        }
    }
    files
}

/// Playbook files and folders of a folder, sorted.
fn listed(folder: &Path, problems: &mut Vec<Problem>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(host::about(folder, format!("cannot list it: {error}")));
            return (Vec::new(), Vec::new());
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| path.is_dir());
    // Settings and the texts of `explain` lie beside playbooks and are none.
    let is_playbook = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.ends_with(".yaml") && !["wbd.yaml", "catalogue.yaml"].contains(&name)
    };
    (files.into_iter().filter(is_playbook).collect(), folders)
}

/// `dns.test.yaml` for `dns.yaml`, and the other way round.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let other = match name.strip_suffix(".test.yaml") {
        Some(stem) => format!("{stem}.yaml"),
        None => format!("{}.test.yaml", name.strip_suffix(".yaml")?),
    };
    Some(path.with_file_name(other))
}

/// The library for files that were named: they take the place of installed ones of the same file and are
/// read together with the rest, since tests and `explains` name what stands in other files.
pub(crate) fn loaded(context: &Context, named: &[PathBuf]) -> (Library, Vec<Problem>, Vec<Source>) {
    let (own, mut problems) = sources(context, named);
    if named.is_empty() {
        let (library, broken) = playbook::load(&own);
        problems.extend(broken);
        return (library, problems, own);
    }
    let mut all = files::playbooks(&context.root).0;
    all.retain(|installed| !own.iter().any(|source| source.path == installed.path));
    all.extend(own.iter().cloned());
    let (library, broken) = playbook::load(&all);
    problems.extend(broken.into_iter().filter(|problem| own.iter().any(|source| source.path == problem.file)));
    (library, problems, own)
}
