//! What the playbooks say of one failure: whether it is looked for, by which questions, and what wbd would do by itself.
//! Looks at no host; a text cannot claim what is computed here.
use serde::Serialize;
use wbd_engine::playbook::{Library, Outline, Playbook};
use wbd_model::action::Class;
use wbd_model::catalogue;
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::plan::Approval;
use wbd_model::settings::{Healing, Settings};

/// Whether this release looks for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Detected {
    /// By a playbook, or by doctor itself.
    Yes,
    /// It is explained only.
    No,
}

impl Detected {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

/// A playbook that looks for the failure.
#[derive(Debug, Serialize)]
pub(crate) struct Detector {
    /// Its name.
    pub(crate) playbook: PlaybookName,
    /// The file that it was read from.
    pub(crate) file: String,
    /// The probes that it asks.
    pub(crate) asks: Vec<&'static str>,
    /// How often, where it says that itself.
    pub(crate) every_ms: Option<u64>,
    /// What it may do, in order.
    pub(crate) rungs: Vec<Step>,
}

/// One rung, with who decides about it on this host.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    /// Its name.
    pub(crate) rung: String,
    /// Its risk.
    pub(crate) class: Class,
    /// Its actions.
    pub(crate) actions: Vec<&'static str>,
    /// What each of them does.
    #[serde(skip)]
    pub(crate) does: Vec<&'static str>,
    /// Whether wbd does it by itself, in words.
    pub(crate) decided: String,
}

/// The playbooks that tell this code, by themselves or for a profile that gives it the code.
pub(crate) fn tellers<'a>(library: &'a Library, code: &Code) -> Vec<&'a Playbook> {
    let given = library.profiles.values().flat_map(|profile| profile.spec.codes.iter());
    // `playbook`, `playbook/case` or a neutral code.
    let named = given.filter(|(_, given)| *given == code).filter_map(|(key, _)| key.split('/').next());
    let named: Vec<&str> = named.collect();
    let tells = |playbook: &&Playbook| {
        catalogue::means(code, &playbook.code)
            || [playbook.name.as_str(), playbook.code.as_str()].iter().any(|name| named.contains(name))
    };
    library.playbooks.values().map(AsRef::as_ref).filter(tells).collect()
}

/// All that they say; `settings`: of this host, where they could be read.
pub(crate) fn detectors(library: &Library, code: &Code, settings: Option<&Settings>) -> Vec<Detector> {
    let target = target(library, code);
    let policy = settings.zip(target.as_ref());
    let detector = |playbook: &Playbook| Detector {
        playbook: playbook.name.clone(),
        file: playbook.file.clone(),
        asks: playbook.asks().into_iter().collect(),
        every_ms: playbook.every_ms(),
        rungs: playbook.outline().iter().map(|rung| step(playbook.name.as_str(), rung, policy)).collect(),
    };
    tellers(library, code).into_iter().map(detector).collect()
}

/// Whose failure it is: the product's that gives it the code, or the host's.
fn target(library: &Library, code: &Code) -> Option<TargetName> {
    let mut profiles = library.profiles.values();
    let gives = profiles.find(|profile| profile.spec.codes.values().any(|given| given == code));
    let product = gives.map_or("host", |profile| profile.name.as_str());
    TargetName::new(product).ok()
}

fn step(playbook: &str, rung: &Outline<'_>, settings: Option<(&Settings, &TargetName)>) -> Step {
    Step {
        rung: rung.rung.to_owned(),
        class: rung.class,
        actions: rung.actions.iter().map(|name| name.declaration().key).collect(),
        does: rung.actions.iter().map(|name| name.declaration().does).collect(),
        decided: decided(playbook, rung, settings),
    }
}

/// The guards that stand still; budgets, pauses and windows are asked when it comes to it.
fn decided(playbook: &str, rung: &Outline<'_>, settings: Option<(&Settings, &TargetName)>) -> String {
    let Some((settings, target)) = settings else {
        return "waits for your approval, because wbd.yaml cannot be read".to_owned();
    };
    let (healing, ceiling) = (settings.healing_for(playbook, target), settings.ceiling_for(playbook, target));
    match (healing, rung.approval) {
        (Healing::Observe, _) => "not done, because wbd.yaml says healing: observe".to_owned(),
        (Healing::Approve, _) => "waits for your approval, because wbd.yaml says healing: approve".to_owned(),
        (Healing::Auto, _) if rung.class == Class::A4 => {
            "waits for your approval, as every action of class A4".to_owned()
        }
        (Healing::Auto, _) if rung.class > ceiling => {
            format!("waits for your approval, because class {} is above the ceiling {ceiling}", rung.class)
        }
        (Healing::Auto, Approval::Operator) => "waits for your approval".to_owned(),
        (Healing::Auto, Approval::Auto) if rung.in_window => "wbd does it by itself, in its window".to_owned(),
        (Healing::Auto, Approval::Auto) => "wbd does it by itself".to_owned(),
    }
}
