//! Private memory and processor time of one process, from /proc. Knows no product.
use std::fs;
use std::time::Instant;

/// Ticks of /proc/PID/stat in a second (USER_HZ, the same on every Linux that we build for).
const TICKS_PER_SECOND: f64 = 100.0;

/// RssAnon, MiB: memory that nobody shares with it.
pub(crate) fn private_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib / 1024.0
}

/// Its processor time so far, children that it waited for included, seconds.
fn processor_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    // From the third field on: user, system, and the same of its children.
    let ticks = after_name.split_whitespace().skip(11).take(4);
    ticks.map(|ticks| ticks.parse::<f64>().expect("ticks")).sum::<f64>() / TICKS_PER_SECOND
}

/// Processor time over a span.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: u32,
    begun: Instant,
    used: f64,
}

impl Meter {
    /// Begins to count.
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid, begun: Instant::now(), used: processor_seconds(pid) }
    }

    /// Percent of one core since then.
    pub(crate) fn percent(&self) -> f64 {
        (processor_seconds(self.pid) - self.used) * 100.0 / self.begun.elapsed().as_secs_f64()
    }
}

/// The child of `parent` with this kernel name.
pub(crate) fn child(parent: u32, comm: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let mut pids = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
    pids.find(|pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == comm))
}
