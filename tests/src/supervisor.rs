//! A real stand-alone supervisor with a real agent in a scratch root, and the ways to hurt it; it looks at nothing for the test.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::deadline::{poll, wait_until};
use crate::exec;
use crate::json::{self, Answer};
use crate::places;

/// The supervisor's own stop has to be quick; under a busy machine it may still be a few seconds.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// A scratch root laid out like an installed host: programs, vendor playbooks, settings.
///
/// # Panics
/// When the programs are not built or the folder cannot be written.
#[must_use]
pub fn scratch_root() -> TempDir {
    let root = tempfile::Builder::new().prefix("wbd-").tempdir().expect("temp folder");
    let place = |from: PathBuf, to: &str| {
        let to = root.path().join(to);
        fs::create_dir_all(to.parent().expect("below the root")).expect("scratch folder");
        copy(&from, &to);
    };
    place(places::program("wbd_agent"), "opt/nbp/wbd/wbd_agent");
    place(places::repo().join("packaging/etc/wbd/wbd.yaml"), "etc/wbd/wbd.yaml");
    let playbooks = places::repo().join("playbooks");
    for file in yaml_below(&playbooks) {
        let below = file.strip_prefix(&playbooks).expect("found below it");
        let to = Path::new("usr/lib/wbd/playbooks").join(below);
        place(file.clone(), &to.to_string_lossy());
    }
    for folder in ["etc/wbd/playbooks.d", "var/lib/wbd", "run/wbd"] {
        fs::create_dir_all(root.path().join(folder)).expect("scratch folder");
    }
    root
}

/// Copies a file by a process of its own: a program that is open for writing cannot be run, and a child that a neighbouring
/// test is just forking has all our files open.
///
/// # Panics
/// When it cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    exec::run(Command::new("/bin/cp").arg("--").arg(from).arg(to), b"", Duration::from_secs(60)).ok();
}

/// What a package would ship of the playbooks, as `packaging/build` does: neither their tests nor the catalogue.
fn yaml_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            found.extend(yaml_below(&path));
        } else if name.as_bytes().ends_with(b".yaml")
            && !name.as_bytes().ends_with(b".test.yaml")
            && name != "catalogue.yaml"
        {
            found.push(path);
        }
    }
    found
}

/// A running `wbd-supervisord --standalone`. Dropping it ends it and every agent that runs on its root.
#[derive(Debug)]
pub struct Supervisor {
    root: PathBuf,
    child: Child,
    leaves_agents: bool,
}

impl Supervisor {
    /// Starts the built supervisor on `root`; its output goes to `supervisord.log` there.
    ///
    /// # Panics
    /// When it is not built or cannot be started.
    #[must_use]
    pub fn start(root: &Path) -> Self {
        Self::start_with(root, &[])
    }

    /// As [`Supervisor::start`], with more arguments.
    ///
    /// # Panics
    /// As [`Supervisor::start`].
    #[must_use]
    pub fn start_with(root: &Path, args: &[&str]) -> Self {
        let mut program = Command::new(places::program("wbd-supervisord"));
        program.args(args);
        Self::start_as(root, program)
    }

    /// As [`Supervisor::start`], with a command of the caller's that becomes the supervisor.
    ///
    /// # Panics
    /// As [`Supervisor::start`].
    #[must_use]
    pub fn start_as(root: &Path, mut program: Command) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(root.join("supervisord.log"))
            .expect("scratch root is writable");
        let child = program
            .arg("--standalone")
            .arg("--root")
            .arg(root)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("file handle"))
            .stderr(log)
            .spawn()
            .expect("supervisor starts");
        let root = root.to_path_buf();
        Self { root, child, leaves_agents: false }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|why| panic!("{why}\n{}", self.log()));
    }

    /// SIGKILL, and gone.
    ///
    /// # Panics
    /// When it had ended before.
    pub fn kill9(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.ended(END_DEADLINE);
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Panics
    /// When it had ended before, or does not end in time.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended(END_DEADLINE)
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When that cannot be told.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it is still there after `deadline`.
    pub fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let child = &mut self.child;
        wait_until("the supervisor's end", deadline, || {
            let status = child.try_wait().map_err(|why| why.to_string())?;
            status.ok_or_else(|| "still running".to_owned())
        })
    }

    /// `wbdctl ARGS -o json` on its root.
    ///
    /// # Panics
    /// As [`Answer::of`].
    #[must_use]
    pub fn wbdctl(&self, args: &[&str]) -> Answer {
        json::wbdctl_at(&self.root, args)
    }

    /// What it has said so far, for messages only.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.root.join("supervisord.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The pids of agents that run on its root.
    #[must_use]
    pub fn agents(&self) -> Vec<Pid> {
        agents_on(&self.root)
    }
}

impl Supervisor {
    /// Gives up one that has ended, without ending the agents it left behind.
    ///
    /// # Panics
    /// When it still runs.
    pub fn forget(mut self) {
        let ended = self.child.try_wait().expect("our own child").is_some();
        assert!(ended, "it still runs:\n{}", self.log());
        self.leaves_agents = true;
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(self.pid(), Signal::SIGTERM).ok();
            let child = &mut self.child;
            let ended = poll(END_DEADLINE, || match child.try_wait() {
                Ok(None) => Err("still running".to_owned()),
                _ => Ok(()),
            });
            if ended.is_err() {
                self.child.kill().ok();
                self.child.wait().ok();
            }
        }
        if self.leaves_agents {
            return;
        }
        // A killed supervisor leaves its agent behind, and a stopped agent takes no SIGTERM.
        for agent in agents_on(&self.root) {
            kill(agent, Signal::SIGKILL).ok();
        }
        if std::thread::panicking() {
            eprintln!("supervisord.log:\n{}", self.log());
        }
    }
}

/// The pids of agents that run on `root`, whoever started them.
///
/// # Panics
/// Where there is no /proc.
#[must_use]
pub fn agents_on(root: &Path) -> Vec<Pid> {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = line.split(|byte| *byte == 0);
        let agent = words.next()?.ends_with(b"wbd_agent");
        let ours = words.any(|word| word.ends_with(root.as_os_str().as_bytes()));
        (agent && ours).then(|| Pid::from_raw(pid))
    })
    .collect()
}
