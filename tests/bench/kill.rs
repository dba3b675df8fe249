//! From SIGKILL of the agent to the moment at which its verification holds for the first time: a new process whose
//! health document says that it works. Beside it systemd's own restart of a trivial unit, and the agent's own start.
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;
use wbd_tests::deadline::{stays, wait_until};
use wbd_tests::host::Host;
use wbd_tests::places;
use wbd_tests::supervisor::scratch_root;

use crate::figure::Figure;
use crate::stage::{Alone, Stage, healthy, service, working};

const RUNS: usize = 7;
const DEADLINE: Duration = Duration::from_secs(30);
/// Five deaths within ten seconds are a start limit; and the supervisor shall have seen the last one to its end.
const APART: Duration = Duration::from_millis(2500);
/// DESIGN: crash to the first passing verify, of which the supervisor adds so much; milliseconds.
const BOUND: f64 = 500.0;
const OWN_BOUND: f64 = 50.0;
// Four dollar signs are one for the shell and one more: systemd takes them in pairs.
const TRIVIAL: &str = "\
[Service]
ExecStart=/bin/sh -c 'echo up >/run/trivial/$$$$; exec sleep infinity'
RuntimeDirectory=trivial
RuntimeDirectoryPreserve=yes
Restart=on-failure
RestartSec=100ms
";

/// A folder that is looked at again whenever something in it changes: neither late nor busy.
struct Folder(Inotify);

impl Folder {
    fn new(path: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).expect("inotify");
        let changes = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CREATE;
        inotify.add_watch(path, changes).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        Self(inotify)
    }

    /// Milliseconds from `begun` until `look` is true.
    fn until(&self, what: &str, begun: Instant, look: impl Fn() -> bool) -> f64 {
        while !look() {
            let left =
                DEADLINE.checked_sub(begun.elapsed()).unwrap_or_else(|| panic!("waited {DEADLINE:?} for {what}"));
            let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::try_from(left).expect("a short time")).expect("poll");
            self.0.read_events().ok();
        }
        begun.elapsed().as_secs_f64() * 1000.0
    }
}

fn end(pid: u32) -> Instant {
    let begun = Instant::now();
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGKILL).expect("it runs");
    begun
}

/// All figures.
pub(crate) fn measure(stage: &Stage) -> Vec<Figure> {
    let (mut total, mut verdict, mut start, mut added) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // Each on a root of its own, so that budgets and attempts are as shipped.
        let own = own_start();
        let (to_health, to_verdict) = alone();
        added.push((to_health - own).max(0.0));
        start.push(own);
        total.push(to_health);
        verdict.push(to_verdict);
    }
    let mut figures = vec![
        Figure::new("stand-alone: kill until the verification first holds, ms", total)
            .beside("the agent's own start", start)
            .at_most(BOUND),
        Figure::new("stand-alone: of which the supervisor adds, ms", added).at_most(OWN_BOUND),
        Figure::new("stand-alone: kill to the recorded verdict (held 2 s), ms", verdict),
    ];
    if let Some(host) = &stage.host {
        let (agent, trivial) = booted(host);
        let figure = Figure::new("systemd: kill until the verification first holds, ms", agent);
        figures.push(figure.beside("Restart= of a trivial unit", trivial).at_most(BOUND));
    }
    figures
}

/// Milliseconds from the start of the agent by itself to its first healthy document.
fn own_start() -> f64 {
    let root = scratch_root();
    let run = root.path().join("run/wbd");
    let folder = Folder::new(&run);
    let mut agent = Command::new(places::program("wbd_agent"));
    agent.arg("--foreground").arg("--root").arg(root.path()).env_clear();
    let begun = Instant::now();
    let mut agent =
        agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("agent starts");
    let took = folder.until("the agent", begun, || working(root.path()).is_some());
    agent.kill().ok();
    agent.wait().ok();
    took
}

/// Milliseconds from the kill to health, and to the verdict in the ledger.
fn alone() -> (f64, f64) {
    let alone = Alone::start();
    let root = alone.root.path();
    let old = healthy(root, 0);
    // Killed while the supervisor still starts, it would be a death that nobody saw.
    wait_until("the supervisor's first looks", DEADLINE, || {
        let doctor = alone.supervisor.wbdctl(&["doctor", "--only", "WBD-6007"]);
        let good = doctor.checks("WBD-6007").iter().any(|check| check["verdict"] == "pass");
        good.then_some(()).ok_or_else(|| doctor.json.to_string())
    });
    let folder = Folder::new(&root.join("run/wbd"));
    let wall = boot_ms();
    let begun = end(old);
    let to_health = folder.until("the agent, stand-alone", begun, || working(root).is_some_and(|pid| pid != old));
    let verdict = wait_until("the verdict", DEADLINE, || {
        let ledger = alone.supervisor.wbdctl(&["ledger", "list"]);
        let passed = ledger.entries("verdict").into_iter().find(|entry| entry["result"] == "pass").cloned();
        passed.ok_or_else(|| ledger.json.to_string())
    });
    let at = verdict["boot_ms"].as_f64().expect("a moment");
    (to_health, at - wall)
}

/// CLOCK_BOOTTIME in milliseconds, as the ledger counts.
fn boot_ms() -> f64 {
    let now = ClockId::CLOCK_BOOTTIME.now().expect("a clock");
    Duration::from(now).as_secs_f64() * 1000.0
}

/// Milliseconds to health for the agent, and to the first line of a trivial unit.
fn booted(host: &Host) -> (Vec<f64>, Vec<f64>) {
    host.write("/etc/systemd/system/trivial.service", TRIVIAL.as_bytes());
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "start", "trivial.service"]).ok();
    let root = host.inside("").expect("the host is up");
    let notes = host.inside("/run/trivial").expect("the host is up");
    let (mut agent, mut trivial) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        stays("quiet", APART, || Ok(()));
        let folder = Folder::new(&root.join("run/wbd"));
        let old = healthy(&root, 0);
        let begun = end(service(host, "wbd_agent"));
        agent.push(folder.until("the agent's unit", begun, || working(&root).is_some_and(|pid| pid != old)));

        stays("quiet", APART, || Ok(()));
        let folder = Folder::new(&notes);
        let before = count(&notes);
        let begun = end(service(host, "sleep"));
        trivial.push(folder.until("the trivial unit", begun, || count(&notes) > before));
    }
    host.run(["/usr/bin/systemctl", "stop", "trivial.service"]).ok();
    (agent, trivial)
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}
