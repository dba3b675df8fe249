//! Reads settings and playbooks of a root and binds them to the products that are there.
use std::collections::BTreeSet;
use std::path::Path;

use wbd_engine::playbook::{self, Bound, Library};
use wbd_engine::settings;
use wbd_model::name::ProfileName;
use wbd_model::settings::Settings;
use wbd_probes::{Eyes, Presence, files};

/// What the supervisor works with until the next reload.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The administrator's settings.
    pub(crate) settings: Settings,
    /// Playbooks and profiles.
    pub(crate) library: Library,
    /// What is wrong with playbook files, a line or more each; the others are loaded all the same.
    pub(crate) problems: Vec<String>,
}

/// Settings and playbooks.
///
/// # Errors
/// Every problem of the settings: with those broken nothing may be decided.
pub(crate) fn load(root: &Path) -> Result<Loaded, Vec<String>> {
    let settings = match files::settings(root) {
        Ok(Some(source)) => settings::parse(&source).map_err(|problems| words(&problems))?,
        Ok(None) => Settings::default(),
        Err(problem) => return Err(vec![problem.to_string()]),
    };
    let (sources, mut problems) = files::playbooks(root);
    let (library, broken) = playbook::load(&sources);
    problems.extend(broken);
    Ok(Loaded { settings, library, problems: words(&problems) })
}

fn words(problems: &[wbd_model::problem::Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// The checks of this host, and profiles whose presence could not be told.
pub(crate) fn bind(loaded: &Loaded, eyes: &Eyes) -> (Vec<Bound>, Vec<(ProfileName, String)>) {
    let mut present = BTreeSet::new();
    let mut unseen = Vec::new();
    for (name, profile) in &loaded.library.profiles {
        match eyes.present(&profile.spec) {
            Presence::Yes => {
                present.insert(name.clone());
            }
            Presence::No => {}
            Presence::Unknown(reason) => unseen.push((name.clone(), reason)),
        }
    }
    (loaded.library.bind(&present, &loaded.settings), unseen)
}
