//! Disk, kernel and initrd of virtual machines, built once and kept by digests of what they are made of; it boots nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::exec;
use crate::{places, rootfs};

/// Copying takes some seconds; beside other hosts and a busy disk it may take much longer.
const BUILD_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// What a machine boots from.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// A raw disk that nobody may write to.
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

/// The image with the package under test, built now if it is not there yet.
///
/// # Panics
/// When it is missing and cannot be built, or the root that it is made of.
#[must_use]
pub(super) fn ready(store: &Path) -> Image {
    let scripts = places::repo().join("tests/vm");
    let deb = places::deb();
    let read = |path: &Path| fs::read(path).unwrap_or_else(|why| panic!("cannot read {}: {why}", path.display()));
    let base = rootfs::ready();
    let parts = |names: &[&str]| names.iter().map(|name| read(&scripts.join(name))).collect::<Vec<_>>().concat();
    let boot_digest = digest([base.digest.as_bytes(), &parts(&["build-boot", "init"])]);
    let disk = parts(&["build-image", "shell", "shell.service"]);
    let disk_digest = digest([base.digest.as_bytes(), &disk, &read(&deb)]);
    // Held to the end of this function, so that a second run waits for the first one's result.
    let lock = File::create(store.join("lock")).expect("target folder is writable");
    lock.lock().expect("lock on the image store");
    let boot = store.join(format!("boot-{boot_digest}"));
    if !boot.is_dir() {
        let unfinished = store.join("boot.unfinished");
        fs::remove_dir_all(&unfinished).ok();
        forget(store, "boot-");
        let mut build = Command::new(scripts.join("build-boot"));
        exec::run(build.arg(&base.boot).arg(&unfinished), b"", BUILD_DEADLINE).ok();
        fs::rename(&unfinished, &boot).expect("rename within the store");
    }
    let disk = store.join(format!("disk-{disk_digest}.raw"));
    if !disk.is_file() {
        // Machines that run on an old one keep it open.
        forget(store, "disk-");
        let mut build = Command::new(scripts.join("build-image"));
        exec::run(build.arg(&base.root).arg(&deb).arg(&disk), b"", BUILD_DEADLINE).ok();
    }
    Image { disk, kernel: boot.join("kernel"), initrd: boot.join("initrd") }
}

/// Each takes some hundred megabytes, and only the newest is wanted.
fn forget(store: &Path, prefix: &str) {
    let entries = fs::read_dir(store).expect("target folder is readable").flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        let path = entry.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).ok();
        } else {
            fs::remove_file(&path).ok();
        }
    }
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(Sha256::digest(part));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
