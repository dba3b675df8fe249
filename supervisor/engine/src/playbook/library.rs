//! Everything that was loaded, by name.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wbd_model::name::{PlaybookName, ProfileName};
use wbd_model::profile::Profile;

use super::compiled::Playbook;
use super::test_spec::PlaybookTest;

/// Everything that was loaded.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// Playbooks by name.
    pub playbooks: BTreeMap<PlaybookName, Arc<Playbook>>,
    /// Profiles by name.
    pub profiles: BTreeMap<ProfileName, Arc<Profile>>,
    /// Tests by name.
    pub tests: BTreeMap<PlaybookName, Arc<PlaybookTest>>,
}

impl Library {
    /// Programs that guides need.
    #[must_use]
    pub fn programs_of_guides(&self) -> BTreeSet<String> {
        let texts = self.playbooks.values().flat_map(|playbook| playbook.texts.values().flat_map(BTreeMap::values));
        texts.flat_map(|text| &text.guide).flat_map(|step| step.needs.iter().cloned()).collect()
    }
}
