//! The folder of what lives until the next boot; a package makes it by its unit, alone we make it ourselves.

use crate::failure::Failure;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use wbd_agent_api::paths;

/// Makes the folder unless it is there.
pub(crate) fn make(root: &Path) -> Result<(), Failure> {
    let folder = paths::run_dir(root);
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&folder);
    made.map_err(|error| Failure::io(format!("cannot make folder {}", folder.display()), &error))
}
