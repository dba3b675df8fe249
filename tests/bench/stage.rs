//! What is measured: a booted host with the package where that is possible, and stand-alone supervisors on scratch
//! roots. Waits until each is healthy; measures nothing.
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wbd_tests::deadline::wait_until;
use wbd_tests::host::Host;
use wbd_tests::places;
use wbd_tests::supervisor::{Supervisor, scratch_root};

use crate::process::child;

/// Starting and becoming healthy takes a second or two.
const HEALTHY: Duration = Duration::from_secs(60);
/// Where the agent writes how it is.
pub(crate) const HEALTH: &str = "run/wbd/agent.health.json";

/// The one booted host, if there is one.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Installed, running, healthy.
    pub(crate) host: Option<Host>,
}

impl Stage {
    /// Boots and installs; says so where it cannot.
    pub(crate) fn set() -> Self {
        if is_asked("alone") {
            return Self { host: None };
        }
        if !nix::unistd::geteuid().is_root() || !Path::new("/usr/bin/systemd-nspawn").exists() {
            println!("SKIPPED: figures of a booted host, which need root and systemd-container\n");
            return Self { host: None };
        }
        let host = Host::boot("bench");
        host.install_deb(&places::deb());
        let root = host.inside("").expect("the host is up");
        healthy(&root, 0);
        Self { host: Some(host) }
    }
}

/// Whether `WBD_BENCH`, words with commas between, has this one: `short` measures once, `alone` boots no host.
pub(crate) fn is_asked(word: &str) -> bool {
    std::env::var("WBD_BENCH").is_ok_and(|words| words.split(',').any(|asked| asked == word))
}

/// The agent's pid in its own health document, if that says that it works.
pub(crate) fn working(root: &Path) -> Option<u32> {
    let document: Value = serde_json::from_slice(&fs::read(root.join(HEALTH)).ok()?).ok()?;
    let works = ["active", "inactive"].contains(&document["state"].as_str()?);
    let pid = document["pid"].as_u64()?;
    works.then(|| u32::try_from(pid).ok()).flatten()
}

/// Waits until an agent other than `old` works.
pub(crate) fn healthy(root: &Path, old: u32) -> u32 {
    wait_until("a healthy agent", HEALTHY, || {
        working(root).filter(|pid| *pid != old).ok_or_else(|| format!("{}", root.join(HEALTH).display()))
    })
}

/// A service of the host as this machine numbers it.
pub(crate) fn service(host: &Host, comm: &str) -> u32 {
    wait_until(comm, HEALTHY, || {
        let leader = host.leader()?;
        child(leader, comm).ok_or_else(|| format!("process {leader} has no child {comm}"))
    })
}

/// A healthy stand-alone supervisor with its agent, on a scratch root with everything that is shipped.
#[derive(Debug)]
pub(crate) struct Alone {
    /// The supervisor. Ends before its root is removed.
    pub(crate) supervisor: Supervisor,
    /// Its root.
    pub(crate) root: TempDir,
}

impl Alone {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self::on(scratch_root())
    }

    /// Starts it on a root that is prepared.
    pub(crate) fn on(root: TempDir) -> Self {
        let supervisor = Supervisor::start(root.path());
        healthy(root.path(), 0);
        Self { supervisor, root }
    }
}
