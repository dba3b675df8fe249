//! What a supervisor with every shipped playbook costs while nothing happens, and its agent, beside monit at the same
//! time: on an empty host, and on hosts that are full of something.
use std::time::Duration;

use wbd_tests::deadline::stays;

use crate::beside::Beside;
use crate::figure::Figure;
use crate::monit::Monit;
use crate::process::{Meter, private_mib};
use crate::stage::{Stage, healthy, is_asked, service};

/// All in all 28 minutes; with `WBD_BENCH=short` 12 minutes.
/// DESIGN, idle supervisor: private memory in MiB and percent of a core.
const MEMORY_BOUND: f64 = 8.0;
const CORE_BOUND: f64 = 0.1;

/// One process with its measured values.
struct Measured {
    name: String,
    pid: u32,
    memory: Vec<f64>,
    core: Vec<f64>,
}

/// All figures.
pub(crate) fn measure(stage: &Stage) -> Vec<Figure> {
    let conditions = Beside::ALL.into_iter();
    conditions
        .filter(|beside| *beside != Beside::Folders || may_watch())
        .flat_map(|it| measure_beside(stage, it))
        .collect()
}

/// Raising the limit needs root.
pub(crate) fn may_watch() -> bool {
    let may = nix::unistd::geteuid().is_root();
    if !may {
        println!("SKIPPED: {}, which need root\n", Beside::Folders.words());
    }
    may
}

/// All processes over the same windows.
fn measure_beside(stage: &Stage, beside: Beside) -> Vec<Figure> {
    let watching = beside.alone();
    let agent = healthy(watching.alone.root.path(), 0);
    let monit = Monit::start(agent);
    let pid = u32::try_from(watching.alone.supervisor.pid().as_raw()).expect("a pid");
    let mut all = vec![("supervisor, stand-alone", pid), ("agent, stand-alone", agent)];
    // The booted host has no folders to watch.
    let host = stage.host.as_ref().filter(|_| beside != Beside::Folders);
    if let Some(host) = host {
        all.push(("supervisor, systemd", service(host, "wbd-supervisord")));
        all.push(("agent, systemd", service(host, "wbd_agent")));
    }
    all.extend(monit.as_ref().map(|monit| ("monit", monit.pid())));
    let begun =
        |(name, pid): (&str, u32)| Measured { name: name.to_owned(), pid, memory: Vec::new(), core: Vec::new() };
    let mut all: Vec<Measured> = all.into_iter().map(begun).collect();
    let full = beside.begin(host);
    quiet(beside.settles());
    for window in beside.windows(is_asked("short")) {
        let meters: Vec<Meter> = all.iter().map(|measured| Meter::new(measured.pid)).collect();
        quiet(window);
        for (measured, meter) in all.iter_mut().zip(meters) {
            measured.core.push(meter.percent());
            measured.memory.push(private_mib(measured.pid));
        }
    }
    drop(full);
    figures(all, beside)
}

fn quiet(span: Duration) {
    stays("quiet", span, || Ok(()));
}

fn figures(mut all: Vec<Measured>, beside: Beside) -> Vec<Figure> {
    let peer = all.iter().position(|measured| measured.name == "monit").map(|index| all.remove(index));
    let mut found = Vec::new();
    for measured in all {
        let what = |of: &str| format!("{}, {}: {of}", beside.words(), measured.name);
        let mut memory = Figure::new(&what("private memory, MiB"), measured.memory);
        let mut core = Figure::new(&what("percent of a core"), measured.core).at_most(CORE_BOUND * beside.times());
        if measured.name.starts_with("supervisor") {
            memory = memory.at_most(MEMORY_BOUND);
        }
        if let Some(monit) = &peer {
            memory = memory.beside("monit", monit.memory.clone());
            core = core.beside("monit", monit.core.clone());
        }
        found.extend([memory, core]);
    }
    found
}
