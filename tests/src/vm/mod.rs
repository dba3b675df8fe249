//! One virtual machine with a real kernel of its own, and how a test acts inside it; it knows nothing of the product.
//!
//! It has what booted hosts on this machine's kernel lack: own sysctls, a memory controller, a kernel log, a clock that
//! may be set, a reboot, and a power cut.

mod image;
pub mod product;
mod qemu;
mod shell;

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::deadline::wait_until;
use crate::exec::{self, Ran};
use crate::places;

use image::Image;
use qemu::Qemu;
use shell::Shell;

/// A boot takes 8 s on an idle machine; beside compilers on two cores it takes several times that.
const BOOT_DEADLINE: Duration = Duration::from_secs(300);
/// How long [`Vm::run`] lets a program run. Emulated, everything takes ten times as long, more on a busy machine.
const RUN_DEADLINE: Duration = Duration::from_secs(120);

/// A virtual machine on a disk of its own. Dropping it saves its journal as `target/vm/NAME.journal`, beside its console
/// and the commands it was given, ends it and takes its disk away. It ends with the test process, however that dies.
#[derive(Debug)]
pub struct Vm {
    name: String,
    image: Image,
    folder: PathBuf,
    on: Option<On>,
}

/// What there is only while the power is on.
#[derive(Debug)]
struct On {
    qemu: Qemu,
    shell: RefCell<Shell>,
}

impl Vm {
    /// Boots a fresh one, with the package installed, and returns once systemd says `running`. `name` is a plain word,
    /// unique in the test process.
    ///
    /// # Panics
    /// When the image cannot be made, or the machine is not up in time.
    #[must_use]
    pub fn boot(name: &str) -> Self {
        let store = places::target_dir().join("vm");
        fs::create_dir_all(&store).expect("target folder is writable");
        sweep(&store);
        let folder = store.join(format!("{name}.{}", std::process::id()));
        fs::create_dir_all(&folder).expect("target folder is writable");
        let mut vm = Self { name: name.to_owned(), image: image::ready(&store), folder, on: None };
        let mut disk = Command::new("/usr/bin/qemu-img");
        disk.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(&vm.image.disk).arg(vm.disk());
        exec::run(&mut disk, b"", RUN_DEADLINE).ok();
        vm.power_on();
        vm
    }

    /// Boots it again, from the disk as the last power cut left it.
    ///
    /// # Panics
    /// When it is on, or not up in time.
    pub fn power_on(&mut self) {
        assert!(self.on.is_none(), "{} is on already", self.name);
        let console = self.folder.with_extension("console");
        let port = self.folder.join("port");
        // A socket of the last time would be taken for the new one.
        fs::remove_file(&port).ok();
        let qemu = Qemu::start(&self.image, &self.disk(), &port, &console);
        let log = self.folder.with_extension("commands");
        let log = File::options().create(true).append(true).open(log).expect("log file");
        let shell = Shell::open(&port, log, BOOT_DEADLINE, || qemu.runs());
        let shell = shell.unwrap_or_else(|why| panic!("{} is not up: {why}; look at {}", self.name, console.display()));
        self.on = Some(On { qemu, shell: RefCell::new(shell) });
        self.wait_running();
    }

    /// The power is gone from one moment to the next.
    ///
    /// # Panics
    /// When it is off already.
    pub fn power_cut(&mut self) {
        let on = self.on.take().unwrap_or_else(|| panic!("{} is off", self.name));
        on.qemu.kill();
    }

    /// An orderly reboot; returns once it is up again.
    ///
    /// # Panics
    /// When it is not up in time.
    #[track_caller]
    pub fn reboot(&self) {
        let mut shell = self.on().shell.borrow_mut();
        let before = shell.boot_id().to_owned();
        shell.send(&["/usr/bin/systemctl", "--no-block", "reboot"]).unwrap_or_else(|why| self.fail(&why));
        shell.wait_ready(BOOT_DEADLINE, Some(&before)).unwrap_or_else(|why| self.fail(&why));
        drop(shell);
        self.wait_running();
    }

    /// The kernel's name of this boot.
    ///
    /// # Panics
    /// When it is off.
    #[must_use]
    #[track_caller]
    pub fn boot_id(&self) -> String {
        self.on().shell.borrow().boot_id().to_owned()
    }

    /// Runs a program in it, as root, for at most two minutes.
    ///
    /// # Panics
    /// When the machine does not answer.
    #[must_use = "how it ended is the point of running it"]
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Ran {
        self.run_with(argv, b"", RUN_DEADLINE)
    }

