//! A private instance of the kernel's own trace: begins of `wbd_agent`, their ends and the signals to them; it judges
//! nothing.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::event::{Event, Occurrence};
use crate::exec;

/// What instances of ours are called; the process id and a number follow.
const PREFIX: &str = "wbd-tests-";
/// Far more than the longest run writes; what is lost all the same is noticed.
const BUFFER_KB: &str = "16384";
/// A program is begun: told before whoever asked for it goes on. Kernels before 6.9 do not have it ...
const BEGUN: &str = "sched/sched_prepare_exec";
/// ... and tell only when it is about to run, which on a busy machine is a while after that.
const RUNS: &str = "sched/sched_process_exec";
const A_WHILE_US: u64 = 500_000;
const OF_AGENTS: &str = r#"filename ~ "*/wbd_agent""#;
/// What else is recorded, and which of it.
const EVENTS: [(&str, &str); 2] =
    [("sched/sched_process_exit", r#"comm == "wbd_agent""#), ("signal/signal_generate", r#"comm == "wbd_agent""#)];
const MOUNT_DEADLINE: Duration = Duration::from_secs(20);

/// One instance, gone when dropped.
#[derive(Debug)]
pub struct Trace {
    instance: PathBuf,
    /// How much later than it was a begin may be told, microseconds.
    pub(super) late_us: u64,
    // Unmounted already: the kernel takes the mount away with this handle, however the process ends.
    _mount: fs::File,
}

impl Trace {
    /// Begins to record.
    pub(super) fn begin() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mount = mounted()?;
        let top = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
        sweep(&top.join("instances"));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = top.join(format!("instances/{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&instance).map_err(|why| format!("no instance: {why}"))?;
        let early = instance.join("events").join(BEGUN).exists();
        let (begin, late_us) = if early { (BEGUN, 0) } else { (RUNS, A_WHILE_US) };
        let trace = Self { instance, late_us, _mount: mount };
        trace.set("trace_clock", "boot")?;
        trace.set("buffer_size_kb", BUFFER_KB)?;
        for (event, filter) in EVENTS.into_iter().chain([(begin, OF_AGENTS)]) {
            trace.set(&format!("events/{event}/filter"), filter)?;
            trace.set(&format!("events/{event}/enable"), "1")?;
        }
        Ok(trace)
    }

    /// Everything so far.
    pub(super) fn events(&self) -> Vec<Event> {
        for cpu in fs::read_dir(self.instance.join("per_cpu")).expect("our instance").flatten() {
            let stats = fs::read_to_string(cpu.path().join("stats")).expect("our instance");
            for lost in ["overrun: ", "dropped events: "] {
                let count = stats.lines().find_map(|line| line.strip_prefix(lost));
                assert_eq!(count, Some("0"), "the record has holes: {stats}");
            }
        }
        let text = fs::read(self.instance.join("trace")).expect("our instance");
        String::from_utf8_lossy(&text).lines().filter_map(parse).collect()
    }

    fn set(&self, file: &str, value: &str) -> Result<(), String> {
        fs::write(self.instance.join(file), value).map_err(|why| format!("cannot set {file} to {value}: {why}"))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.set("events/enable", "0").ok();
        if let Err(why) = fs::remove_dir(&self.instance) {
            eprintln!("{} stays behind: {why}", self.instance.display());
        }
    }
}

/// A mount of tracefs that only this process reaches.
fn mounted() -> Result<fs::File, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("needs root".to_owned());
    }
    let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
    run(Command::new("/usr/bin/mount").args(["-t", "tracefs", "wbd-tests"]).arg(folder.path()))?;
    let mount = fs::File::open(folder.path()).map_err(|why| why.to_string());
    run(Command::new("/usr/bin/umount").arg("--lazy").arg(folder.path()))?;
    mount
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = exec::run(command, b"", MOUNT_DEADLINE);
    if ran.code == Some(0) { Ok(()) } else { Err(ran.report()) }
}

/// Removes the instances of test processes that were killed.
fn sweep(instances: &Path) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()).map(str::to_owned);
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::write(entry.path().join("events/enable"), "0").ok();
            fs::remove_dir(entry.path()).ok();
        }
    }
}

/// `   comm-PID   [001] d..1. 13010.271391: signal_generate: sig=15 ... pid=8979 ...`
fn parse(line: &str) -> Option<Event> {
    if line.starts_with('#') {
        return None;
    }
    let (head, rest) = line.split_once(": ")?;
    let (task, _) = head.split_once(" [")?;
    let actor = task.trim().rsplit_once('-')?.0.to_owned();
    let (seconds, micros) = head.rsplit_once(' ')?.1.split_once('.')?;
    let at_us = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    let (name, said) = rest.split_once(": ")?;
    let field = |key: &str| said.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let pid = field("pid")?.parse().ok()?;
    let what = match name {
        "sched_prepare_exec" | "sched_process_exec" => {
            // A path may hold spaces.
            let program = said.split_once("filename=")?.1.rsplit_once(" pid=")?.0.to_owned();
            Occurrence::Exec { program, pid }
        }
        "sched_process_exit" => Occurrence::Exit { pid },
        "signal_generate" => {
            // Codes above 0 are the kernel's own.
            let by_kernel = field("code")?.parse::<i32>().ok()? > 0;
            Occurrence::Signal { number: field("sig")?.parse().ok()?, pid, by_kernel }
        }
        _ => return None,
    };
    Some(Event { at_us, actor, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let lines = [
            "#              | |         |   |||||     |         |",
            " wbd-supervisord-8970    [001] ..... 13010.168309: sched_process_exec: filename=/a b/wbd_agent pid=8977 old_pid=8977",
            " wbd-supervisord-8970    [001] ..... 13010.168310: sched_prepare_exec: interp=/a b/wbd_agent filename=/a b/wbd_agent pid=8978 comm=wbd-supervisord",
            " tokio-rt-worker-8971    [001] d..1. 13010.271391: signal_generate: sig=15 errno=0 code=0 comm=wbd_agent pid=8977 grp=1 res=0",
            " wbd-supervisord-8970    [001] d..1. 13010.271392: signal_generate: sig=18 errno=0 code=128 comm=wbd_agent pid=8977 grp=1 res=1",
            "       wbd_agent-8977    [000] ..... 13010.376119: sched_process_exit: comm=wbd_agent pid=8977 prio=120 group_dead=true",
        ];
        let events: Vec<Event> = lines.into_iter().filter_map(parse).collect();
        let event = |at_us, actor: &str, what| Event { at_us, actor: actor.to_owned(), what };
        let wanted = [
            event(
                13_010_168_309,
                "wbd-supervisord",
                Occurrence::Exec { program: "/a b/wbd_agent".to_owned(), pid: 8977 },
            ),
            event(
                13_010_168_310,
                "wbd-supervisord",
                Occurrence::Exec { program: "/a b/wbd_agent".to_owned(), pid: 8978 },
            ),
            event(13_010_271_391, "tokio-rt-worker", Occurrence::Signal { number: 15, pid: 8977, by_kernel: false }),
            event(13_010_271_392, "wbd-supervisord", Occurrence::Signal { number: 18, pid: 8977, by_kernel: true }),
            event(13_010_376_119, "wbd_agent", Occurrence::Exit { pid: 8977 }),
        ];
        assert_eq!(events, wanted);
    }
}
