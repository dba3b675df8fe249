//! Who asks, and the settings of the host at hand. Decides nothing.
use std::path::Path;

use wbd_model::settings::Settings;

/// Who runs this program, as the ledger names people.
pub(crate) fn user() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

pub(crate) fn settings(_: &Path, _: Option<&Path>) -> Result<Settings, ()> { Ok(Settings::default()) }
