//! Reads settings and playbooks of a root, and looks for the products they are about. Judges nothing.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wbd_engine::playbook::{self, Library, settings};
use wbd_model::name::ProfileName;
use wbd_model::profile::Profile;
use wbd_model::settings::Settings;
use wbd_probes::programs;
use wbd_probes::{Presence, ProbeRunner, files};

use crate::event::loaded::{Found, Loaded};

/// Looking where programs lie takes milliseconds, unless a mount is dead.
const PROGRAMS: Duration = Duration::from_secs(1);

/// All profiles by name.
pub(crate) type Profiles = BTreeMap<ProfileName, Arc<Profile>>;

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
    let misplaced = misplaced(root, &library, &settings);
    Ok(Loaded { settings, library, problems: words(&problems), misplaced })
}

/// Programs that are not run as they are; a dead mount holds nobody up.
fn misplaced(root: &Path, library: &Library, settings: &Settings) -> Vec<String> {
    let of_profiles =
        library.profiles.values().flat_map(|profile| programs::of_profile(profile.name.as_str(), &profile.spec));
    // The site's own program is the machine's.
    let mut found = programs::findings(root, of_profiles.collect(), PROGRAMS);
    found.extend(programs::findings(Path::new("/"), programs::of_site(settings).into_iter().collect(), PROGRAMS));
    found.iter().map(ToString::to_string).collect()
}

fn words(problems: &[wbd_model::problem::Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Looks for every product, and for the programs that guides need. Blocks, on a dead mount for the probe runner's deadline.
pub(crate) fn find(profiles: &Profiles, programs: BTreeSet<String>, root: &Path, runner: &ProbeRunner) -> Found {
    let mut found = Found { lacking: programs::lacking(root, programs, PROGRAMS), ..Found::default() };
    for (name, presence) in profiles.keys().zip(runner.present_each(profiles.values().map(Arc::as_ref))) {
        match presence {
            Presence::Yes => {
                found.present.insert(name.clone());
            }
            Presence::Forgotten(forgotten) => found.forgotten.push((name.clone(), forgotten)),
            Presence::No(others) => {
                found.absent.insert(name.clone());
                if !others.is_empty() {
                    found.alike.push((name.clone(), others.join("; ")));
                }
            }
            Presence::Unknown(reason) => found.unseen.push((name.clone(), reason)),
        }
    }
    found
}
