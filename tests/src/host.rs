//! One booted Debian host with its own systemd, network and root, and how a test acts inside it; it knows nothing of the product.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::deadline::poll;
use crate::exec::{self, Ran};
use crate::figures::say;
use crate::{places, rootfs};

/// Boot takes about 5 s on an idle machine; beside a compiler on two cores it takes several times that.
const BOOT_DEADLINE: Duration = Duration::from_secs(120);
/// How long [`Host::run`] lets a program run.
const RUN_DEADLINE: Duration = Duration::from_secs(60);
/// What the keeper needs at most to save the journal and take everything away.
const END_DEADLINE: Duration = Duration::from_secs(60);

/// A booted host. Dropping it saves its journal as `target/hosts/NAME.journal` and takes everything away; the same happens
/// when the test process dies in whatever way, so a host in a static needs no care.
#[derive(Debug)]
pub struct Host {
    name: String,
    keeper: Child,
    begun: Instant,
}

impl Host {
    /// Boots a fresh host and returns once systemd says `running`. `name` is a plain word, unique in the test process.
    ///
    /// # Panics
    /// When not root, when the keeper cannot be started, or when the host is not up in time.
    #[must_use]
    pub fn boot(name: &str) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "booted hosts need root");
        let root = rootfs::ready().root;
        let logs = places::target_dir().join("hosts");
        fs::create_dir_all(&logs).expect("target folder is writable");
        sweep(&logs);
        let (begun, log) = (Instant::now(), File::create(logs.join(format!("{name}.keeper"))).expect("log file"));
        let keeper = Command::new("/usr/bin/unshare")
            .args(["--mount", "--propagation=slave", "--pid", "--fork"])
            .args(["--kill-child=SIGKILL", "--mount-proc", "--"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("keep-host"))
            .arg(name)
            .arg(root)
            .arg(logs.join(format!("{name}.{}", std::process::id())))
            .arg(&logs)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("file handle"))
            .stderr(log)
            .spawn()
            .expect("unshare starts");
        let host = Self { name: name.to_owned(), keeper, begun };
        host.wait_running();
        say(&format!("cost: {:5.1} s, boot of {name}", begun.elapsed().as_secs_f32()));
        host
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The machine's pid of the host's first process, for `nsenter` and for `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// What is missing, while the host is not up.
    pub fn leader(&self) -> Result<u32, String> {
        let keeper = child_named(self.keeper.id(), "keep-host")?;
        let nspawn = child_named(keeper, "systemd-nspawn")?;
        child_named(nspawn, "systemd")
    }

    /// Where this machine sees a path of the host, for looking often and cheaply. No symbolic link on the way may be absolute.
    ///
    /// # Errors
    /// What is missing, while the host is not up.
    pub fn inside(&self, path: &str) -> Result<PathBuf, String> {
        Ok(PathBuf::from(format!("/proc/{}/root{path}", self.leader()?)))
    }

    /// Runs a program in the host, as root, for at most a minute.
    ///
    /// # Panics
    /// When the host is not up or the program does not end in time.
    #[must_use = "how it ended is the point of running it"]
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Ran {
        self.run_with(argv, b"", RUN_DEADLINE)
    }

    /// As [`Host::run`], with standard input and a deadline (whole seconds, rounded up).
    ///
    /// # Panics
    /// As [`Host::run`].
    #[must_use = "how it ended is the point of running it"]
    #[track_caller]
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        argv: impl IntoIterator<Item = S>,
        input: &[u8],
        deadline: Duration,
    ) -> Ran {
        let leader = self.leader().unwrap_or_else(|why| self.fail(&why));
        // Killing nsenter leaves its child alone in the host, so the deadline is kept inside too, a little earlier.
        let mut enter = Command::new("/usr/bin/nsenter");
        enter
            .args(["--all", "--target", &leader.to_string(), "--"])
            .args(["/usr/bin/timeout", "--kill-after=1"])
            .arg((deadline.as_secs() + 1).to_string())
            .args(argv);
        exec::run(&mut enter, input, deadline + Duration::from_secs(5))
    }

    /// Runs a program of the host with the host's files and nothing else of it: its processes and network stay outside. This
    /// is for what only reads files, often: it costs a fraction of [`Host::run`].
    ///
    /// # Panics
    /// As [`Host::run`].
    #[must_use = "how it ended is the point of running it"]
    #[track_caller]
    pub fn run_on_its_files<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Ran {
        let root = self.inside("").unwrap_or_else(|why| self.fail(&why));
        exec::run(Command::new("/usr/sbin/chroot").arg(root).args(argv), b"", RUN_DEADLINE)
    }

    /// Writes a file in the host (mode 0644, missing folders made). Not below /tmp before the host is up: that is a tmpfs.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write(&self, path: &str, bytes: &[u8]) {
        self.write_mode(path, bytes, "0644");
    }

    /// As [`Host::write`], with an octal mode such as `0755`.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write_mode(&self, path: &str, bytes: &[u8], mode: &str) {
        let argv = ["/usr/bin/install", "-D", "-m", mode, "/dev/stdin", path];
        self.run_with(argv, bytes, RUN_DEADLINE).ok();
    }

    /// A file's bytes, or `None` when there is none.
    ///
    /// # Panics
    /// When it is there and cannot be read.
    #[must_use]
    #[track_caller]
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.open(path, OFlags::RDONLY)?;
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes).unwrap_or_else(|why| panic!("{path}: {why}"));
        Some(bytes)
    }

    /// A file of the host through the host's own folder, with its links taken as the host takes them; `None` when there is none.
    #[track_caller]
    fn open(&self, path: &str, how: OFlags) -> Option<OwnedFd> {
        let root = self.inside("").unwrap_or_else(|why| self.fail(&why));
        let root = File::open(root).unwrap_or_else(|why| self.fail(&why.to_string()));
        let path = path.trim_start_matches('/');
        match openat2(root, path, how | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(file) => Some(file),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(why) => panic!("{path} on {}: {why}", self.name),
        }
    }

    /// Whether the path leads to anything.
    ///
    /// # Panics
    /// When the host is not up.
    #[must_use]
    #[track_caller]
    pub fn exists(&self, path: &str) -> bool {
        self.open(path, OFlags::PATH).is_some()
    }

    /// Installs a package from this machine's `path`, as `dpkg -i` does.
    ///
    /// # Panics
    /// When dpkg fails.
    #[track_caller]
    pub fn install_deb(&self, path: &Path) -> Ran {
        let name = path.file_name().and_then(OsStr::to_str).expect("plain name");
        let inside = format!("/root/{name}");
        self.write(&inside, &fs::read(path).expect("package is readable"));
        self.run_with(["/usr/bin/dpkg", "-i", &inside], b"", Duration::from_secs(120)).ok()
    }

    /// One property of a unit, as `systemctl show` gives it.
    ///
    /// # Panics
    /// When systemd does not answer.
    #[must_use]
    #[track_caller]
    pub fn unit(&self, unit: &str, property: &str) -> String {
        self.run(["/usr/bin/systemctl", "show", "--value", "-p", property, unit]).ok().text()
    }

    /// The unit's main process as the host numbers it; `None` when it has none.
    ///
    /// # Panics
    /// When systemd does not answer.
    #[must_use]
    #[track_caller]
    pub fn main_pid(&self, unit: &str) -> Option<u32> {
        let pid = self.unit(unit, "MainPID").parse().expect("a pid");
        (pid != 0).then_some(pid)
    }

    /// Sends `signal` (such as `KILL`) to a process of the host.
    ///
    /// # Panics
    /// When there is no such process.
    #[track_caller]
    pub fn signal(&self, pid: u32, signal: &str) {
        let signal = format!("-{signal}");
        self.run(["/usr/bin/kill", &signal, &pid.to_string()]).ok();
    }

    /// Waits for a condition; the panic text names the host too. See [`poll`].
    ///
    /// # Panics
    /// When `deadline` has passed.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, deadline: Duration, look: impl FnMut() -> Result<T, String>) -> T {
        match poll(deadline, look) {
            Ok(found) => found,
            Err(seen) => {
                panic!("waited {deadline:?} for {what} on {}; last seen: {seen}\n{}", self.name, self.journal())
            }
        }
    }

    /// The journal's last lines, for whoever has to find out why a wait was in vain.
    fn journal(&self) -> String {
        let lines = self.run(["/usr/bin/journalctl", "-b", "-n", "60", "-o", "short-monotonic", "--no-pager"]);
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        format!("its journal, at {}:\n{}", uptime.trim(), String::from_utf8_lossy(&lines.stdout))
    }

    /// Reboots the host (same root, new first process) and waits until it is up again. The clocks go on, they are the
    /// machine's. nspawn covers the boot id with a new one, which services with a `/proc/sys` of their own do not see: such
    /// hosts are real, so the cover stays.
    ///
    /// # Panics
    /// When it is not up in time.
    #[track_caller]
    pub fn reboot(&self) {
        let before = self.leader().unwrap_or_else(|why| self.fail(&why));
        // The host may be gone before the program that asked for it has ended: how it ends says nothing.
        drop(self.run(["/usr/bin/systemctl", "--no-block", "reboot"]));
        self.wait_for("a new first process", BOOT_DEADLINE, || {
            let now = self.leader()?;
            (now != before).then_some(()).ok_or_else(|| "the old one".to_owned())
        });
        self.wait_running();
    }

    #[track_caller]
    fn wait_running(&self) {
        let seen = poll(BOOT_DEADLINE, || {
            self.leader()?;
            let state = self.run(["/usr/bin/systemctl", "is-system-running"]);
            match state.text().as_str() {
                "running" => Ok(Ok(())),
                "degraded" => Ok(Err(self.run(["/usr/bin/systemctl", "--failed"]).report())),
                _ => Err(state.report()),
            }
        });
        if let Err(why) | Ok(Err(why)) = seen {
            self.fail(&why);
        }
    }

    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        panic!("host {} is not up: {why}; look at target/hosts/{}.{{keeper,console,journal}}", self.name, self.name)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let ended = poll(END_DEADLINE, || {
            let status = self.keeper.try_wait().map_err(|why| why.to_string())?;
            status.ok_or_else(|| "still there".to_owned())
        });
        if ended.is_err() {
            // The kernel then ends everything in the host's pid namespace with it.
            self.keeper.kill().ok();
            self.keeper.wait().ok();
        }
        say(&format!("cost: {:5.1} s, host {} with its boot and end", self.begun.elapsed().as_secs_f32(), self.name));
    }
}

fn child_named(parent: u32, comm: &str) -> Result<u32, String> {
    let list = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(list).map_err(|_| format!("no process {parent}"))?;
    children
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .find(|pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == comm))
        .ok_or_else(|| format!("process {parent} has no child {comm}"))
}

/// Removes the folders of hosts whose test process and keeper were both killed.
fn sweep(logs: &Path) {
    let folders = fs::read_dir(logs).expect("host folder is readable").flatten();
    for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let owner = folder.extension().and_then(OsStr::to_str);
        if owner.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            // A keeper that is just taking it away may be faster.
            fs::remove_dir_all(&folder).ok();
        }
    }
}
