//! What the supervisor works with, and for which products: what a reading or a look for products brings.
use std::collections::BTreeSet;

use wbd_engine::playbook::Library;
use wbd_model::name::ProfileName;
use wbd_model::seen::Forgotten;
use wbd_model::settings::Settings;

/// What the supervisor works with until the next reload.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The administrator's settings.
    pub(crate) settings: Settings,
    /// Playbooks and profiles.
    pub(crate) library: Library,
    /// What is wrong with playbook files, a line or more each; the others are loaded all the same.
    pub(crate) problems: Vec<String>,
    /// Programs that somebody else could exchange: their profiles are in use, and whoever would run them does not.
    pub(crate) misplaced: Vec<String>,
}

/// Which products are on this host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// These are.
    pub(crate) present: BTreeSet<ProfileName>,
    /// Nothing of these is.
    pub(crate) absent: BTreeSet<ProfileName>,
    /// These are, and an administrator does not want them checked.
    pub(crate) forgotten: Vec<(ProfileName, Forgotten)>,
    /// Of these it could not be told, and why.
    pub(crate) unseen: Vec<(ProfileName, String)>,
    /// These are not, and something has the name of one; what, and why it does not count.
    pub(crate) alike: Vec<(ProfileName, String)>,
    /// Programs that guides need and this host lacks.
    pub(crate) lacking: BTreeSet<String>,
}