    /// As [`Vm::run`], with standard input and a deadline (whole seconds, rounded up).
    ///
    /// # Panics
    /// As [`Vm::run`].
    #[must_use = "how it ended is the point of running it"]
    #[track_caller]
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        argv: impl IntoIterator<Item = S>,
        input: &[u8],
        deadline: Duration,
    ) -> Ran {
        let argv: Vec<_> = argv.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let ran = self.on().shell.borrow_mut().run(&argv, input, deadline);
        ran.unwrap_or_else(|why| self.fail(&why))
    }

    /// Runs a script of `/bin/sh`: several steps cost one way in and out.
    ///
    /// # Panics
    /// As [`Vm::run`].
    #[must_use = "how it ended is the point of running it"]
    #[track_caller]
    pub fn sh(&self, script: &str) -> Ran {
        self.run(["/bin/sh", "-ec", script])
    }

    /// Writes a file (mode 0644, missing folders made).
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let argv = ["/usr/bin/install", "-D", "-m", "0644", "/dev/stdin", path];
        self.run_with(argv, text.as_bytes(), RUN_DEADLINE).ok();
    }

    /// A file's text, or `None` when it cannot be read.
    ///
    /// # Panics
    /// When the machine does not answer.
    #[must_use]
    #[track_caller]
    pub fn read(&self, path: &str) -> Option<String> {
        let ran = self.run(["/usr/bin/cat", path]);
        (ran.code == Some(0)).then(|| String::from_utf8_lossy(&ran.stdout).into_owned())
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

    /// The unit's main process; `None` when it has none.
    ///
    /// # Panics
    /// When systemd does not answer.
    #[must_use]
    #[track_caller]
    pub fn main_pid(&self, unit: &str) -> Option<u32> {
        let pid = self.unit(unit, "MainPID").parse().expect("a pid");
        (pid != 0).then_some(pid)
    }

    /// Sends `signal` (such as `KILL`) to a process.
    ///
    /// # Panics
    /// When there is no such process.
    #[track_caller]
    pub fn signal(&self, pid: u32, signal: &str) {
        self.sh(&format!("kill -{signal} {pid}")).ok();
    }

    /// Waits for a condition; the panic text names the machine too. See [`wait_until`].
    ///
    /// # Panics
    /// When `deadline` has passed.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, deadline: Duration, look: impl FnMut() -> Result<T, String>) -> T {
        wait_until(&format!("{what} on {}", self.name), deadline, look)
    }

    #[track_caller]
    fn wait_running(&self) {
        self.wait_for("a running systemd", BOOT_DEADLINE, || {
            let state = self.run(["/usr/bin/systemctl", "is-system-running"]);
            match state.text().as_str() {
                "running" => Ok(()),
                "degraded" => panic!("{}", self.run(["/usr/bin/systemctl", "--failed"]).report()),
                _ => Err(state.report()),
            }
        });
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk.qcow2")
    }

    #[track_caller]
    fn on(&self) -> &On {
        self.on.as_ref().unwrap_or_else(|| panic!("{} is off", self.name))
    }

    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        panic!("{}: {why}; look at {}", self.name, self.folder.with_extension("console").display())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if let Some(on) = self.on.take() {
            let argv = ["/usr/bin/journalctl", "--no-pager", "-o", "short-monotonic", "-n", "2000"].map(Into::into);
            if let Ok(ran) = on.shell.borrow_mut().run(&argv, b"", RUN_DEADLINE) {
                fs::write(self.folder.with_extension("journal"), ran.stdout).ok();
            }
            on.qemu.kill();
        }
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Removes what machines of killed test processes left.
fn sweep(store: &std::path::Path) {
    let entries = fs::read_dir(store).expect("target folder is readable").flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let owner = path.extension().and_then(OsStr::to_str).and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            fs::remove_dir_all(&path).ok();
        }
    }
}

/// Never dropped, which is right: the machine ends when the test process does.
static SHARED: Mutex<Option<Vm>> = Mutex::new(None);

/// The one machine of all scenarios that put back what they changed, for one scenario at a time.
#[derive(Debug)]
pub struct SharedVm(MutexGuard<'static, Option<Vm>>);

impl SharedVm {
    /// Waits for the scenario before; one that failed costs the next one a new machine, and `prepare` is called on a
    /// fresh machine only.
    ///
    /// # Panics
    /// When the machine does not boot or `prepare` fails.
    #[must_use]
    #[track_caller]
    pub fn take(prepare: impl FnOnce(&Vm)) -> Self {
        let mut vm = SHARED.lock().unwrap_or_else(|failed| {
            SHARED.clear_poison();
            let mut vm = failed.into_inner();
            *vm = None;
            vm
        });
        if vm.is_none() {
            static BOOTED: AtomicUsize = AtomicUsize::new(1);
            let fresh = Vm::boot(&format!("shared-{}", BOOTED.fetch_add(1, Ordering::Relaxed)));
            prepare(&fresh);
            *vm = Some(fresh);
        }
        Self(vm)
    }
}

impl std::ops::Deref for SharedVm {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        self.0.as_ref().expect("taken with a machine")
    }
}

impl std::ops::DerefMut for SharedVm {
    fn deref_mut(&mut self) -> &mut Vm {
        self.0.as_mut().expect("taken with a machine")
    }
}
