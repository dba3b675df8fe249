//! What is wrong with playbook files and what in them does not count, for `playbook lint` and `config check`. Shows
//! warnings, and nothing else.
use std::path::{Path, PathBuf};

use wbd_engine::playbook;
use wbd_model::problem::Problem;
use wbd_model::settings::Settings;
use wbd_probes::programs::Finding;

use crate::context::Context;
use crate::host;
use crate::playbook::loaded;

/// What lint says of files.
pub(crate) struct Linted {
    /// How many were judged.
    pub(crate) files: usize,
    /// They are not loaded, or not run.
    pub(crate) problems: Vec<Problem>,
    /// They are, and something in them does not count.
    pub(crate) warnings: Vec<Problem>,
}

/// Judges these files, or those that are installed.
pub(crate) fn linted(context: &Context, named: &[PathBuf]) -> Linted {
    let (library, mut problems, own) = loaded(context, named);
    let by = |finding: &Finding| own.iter().any(|source| host::names(source, finding));
    let findings = host::unfit(&context.root, &library, &Settings::default());
    let findings: Vec<Finding> = findings.into_iter().filter(by).collect();
    problems.extend(host::as_problems(&findings, &own));
    // What is shipped has no excuse; a site's file goes on as it is.
    let shipped = host::playbook_folder(&context.root);
    let is_shipped = |problem: &Problem| Path::new(&problem.file).starts_with(&shipped);
    let advice = playbook::advice(&own, &library).into_iter().chain(playbook::advice_on_health(&own));
    let (unfit, warnings): (Vec<_>, Vec<_>) = advice.partition(is_shipped);
    problems.extend(unfit);
    Linted { files: own.len(), problems, warnings }
}

/// Warnings for people, each with its line.
pub(crate) fn warned(context: &mut Context, warnings: &[Problem]) {
    for line in warnings
        .iter()
        .flat_map(|warning| format!("warning: {warning}").lines().map(str::to_owned).collect::<Vec<String>>())
    {
        context.out.line(line);
    }
}
