//! Says what keeps a process from running though it is well: a freezer, a quota, pressure. A stopped process is not
//! starved.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use procfs::{CpuPressure, FromRead, IoPressure, MemoryPressure, ProcessCGroup};

use crate::cgroup::{self, count};
use crate::runner::ProbeContext;
use crate::under::{self, text_if_there, why};

/// Two of the quota's usual periods of 100 ms.
const THROTTLE_GAP: Duration = Duration::from_millis(200);
/// Control groups nest far less deeply than this.
const MAX_DEPTH: usize = 32;
/// Threads looked at for one that waits.
const MAX_THREADS: usize = 64;
/// Percent of the last ten seconds in which some task waited for a processor: below it the
/// scheduler still gives everyone a share within the ten seconds after which silence means hung.
const CPU_SOME: f32 = 90.0;
/// Percent in which nobody got on, all waiting for disks.
const IO_FULL: f32 = 60.0;
/// Percent in which nobody got on, all waiting for memory.
const MEMORY_FULL: f32 = 40.0;

/// What starves the process, `None` if nothing does.
///
/// # Errors
/// Why it cannot be told.
pub(crate) fn of(context: &ProbeContext, pid: u32) -> Result<Option<String>, String> {
    let groups = groups(context, pid)?;
    if let Some(frozen) = frozen(&groups)? {
        return Ok(Some(frozen));
    }
    if let Some(throttled) = throttled(context, &groups)? {
        return Ok(Some(throttled));
    }
    // Pressure excuses only a process that waits for what is short: one that sleeps or is stopped
    // would be just as silent on an idle host.
    if waits(context, pid) {
        return Ok(squeezed(&groups).or_else(|| pressure(context.proc())));
    }
    Ok(None)
}

/// The control group folders of a process: of the one tree (v2) and by controller (v1).
#[derive(Debug, Default)]
struct Groups {
    unified: Vec<PathBuf>,
    freezer: Vec<PathBuf>,
    cpu: Vec<PathBuf>,
}

fn groups(context: &ProbeContext, pid: u32) -> Result<Groups, String> {
    let mount = context.runner.sys.join("fs/cgroup");
    let one_tree = mount.join("cgroup.controllers").exists();
    let mut groups = Groups::default();
    for ProcessCGroup { controllers, pathname: group, .. } in cgroup::all(context.proc(), pid)? {
        if group.split('/').any(|part| part == "..") {
            return Err("its control group lies outside this container; look from the host".into());
        }
        if controllers.is_empty() {
            let top = if one_tree { mount.clone() } else { mount.join("unified") };
            groups.unified = upwards(&top, &group);
        }
        for controller in controllers {
            match controller.as_str() {
                "freezer" => groups.freezer = upwards(&mount.join(controller), &group),
                "cpu" => groups.cpu = upwards(&mount.join(controller), &group),
                _ => {}
            }
        }
    }
    Ok(groups)
}

/// The group's folder and those above it, up to the mount.
fn upwards(top: &Path, group: &str) -> Vec<PathBuf> {
    let leaf = under::under(top, Path::new(group));
    leaf.ancestors().take_while(|folder| folder.starts_with(top)).take(MAX_DEPTH).map(Path::to_path_buf).collect()
}

fn frozen(groups: &Groups) -> Result<Option<String>, String> {
    if let Some(leaf) = groups.unified.first() {
        // Tells of a group above being frozen, too.
        let events = text_if_there(&leaf.join("cgroup.events"))?.unwrap_or_default();
        if count(&events, "frozen") == Some(1) {
            return Ok(Some(format!("its control group is frozen ({})", leaf.display())));
        }
    }
    if let Some(leaf) = groups.freezer.first() {
        let state = text_if_there(&leaf.join("freezer.state"))?.unwrap_or_default();
        if matches!(state.trim(), "FROZEN" | "FREEZING") {
            return Ok(Some(format!("its control group is frozen ({})", leaf.display())));
        }
    }
    Ok(None)
}

