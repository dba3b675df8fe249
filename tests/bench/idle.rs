//! What a supervisor with every shipped playbook costs while nothing happens, beside monit at the same time.
use std::time::Duration;

use wbd_tests::deadline::stays;

use crate::figure::Figure;
use crate::monit::Monit;
use crate::process::{Meter, private_mib};
use crate::stage::{Alone, Stage, healthy, service};

/// The first looks and the allocator's growth are over by then.
const SETTLE: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(60);
const RUNS: usize = 3;
/// DESIGN, idle supervisor: private memory in MiB and percent of a core.
const MEMORY_BOUND: f64 = 8.0;
const CORE_BOUND: f64 = 0.1;

/// One process with its measured values.
struct Measured {
    name: &'static str,
    pid: u32,
    memory: Vec<f64>,
    core: Vec<f64>,
}

/// All processes over the same windows.
pub(crate) fn measure(stage: &Stage) -> Vec<Figure> {
    let alone = Alone::start();
    let agent = healthy(alone.root.path(), 0);
    let monit = Monit::start(agent);
    let pid = u32::try_from(alone.supervisor.pid().as_raw()).expect("a pid");
    let mut all = vec![("supervisor, stand-alone", pid), ("agent without targets, stand-alone", agent)];
    if let Some(host) = &stage.host {
        all.push(("supervisor, systemd", service(host, "wbd-supervisord")));
        all.push(("agent without targets, systemd", service(host, "wbd_agent")));
    }
    all.extend(monit.as_ref().map(|monit| ("monit", monit.pid())));
    let mut all: Vec<Measured> =
        all.into_iter().map(|(name, pid)| Measured { name, pid, memory: Vec::new(), core: Vec::new() }).collect();
    quiet(SETTLE);
    for _ in 0..RUNS {
        let meters: Vec<Meter> = all.iter().map(|measured| Meter::new(measured.pid)).collect();
        quiet(WINDOW);
        for (measured, meter) in all.iter_mut().zip(meters) {
            measured.core.push(meter.percent());
            measured.memory.push(private_mib(measured.pid));
        }
    }
    figures(all)
}

fn quiet(span: Duration) {
    stays("quiet", span, || Ok(()));
}

fn figures(mut all: Vec<Measured>) -> Vec<Figure> {
    let peer = all.iter().position(|measured| measured.name == "monit").map(|index| all.remove(index));
    let mut found = Vec::new();
    for measured in all {
        let mut memory = Figure::new(&format!("{}: private memory, MiB", measured.name), measured.memory);
        let mut core = Figure::new(&format!("{}: percent of a core", measured.name), measured.core);
        if measured.name.starts_with("supervisor") {
            (memory, core) = (memory.at_most(MEMORY_BOUND), core.at_most(CORE_BOUND));
            if let Some(monit) = &peer {
                memory = memory.beside("monit", monit.memory.clone());
                core = core.beside("monit", monit.core.clone());
            }
        }
        found.extend([memory, core]);
    }
    found
}
