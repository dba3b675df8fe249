//! Where the agent's shared files are under a root; it never looks whether they exist.

use std::path::{Path, PathBuf};

/// The agent's unit on a systemd host.
pub const UNIT: &str = "wbd-agent.service";

/// The agent's program, at the path the vendor documents.
#[must_use]
pub fn binary(root: &Path) -> PathBuf {
    root.join("opt/nbp/wbd/wbd_agent")
}

/// Folder of the agent's own durable state; only the agent writes into it.
#[must_use]
pub fn state_dir(root: &Path) -> PathBuf {
    root.join("var/lib/wbd/agent")
}

/// The settings in force.
#[must_use]
pub fn settings(root: &Path) -> PathBuf {
    state_dir(root).join("settings.yaml")
}

/// The last settings under which the agent stayed healthy.
#[must_use]
pub fn settings_good(root: &Path) -> PathBuf {
    state_dir(root).join("settings.good")
}

/// Settings that could not be read, kept for people to look at.
#[must_use]
pub fn settings_broken(root: &Path) -> PathBuf {
    state_dir(root).join("settings.broken")
}

/// Folder of what lives only until the next boot.
#[must_use]
pub fn run_dir(root: &Path) -> PathBuf {
    root.join("run/wbd")
}

/// The health document (see [`crate::HealthDocument`]).
#[must_use]
pub fn health(root: &Path) -> PathBuf {
    run_dir(root).join("agent.health.json")
}

/// The command socket (see [`crate::Command`]).
#[must_use]
pub fn socket(root: &Path) -> PathBuf {
    run_dir(root).join("agent.sock")
}

/// The lock that a running agent holds.
#[must_use]
pub fn lock(root: &Path) -> PathBuf {
    run_dir(root).join("agent.lock")
}

/// The note of an administrator's stop (see [`crate::StopNote`]).
#[must_use]
pub fn stop_note(root: &Path) -> PathBuf {
    run_dir(root).join("agent.stop.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_stays_under_the_root() {
        let root = Path::new("/srv/trial");
        for path in [
            binary(root),
            settings(root),
            settings_good(root),
            settings_broken(root),
            health(root),
            socket(root),
            lock(root),
            stop_note(root),
        ] {
            assert!(path.starts_with(root), "{}", path.display());
        }
        assert_eq!(health(Path::new("/")), Path::new("/run/wbd/agent.health.json"));
    }
}