fn throttled(context: &ProbeContext, groups: &Groups) -> Result<Option<String>, String> {
    let mut limited = Vec::new();
    for folder in &groups.unified {
        let quota = text_if_there(&folder.join("cpu.max"))?.unwrap_or_default();
        if quota.split_whitespace().next().is_some_and(|word| word != "max") {
            limited.push(folder);
        }
    }
    for folder in &groups.cpu {
        let quota = text_if_there(&folder.join("cpu.cfs_quota_us"))?.unwrap_or_default();
        if quota.trim().parse::<i64>().is_ok_and(|quota| quota > 0) {
            limited.push(folder);
        }
    }
    if limited.is_empty() {
        return Ok(None);
    }
    let before = periods(&limited)?;
    thread::sleep(context.left(THROTTLE_GAP));
    let after = periods(&limited)?;
    for (folder, (periods, held)) in &after {
        let (periods_before, held_before) = before.get(folder).copied().unwrap_or_default();
        let passed = periods.saturating_sub(periods_before);
        let held = held.saturating_sub(held_before);
        // In one period of two it still runs half of the time.
        if held > 0 && held * 2 > passed {
            let place = folder.display();
            return Ok(Some(format!(
                "its processor quota is used up: held back in {held} of {passed} periods ({place})"
            )));
        }
    }
    Ok(None)
}

/// Periods passed and periods held back, by folder.
fn periods<'a>(folders: &[&'a PathBuf]) -> Result<BTreeMap<&'a Path, (u64, u64)>, String> {
    let mut read = BTreeMap::new();
    for folder in folders {
        let path = folder.join("cpu.stat");
        let text = under::text(&path).map_err(|error| why("read", &path, &error))?;
        let of = |key| count(&text, key).unwrap_or(0);
        read.insert(folder.as_path(), (of("nr_periods"), of("nr_throttled")));
    }
    Ok(read)
}

