//! This host as far as one failure goes: whether it is there now, and the values that a guide leaves open. Changes nothing.
use std::path::Path;

use wbd_agent_api::{health, paths};
use wbd_model::check::Verdict;
use wbd_model::name::Code;
use wbd_model::report::{Cause, CheckRow, Report};

/// What a look at this host came to.
#[derive(Debug)]
pub(crate) enum Here {
    /// Nothing was looked at, and why.
    NotLooked(String),
    /// What doctor found.
    Looked(Box<Report>),
}

impl Here {
    /// The checks for a failure.
    pub(crate) fn checks(&self, code: &Code) -> Vec<&CheckRow> {
        match self {
            Self::NotLooked(_) => Vec::new(),
            Self::Looked(report) => {
                let waived = report.waived.iter().flat_map(|row| &row.checks);
                report.checks.iter().chain(waived).filter(|row| row.code == *code).collect()
            }
        }
    }

    /// What is claimed of it, worst first.
    pub(crate) fn causes(&self, code: &Code) -> Vec<&Cause> {
        match self {
            Self::NotLooked(_) => Vec::new(),
            Self::Looked(report) => report.causes.iter().filter(|cause| cause.code == *code).collect(),
        }
    }
}

/// A verdict as the answer to "is it so now?".
pub(crate) const fn answer(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "YES",
        Verdict::Warn => "YES, as a warning",
        Verdict::Pass => "no",
        Verdict::Skip => "not checked",
        Verdict::Unknown => "not known",
    }
}

/// Values of this host for a guide's open places; what is not known stays open.
#[derive(Debug, Default)]
pub(crate) struct Values(Vec<(&'static str, String)>);

impl Values {
    /// What the agent's health document tells; none without it.
    pub(crate) fn of_agent(root: &Path) -> Self {
        let Ok(document) = health::read(&paths::health(root)) else { return Self::default() };
        // Of several web roots nobody knows which one is meant.
        let [only] = document.targets.as_slice() else { return Self::default() };
        Self(vec![("web_root", only.web_root.as_path().display().to_string())])
    }

    /// The line with what is known of it.
    pub(crate) fn fill(&self, line: &str) -> String {
        self.0.iter().fold(line.to_owned(), |line, (name, value)| line.replace(&format!("<{name}>"), value))
    }
}
