//! How long doctor takes on a healthy host, beside what an administrator would ask instead, and on a broken one.
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wbd_tests::host::Host;
use wbd_tests::places;

use crate::beside::Beside;
use crate::figure::Figure;
use crate::idle::may_watch;
use crate::monit::Monit;
use crate::stage::{Alone, Stage, healthy};

const RUNS: usize = 20;
/// DESIGN: a healthy doctor, milliseconds.
const BOUND: f64 = 1000.0;
/// DESIGN: a verdict on a broken host, milliseconds.
const BROKEN_BOUND: f64 = 10_000.0;
/// How often a broken host is asked, which takes seconds.
const BROKEN_RUNS: usize = 5;

/// All figures.
pub(crate) fn measure(stage: &Stage) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(host) = &stage.host {
        let leader = host.leader().expect("the host is up");
        let enter = |argv: &[&str]| {
            let mut command = Command::new("/usr/bin/nsenter");
            command.args(["--all", "--target", &leader.to_string(), "--", "/usr/bin/timeout", "60"]).args(argv);
            command
        };
        healthy(&host.inside("").expect("the host is up"), 0);
        settled(host);
        let doctor = || enter(&["/usr/bin/wbdctl", "doctor"]);
        let peer = || enter(&["/usr/bin/systemctl", "status", "wbd-agent.service"]);
        let (doctor, peer) = both(doctor, &[0], Some(peer));
        figures.push(Figure::new("doctor, systemd, ms", doctor).beside("systemctl status", peer).at_most(BOUND));
    }
    let conditions = Beside::ALL.into_iter().filter(|beside| *beside != Beside::Folders || may_watch());
    figures.extend(conditions.map(alone));
    figures.push(broken());
    figures
}

/// Where neither the supervisor nor the agent answers: both are stopped by SIGSTOP.
fn broken() -> Figure {
    let alone = Alone::start();
    let agent = Pid::from_raw(i32::try_from(healthy(alone.root.path(), 0)).expect("a pid"));
    alone.supervisor.signal(Signal::SIGSTOP);
    kill(agent, Signal::SIGSTOP).expect("it runs");
    // Sick, or not to be seen in time; never well.
    let took = (0..BROKEN_RUNS).map(|_| timed(asks(&alone), &[1, 2, 3])).collect();
    kill(agent, Signal::SIGCONT).expect("it runs");
    alone.supervisor.signal(Signal::SIGCONT);
    Figure::new("supervisor and agent hang: doctor, stand-alone, ms", took).at_most(BROKEN_BOUND)
}

fn asks(alone: &Alone) -> Command {
    let mut command = Command::new("/usr/bin/timeout");
    command.arg("60").arg(places::program("wbdctl")).arg("--root").arg(alone.root.path()).arg("doctor");
    command
}

/// Beside what the host may be full of.
fn alone(beside: Beside) -> Figure {
    let watching = beside.alone();
    let alone = &watching.alone;
    let monit = Monit::start(healthy(alone.root.path(), 0));
    let _full = beside.begin(None);
    // Unknown is fine here: the machine may run processes that not even root can look into.
    let (doctor, peer) = both(|| asks(alone), &[0, 3], monit.as_ref().map(|monit| || monit.status()));
    let figure = Figure::new(&format!("{}: doctor, stand-alone, ms", beside.words()), doctor).at_most(BOUND);
    if peer.is_empty() { figure } else { figure.beside("monit status", peer) }
}

/// After other benches: until nothing is left of what they did to the agent.
fn settled(host: &Host) {
    host.wait_for("a healthy doctor", std::time::Duration::from_secs(120), || {
        let ran = host.run(["/usr/bin/wbdctl", "doctor"]);
        if ran.code == Some(0) { Ok(()) } else { Err(ran.report()) }
    });
}

/// Turn by turn, so that what else the machine does meets both.
fn both<P: Fn() -> Command>(doctor: impl Fn() -> Command, codes: &[i32], peer: Option<P>) -> (Vec<f64>, Vec<f64>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(timed(doctor(), codes));
        theirs.extend(peer.as_ref().map(|peer| timed(peer(), &[0])));
    }
    (ours, theirs)
}

/// Milliseconds that a command takes that must end with one of these codes.
fn timed(mut command: Command, codes: &[i32]) -> f64 {
    command.env_clear().stdin(Stdio::null());
    let begun = Instant::now();
    let ran = command.output().expect("it can be started");
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    let said = || format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.code().is_some_and(|code| codes.contains(&code)), "{command:?}: {}\n{}", ran.status, said());
    took
}
