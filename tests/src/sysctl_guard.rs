//! Keeps and puts back the machine's inotify limits, which booted hosts share with it; it sets none itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where the limits stand, and their file names.
const FOLDER: &str = "/proc/sys/fs/inotify";
const KEYS: [&str; 3] = ["max_queued_events", "max_user_instances", "max_user_watches"];
/// Machine-wide, since the limits are; `tests/run` knows these names too and puts back what a killed test could not.
const KEPT: &str = "/run/wbd-tests";

/// While it lives, no other test on this machine changes the limits; dropping it puts them back.
#[derive(Debug)]
pub struct SysctlGuard {
    limits: PathBuf,
    saved: PathBuf,
    _lock: File,
}

impl SysctlGuard {
    /// Waits for its turn, then saves the limits, also to a file.
    ///
    /// # Panics
    /// When the limits cannot be read or saved (it needs root).
    #[must_use]
    pub fn take() -> Self {
        Self::take_at(Path::new(FOLDER), Path::new(KEPT))
    }

    fn take_at(limits: &Path, kept: &Path) -> Self {
        fs::create_dir_all(kept).expect("folder for saved limits");
        let lock = File::create(kept.join("inotify.lock")).expect("lock file");
        // Ends when the other holder's process does; tests/run bounds the whole.
        lock.lock().expect("lock");
        let guard = Self { limits: limits.to_path_buf(), saved: kept.join("inotify.saved"), _lock: lock };
        guard.put_back();
        guard.save();
        guard
    }

    fn save(&self) {
        let line = |key: &&str| {
            let value = fs::read_to_string(self.limits.join(key)).expect("inotify limit");
            format!("{key}={}\n", value.trim())
        };
        let text: String = KEYS.iter().map(line).collect();
        let unfinished = self.saved.with_extension("unfinished");
        fs::write(&unfinished, text).expect("saved limits");
        fs::rename(&unfinished, &self.saved).expect("saved limits");
    }

    /// Also at the start: a file that is still there was left by a test that was killed.
    fn put_back(&self) {
        let Ok(text) = fs::read_to_string(&self.saved) else {
            return;
        };
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            fs::write(self.limits.join(key), value).expect("inotify limit");
        }
        fs::remove_file(&self.saved).expect("saved limits");
    }
}

impl Drop for SysctlGuard {
    fn drop(&mut self) {
        self.put_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    fn made_up() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (limits, kept) = (dir.path().join("inotify"), dir.path().join("kept"));
        fs::create_dir(&limits).unwrap();
        for key in KEYS {
            fs::write(limits.join(key), "100\n").unwrap();
        }
        (dir, limits, kept)
    }

    #[test]
    fn puts_back_when_the_test_panics() {
        let (_dir, limits, kept) = made_up();
        let watches = limits.join("max_user_watches");
        let test = || {
            let _guard = SysctlGuard::take_at(&limits, &kept);
            fs::write(&watches, "7").unwrap();
            panic!("the test failed");
        };
        assert!(catch_unwind(test).is_err());
        assert_eq!(fs::read_to_string(&watches).unwrap(), "100");
    }

    #[test]
    fn puts_back_what_a_killed_test_left() {
        let (_dir, limits, kept) = made_up();
        let watches = limits.join("max_user_watches");
        std::mem::forget(SysctlGuard::take_at(&limits, &kept));
        fs::write(&watches, "7").unwrap();
        // A killed process loses its lock; within one process a second handle on it would wait for ever.
        fs::remove_file(kept.join("inotify.lock")).unwrap();
        drop(SysctlGuard::take_at(&limits, &kept));
        assert_eq!(fs::read_to_string(&watches).unwrap(), "100");
        assert!(!kept.join("inotify.saved").exists());
    }
}
