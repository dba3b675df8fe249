//! A made-up host for tests: a root with its own proc and sys folders. Nothing of it runs.
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use wbd_agent_api::{FailedAt, HealthDocument, SettingsReport, SettingsSource, State, WasReport, WatchReport};
use wbd_model::observation::{Fact, Observation, Value};
use wbd_model::profile::ProcessSelector;

use crate::ProbeRunner;
use crate::runner::ProbeContext;

/// The pid namespace of whoever looks.
pub(crate) const PID_NAMESPACE: &str = "pid:[1]";
/// What a process runs where it is not said.
const PROGRAM: &str = "usr/bin/some";

/// A scratch folder as root, `proc` and `sys` inside it.
pub(crate) struct Host {
    dir: tempfile::TempDir,
}

/// A process in the making.
pub(crate) struct MadeUp {
    folder: PathBuf,
    pid: u32,
    pub(crate) comm: Vec<u8>,
    pub(crate) state: char,
    pub(crate) start_ticks: u64,
    pub(crate) flags: u32,
    pub(crate) uid: u32,
    pub(crate) tracer: u32,
    /// Where it is not said, one of root's.
    pub(crate) exe: Option<PathBuf>,
    /// Another one than [`PID_NAMESPACE`] is a container's.
    pub(crate) pid_namespace: &'static str,
    pub(crate) cgroup: &'static str,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        host.file("proc/uptime", "1000.00 1.0\n");
        host.file(PROGRAM, "");
        place(&host.root().join("proc/self"), PID_NAMESPACE);
        host
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn runner(&self) -> ProbeRunner {
        let mut runner = ProbeRunner::new(self.root());
        runner.proc = self.root().join("proc");
        runner.sys = self.root().join("sys");
        runner
    }

    /// A look with five seconds.
    pub(crate) fn context(&self) -> ProbeContext {
        ProbeContext { runner: self.runner(), until: Instant::now() + Duration::from_secs(5) }
    }

    pub(crate) fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub(crate) fn process(&self, pid: u32, comm: &str) -> MadeUp {
        MadeUp {
            folder: self.root().join("proc").join(pid.to_string()),
            pid,
            comm: comm.as_bytes().to_vec(),
            state: 'S',
            start_ticks: 10_000,
            flags: 0,
            uid: 0,
            tracer: 0,
            exe: None,
            pid_namespace: PID_NAMESPACE,
            cgroup: "0::/system.slice/some.service\n",
        }
    }

    pub(crate) fn health(&self, document: &HealthDocument) {
        let path = wbd_agent_api::paths::health(self.root());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        wbd_agent_api::health::write_atomically(&path, document).unwrap();
    }
}

impl MadeUp {
    pub(crate) fn write(&self) {
        fs::create_dir_all(self.folder.join("fd")).unwrap();
        let mut stat = format!("{} (", self.pid).into_bytes();
        stat.extend(&self.comm);
        let (state, flags, start) = (self.state, self.flags, self.start_ticks);
        // Fields 3 to 22 as proc(5) numbers them.
        let rest = format!(") {state} 1 1 1 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n");
        stat.extend(rest.as_bytes());
        fs::write(self.folder.join("stat"), stat).unwrap();
        let mut status = String::new();
        let _ = writeln!(status, "TracerPid:\t{}", self.tracer);
        let _ = writeln!(status, "Uid:\t{0}\t{0}\t{0}\t{0}", self.uid);
        fs::write(self.folder.join("status"), status).unwrap();
        let host = self.folder.parent().and_then(Path::parent).unwrap();
        link_anew(&self.exe.clone().unwrap_or_else(|| host.join(PROGRAM)), &self.folder.join("exe"));
        place(&self.folder, self.pid_namespace);
        let cgroup = if self.pid == 1 { "0::/init.scope\n" } else { self.cgroup };
        fs::write(self.folder.join("cgroup"), cgroup).unwrap();
    }
}

/// Where a process is, as the kernel shows it: namespaces and root.
fn place(process: &Path, pid_namespace: &str) {
    fs::create_dir_all(process.join("ns")).unwrap();
    link_anew(Path::new(pid_namespace), &process.join("ns/pid"));
    link_anew(Path::new("user:[1]"), &process.join("ns/user"));
    link_anew(Path::new("/"), &process.join("root"));
}

/// A process may be written again, as another one.
fn link_anew(target: &Path, link: &Path) {
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link).unwrap();
    }
    symlink(target, link).unwrap();
}

/// A document of a process that is well.
pub(crate) fn document(pid: u32, start_ticks: u64) -> HealthDocument {
    HealthDocument {
        schema: 1,
        version: "1.2.3".into(),
        pid,
        start_ticks,
        state: State::Active,
        generation: 4,
        settings: SettingsReport { source: SettingsSource::Current, problem: None },
        targets: vec![],
        was: WasReport::default(),
        watches: WatchReport { failed_at: FailedAt::None, ..WatchReport::default() },
        fds_open: None,
        errors: vec![],
        heartbeat_ms: crate::clock::monotonic_ms(),
        written_at: 0,
    }
}

/// The known value of a field; fails with the reason of an unknown one.
pub(crate) fn known(seen: &Observation, field: &str) -> Value {
    match seen.fact(field) {
        Fact::Known(value) => value,
        Fact::Unknown(reason) => panic!("{field} is unknown: {reason}"),
    }
}

/// The reason why a field is unknown; fails on a known one.
pub(crate) fn unknown(seen: &Observation, field: &str) -> String {
    match seen.fact(field) {
        Fact::Known(value) => panic!("{field} is known: {value}"),
        Fact::Unknown(reason) => reason,
    }
}

/// Waits, at most ten seconds, until something holds.
pub(crate) fn deadline_passes(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Puts a program there to be run: by a process of its own, since a file that is open for writing cannot be run, and a
/// child that a neighbouring test is just forking has all our files open.
pub(crate) fn copy_program(from: &str, to: &Path) {
    assert!(Command::new("/bin/cp").arg(from).arg(to).status().unwrap().success());
}

/// As [`copy_program`], for a script; its mode stays what it is.
pub(crate) fn write_script(to: &Path, text: &str) {
    let mut write = Command::new("/bin/sh");
    assert!(write.args(["-c", "printf %s \"$1\" >\"$0\""]).arg(to).arg(text).status().unwrap().success());
}

/// Selects by name.
pub(crate) fn by_comm(name: &str) -> ProcessSelector {
    ProcessSelector { comm: Some(name.to_owned()), ..ProcessSelector::default() }
}

/// Selects by program.
pub(crate) fn by_exe(path: &Path) -> ProcessSelector {
    ProcessSelector { exe: Some(path.to_path_buf()), ..ProcessSelector::default() }
}

/// Selects by the health document.
pub(crate) fn by_health() -> ProcessSelector {
    ProcessSelector { health: true, ..ProcessSelector::default() }
}
