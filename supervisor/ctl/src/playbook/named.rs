//! The playbook files that were named on the command line, read in the place of the installed ones. Shows nothing.
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
