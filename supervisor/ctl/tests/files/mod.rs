//! Files below a root that wbd may trust.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Folders and files that only their owner can write, whatever the umask.
pub(super) fn put(root: &Path, name: &str, text: &str) {
    let mut folder = root.to_path_buf();
    for part in Path::new(name).parent().unwrap() {
        folder.push(part);
        if !folder.is_dir() {
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    fs::write(root.join(name), text).unwrap();
    fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o644)).unwrap();
}
