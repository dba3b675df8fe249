//! A playbook whose names, types and texts are known to fit together. Made by `compile` only; judges nothing.
use std::collections::{BTreeMap, BTreeSet};

use wbd_model::action::{ActionName, Class};
use wbd_model::lang::Lang;
use wbd_model::name::{Code, PlaybookName, ProfileName};
use wbd_model::observation::Value;
use wbd_model::plan::Approval;
use wbd_model::plan::Attempts;
use wbd_model::probe::ProbeName;
use wbd_model::profile::{Duration, Profile, ProfileSpec};

use super::template::Template;
use crate::expr::{Expr, Items};

/// One failure: how it is seen, cured and proved to be cured.
#[derive(Debug)]
pub struct Playbook {
    /// Its name.
    pub name: PlaybookName,
    /// The documented failure; a profile may put its vendor's code in its place.
    pub code: Code,
    /// The document it follows.
    pub source: String,
    /// The file it was read from.
    pub file: String,
    /// SHA-256 of the document without comments and layout, lower-case hex.
    pub digest: String,
    /// Once for the host, instead of once for each product.
    pub for_host: bool,
    /// Its cases, in order.
    pub cases: Vec<Case>,
    /// What healthy is; `None`: all that no case covers.
    pub(crate) healthy: Option<Expr>,
    /// What it makes other playbooks see.
    pub explains: Vec<Explains>,
    /// The only profiles that it is for; empty: it is for all.
    pub(crate) profiles: Vec<ProfileName>,
    pub(crate) has: Vec<Requirement>,
    pub(crate) items: Option<Items>,
    pub(crate) every: Option<Duration>,
    pub(crate) observe: Vec<(String, Question)>,
    pub(crate) lets: Vec<(String, Expr)>,
    pub(crate) rungs: Vec<Rung>,
    pub(crate) verify: Option<Verify>,
    pub(crate) attempts: Attempts,
    pub(crate) texts: BTreeMap<Lang, BTreeMap<String, CaseText>>,
}

/// One case of a failure.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// What it means that the case is true.
    pub level: Level,
    /// How long it must hold before anything is done.
    pub held_for: Duration,
    pub(crate) when: Expr,
}

/// What a true case says of its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A failure, which opens an incident.
    Fail,
    /// A warning, which is shown and never acted on.
    Warn,
    /// Nothing can be said now, and that is right so.
    Skip,
    /// Nobody can tell, and a person has to know that.
    Unknown,
}

/// A playbook, or one case of one, whose failure is a consequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explains {
    /// The playbook.
    pub playbook: PlaybookName,
    /// The case; any failing case where `None`.
    pub case: Option<String>,
}

/// A question whose parameters are still names of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) name: ProbeName,
    pub(crate) given: BTreeMap<&'static str, Value>,
}

#[derive(Debug)]
pub(crate) struct Rung {
    pub(crate) id: String,
    pub(crate) condition: Option<Expr>,
    pub(crate) approval: Approval,
    pub(crate) at: Option<RungWindow>,
    pub(crate) steps: Vec<Step>,
}

/// The window that a rung waits for.
#[derive(Debug)]
pub(crate) struct RungWindow {
    pub(crate) opens_in: Expr,
    pub(crate) runs_out_in: Option<Expr>,
}

/// An action whose values are still expressions.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: ActionName,
    pub(crate) given: BTreeMap<&'static str, Expr>,
}

#[derive(Debug)]
pub(crate) struct Verify {
    pub(crate) pass: Expr,
    pub(crate) within: Duration,
    pub(crate) hold: Duration,
}

#[derive(Debug)]
pub(crate) struct CaseText {
    pub(crate) title: Template,
    pub(crate) cause: Template,
    pub(crate) guide: Vec<GuideStep>,
}

/// A step for a person, and the programs that it needs.
#[derive(Debug)]
pub(crate) struct GuideStep {
    pub(crate) line: Template,
    pub(crate) needs: Vec<String>,
}