/// One of its threads is ready to run or waits for a disk.
fn waits(context: &ProbeContext, pid: u32) -> bool {
    let folder = context.proc().join(pid.to_string()).join("task");
    let Ok(threads) = std::fs::read_dir(folder) else {
        return false;
    };
    threads.flatten().take(MAX_THREADS).any(|thread| {
        let stat = under::text(&thread.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        matches!(after_name.split_whitespace().next(), Some("R" | "D"))
    })
}

/// At its own memory limit a process can spend all its time fetching back what was just taken from it, on a host
/// that is short of nothing.
fn squeezed(groups: &Groups) -> Option<String> {
    let leaf = groups.unified.first()?;
    let percent = MemoryPressure::from_file(leaf.join("memory.pressure")).ok()?.full.avg10;
    (percent >= MEMORY_FULL).then(|| {
        let place = leaf.display();
        format!(
            "its control group is short of memory: its tasks waited {percent:.0} % of the last 10 s (limit {MEMORY_FULL:.0} %; {place})"
        )
    })
}

/// A kernel without pressure figures says nothing, which is no reason to call anything unknown.
fn pressure(proc: &Path) -> Option<String> {
    let folder = proc.join("pressure");
    let cpu = CpuPressure::from_file(folder.join("cpu")).ok().map(|it| it.some.avg10);
    let io = IoPressure::from_file(folder.join("io")).ok().map(|it| it.full.avg10);
    let memory = MemoryPressure::from_file(folder.join("memory")).ok().map(|it| it.full.avg10);
    [(cpu, CPU_SOME, "processors"), (io, IO_FULL, "disks"), (memory, MEMORY_FULL, "memory")].into_iter().find_map(
        |(percent, limit, what)| {
            let percent = percent.filter(|percent| *percent >= limit)?;
            Some(format!(
                "the host is short of {what}: tasks waited {percent:.0} % of the last 10 s (limit {limit:.0} %)"
            ))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use std::time::Instant;

    fn host(cgroup: &str) -> Host {
        let host = Host::new();
        host.file("proc/5/cgroup", cgroup);
        host
    }

    #[test]
    fn frozen_in_either_tree_is_starved() {
        let v2 = host("0::/wbd.slice/a.service\n");
        v2.file("sys/fs/cgroup/cgroup.controllers", "cpu");
        v2.file("sys/fs/cgroup/wbd.slice/a.service/cgroup.events", "populated 1\nfrozen 1\n");
        assert!(of(&v2.context(), 5).unwrap().unwrap().contains("frozen"));
        v2.file("sys/fs/cgroup/wbd.slice/a.service/cgroup.events", "populated 1\nfrozen 0\n");
        assert_eq!(of(&v2.context(), 5).unwrap(), None);
        let v1 = host("4:freezer:/x\n0::/\n");
        v1.file("sys/fs/cgroup/freezer/x/freezer.state", "FROZEN\n");
        assert!(of(&v1.context(), 5).unwrap().unwrap().contains("frozen"));
        v1.file("sys/fs/cgroup/freezer/x/freezer.state", "THAWED\n");
        assert_eq!(of(&v1.context(), 5).unwrap(), None);
    }

    #[test]
    fn a_quota_counts_only_while_it_holds_back() {
        let host = host("0::/a/b\n");
        host.file("sys/fs/cgroup/cgroup.controllers", "cpu");
        host.file("sys/fs/cgroup/a/cpu.max", "10000 100000\n");
        let stat = |held: u32| {
            host.file(
                "sys/fs/cgroup/a/cpu.stat",
                &format!("usage_usec 1\nnr_periods {}\nnr_throttled {held}\n", held + 7),
            )
        };
        stat(3);
        assert_eq!(of(&host.context(), 5).unwrap(), None);
        let context = &host.context();
        let seen = thread::scope(|scope| {
            // On a busy machine a look may fall between two of the changes.
            let until = Instant::now() + Duration::from_secs(20);
            let seen = scope.spawn(move || {
                loop {
                    let seen = of(context, 5);
                    if seen != Ok(None) || Instant::now() > until {
                        return seen;
                    }
                }
            });
            let mut held = 4;
            while !seen.is_finished() {
                // Written beside and renamed, as the kernel never shows half a file.
                let new = host.file("stat.new", &format!("nr_periods {held}\nnr_throttled {held}\n"));
                std::fs::rename(new, host.root().join("sys/fs/cgroup/a/cpu.stat")).unwrap();
                held += 1;
                thread::sleep(Duration::from_millis(2));
            }
            seen.join().unwrap()
        });
        assert!(seen.unwrap().unwrap().contains("quota"));
    }

    #[test]
    fn pressure_excuses_only_a_process_that_waits() {
        let host = host("0::/\n");
        let line = |avg10| format!("avg10={avg10} avg60=0.00 avg300=0.00 total=0");
        host.file("proc/pressure/cpu", &format!("some {}\nfull {}\n", line("97.00"), line("0.00")));
        host.file("proc/5/task/5/stat", "5 (x) S 1");
        assert_eq!(of(&host.context(), 5).unwrap(), None);
        host.file("proc/5/task/6/stat", "6 (x) R 1");
        assert!(of(&host.context(), 5).unwrap().unwrap().contains("processors: tasks waited 97 %"));
        host.file("proc/pressure/cpu", &format!("some {}\nfull {}\n", line("50.00"), line("0.00")));
        assert_eq!(of(&host.context(), 5).unwrap(), None);
    }

    #[test]
    fn a_group_at_its_memory_limit_starves_on_a_host_that_has_plenty() {
        let host = host("0::/a/b.service\n");
        host.file("sys/fs/cgroup/cgroup.controllers", "memory");
        let group = |avg10| {
            let text = format!(
                "some avg10=99.00 avg60=0.00 avg300=0.00 total=0\nfull avg10={avg10} avg60=0.00 avg300=0.00 total=0\n"
            );
            host.file("sys/fs/cgroup/a/b.service/memory.pressure", &text);
        };
        group("80.00");
        host.file("proc/5/task/5/stat", "5 (x) S 1");
        assert_eq!(of(&host.context(), 5).unwrap(), None, "a sleeping process is silent for another reason");
        host.file("proc/5/task/5/stat", "5 (x) D 1");
        assert!(of(&host.context(), 5).unwrap().unwrap().contains("short of memory: its tasks waited 80 %"));
        group("10.00");
        assert_eq!(of(&host.context(), 5).unwrap(), None);
    }

    #[test]
    fn a_group_that_cannot_be_seen_is_unknown() {
        assert!(of(&host("0::/../x\n").context(), 5).unwrap_err().contains("outside"));
        assert!(of(&host("nonsense\n").context(), 5).unwrap_err().contains("cannot understand"));
        let unreadable = host("0::/a\n");
        unreadable.file("sys/fs/cgroup/cgroup.controllers", "");
        std::fs::create_dir_all(unreadable.root().join("sys/fs/cgroup/a/cgroup.events")).unwrap();
        assert!(of(&unreadable.context(), 5).unwrap_err().contains("cannot read"));
    }
}
