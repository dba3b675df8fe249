//! monit with four checks at a cycle of one second, the peer of the idle supervisor and of doctor.
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use wbd_tests::deadline::wait_for;

const MONIT: &str = "/usr/bin/monit";

/// A running monit; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Monit {
    folder: TempDir,
    child: Child,
}

impl Monit {
    /// Starts it on a process and three things of the machine; `None` where monit is not installed.
    pub(crate) fn start(watched: u32) -> Option<Self> {
        if !Path::new(MONIT).is_file() {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("wbd-monit-").tempdir().expect("temp folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(folder.path().join("watched.pid"), format!("{watched}\n")).expect("temp folder is writable");
        let settings = [
            "set daemon 1".to_owned(),
            format!("set pidfile {}", at("monit.pid")),
            format!("set idfile {}", at("monit.id")),
            format!("set statefile {}", at("monit.state")),
            format!("set httpd unixsocket {} allow monit:monit", at("monit.sock")),
            format!("check process watched with pidfile {}", at("watched.pid")),
            "check filesystem root with path / if space usage > 99% then alert".to_owned(),
            "check file passwd with path /etc/passwd if failed permission 644 then alert".to_owned(),
            "check system machine if loadavg (15min) > 1000 then alert".to_owned(),
        ];
        let file = folder.path().join("monitrc");
        fs::write(&file, settings.join("\n") + "\n").expect("temp folder is writable");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("own file");
        let mut monit = Command::new(MONIT);
        monit.arg("-I").arg("-c").arg(&file).env_clear();
        monit.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = monit.spawn().expect("monit starts");
        let socket = folder.path().join("monit.sock");
        wait_for("monit's socket", Duration::from_secs(20), || socket.exists().then_some(()));
        Some(Self { folder, child })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `monit status`, to be run.
    pub(crate) fn status(&self) -> Command {
        let file: PathBuf = self.folder.path().join("monitrc");
        let mut status = Command::new(MONIT);
        status.arg("-c").arg(file).arg("status");
        status
    }
}

impl Drop for Monit {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