/// A rung without the values of a host.
#[derive(Debug, Clone)]
pub struct Outline<'a> {
    /// Its name.
    pub rung: &'a str,
    /// Who has to approve, by the playbook's author.
    pub approval: Approval,
    /// It waits for a window.
    pub in_window: bool,
    /// The highest class of its actions.
    pub class: Class,
    /// Its actions, in order.
    pub actions: Vec<ActionName>,
}

/// One thing that a profile must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Requirement {
    Roles,
    Process(String),
    Health,
    Unit,
    Command(String),
    Version(String),
    Builds,
    Leak,
    Endpoints,
    Limit(String),
}

impl Requirement {
    /// The words for `applies.has`, for hints.
    pub(crate) const KNOWN: [&str; 10] = [
        "process",
        "process.main",
        "health",
        "unit",
        "commands.NAME",
        "version.NAME",
        "builds",
        "leak",
        "endpoints",
        "limits.NAME",
    ];

    /// Reads `process.main`, `health`, ...
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        match text.split_once('.') {
            Some(("process", name)) => named(name).map(Self::Process),
            Some(("commands", name)) => named(name).map(Self::Command),
            Some(("version", name)) => named(name).map(Self::Version),
            Some(("limits", name)) => named(name).map(Self::Limit),
            Some(_) => None,
            None => match text {
                "process" => Some(Self::Roles),
                "health" => Some(Self::Health),
                "unit" => Some(Self::Unit),
                "builds" => Some(Self::Builds),
                "leak" => Some(Self::Leak),
                "endpoints" => Some(Self::Endpoints),
                _ => None,
            },
        }
    }

    /// Whether a profile has it.
    pub(crate) fn is_met(&self, profile: &ProfileSpec) -> bool {
        match self {
            Self::Roles => !profile.process.is_empty(),
            Self::Process(name) => profile.process.contains_key(name),
            Self::Health => profile.health,
            Self::Unit => profile.unit.is_some(),
            Self::Command(name) => profile.commands.contains_key(name),
            Self::Version(name) => profile.version.contains_key(name),
            Self::Builds => profile.builds.is_some(),
            Self::Leak => profile.leak.is_some(),
            Self::Endpoints => !profile.endpoints.is_empty(),
            Self::Limit(name) => profile.limits.contains_key(name),
        }
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Roles => f.write_str("process"),
            Self::Process(name) => write!(f, "process.{name}"),
            Self::Health => f.write_str("health"),
            Self::Unit => f.write_str("unit"),
            Self::Command(name) => write!(f, "commands.{name}"),
            Self::Version(name) => write!(f, "version.{name}"),
            Self::Builds => f.write_str("builds"),
            Self::Leak => f.write_str("leak"),
            Self::Endpoints => f.write_str("endpoints"),
            Self::Limit(name) => write!(f, "limits.{name}"),
        }
    }
}

impl Playbook {
    /// The case of this id.
    #[must_use]
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// Whether it is for this product.
    pub(crate) fn fits(&self, profile: &Profile) -> bool {
        let meant = self.profiles.is_empty() || self.profiles.contains(&profile.name);
        meant && self.has.iter().all(|requirement| requirement.is_met(&profile.spec))
    }

    /// Whether it acts at all.
    #[must_use]
    pub fn acts(&self) -> bool {
        !self.rungs.is_empty()
    }

    /// What it would do, rung by rung, as far as that can be said without a host.
    #[must_use]
    pub fn outline(&self) -> Vec<Outline<'_>> {
        let rungs = self.rungs.iter().map(|rung| {
            let actions: Vec<ActionName> = rung.steps.iter().map(|step| step.name).collect();
            let class = actions.iter().map(|name| name.declaration().class).max().unwrap_or(Class::A0);
            Outline { rung: &rung.id, approval: rung.approval, in_window: rung.at.is_some(), class, actions }
        });
        rungs.collect()
    }

    /// The questions that it asks, each once.
    #[must_use]
    pub fn asks(&self) -> BTreeSet<&'static str> {
        self.observe.iter().map(|(_, question)| question.name.as_str()).collect()
    }

    /// How often it is checked, in milliseconds, where it says that itself.
    #[must_use]
    pub fn every_ms(&self) -> Option<u64> {
        self.every.map(Duration::as_ms)
    }
}
