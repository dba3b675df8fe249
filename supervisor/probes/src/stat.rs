//! What the kernel says of one process, and its list of all; the files of /proc and nothing of ours.
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

use crate::under::{self, absent, why};

/// One process as /proc/PID/stat tells it; pid and start time together name it for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) comm: Vec<u8>,
    pub(crate) state: char,
    pub(crate) flags: u64,
    pub(crate) start_ticks: u64,
}

/// All process ids, each with the inode of its folder.
pub(crate) fn entries(proc: &Path) -> Result<Vec<(u32, u64)>, String> {
    visible(proc)?;
    let entries = fs::read_dir(proc).map_err(|error| why("list", proc, &error))?;
    let mut pids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| why("list", proc, &error))?;
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push((pid, entry.ino()));
        }
    }
    Ok(pids)
}

/// The process of this id, or `None` if there is none.
pub(crate) fn read(proc: &Path, pid: u32) -> Result<Option<Process>, String> {
    let path = proc.join(pid.to_string()).join("stat");
    match under::read(&path, under::SMALL) {
        Ok(bytes) => parse(pid, &bytes).map(Some).ok_or_else(|| format!("cannot understand {}", path.display())),
        Err(error) if absent(&error) => {
            visible(proc)?;
            Ok(None)
        }
        Err(error) => Err(why("read", &path, &error)),
    }
}

/// Whether the process that started then still runs under this id.
pub(crate) fn still_runs(proc: &Path, pid: u32, start_ticks: u64) -> Result<bool, String> {
    let process = read(proc, pid)?;
    Ok(process.is_some_and(|it| it.start_ticks == start_ticks && runs(&it)))
}

/// All process ids.
pub(crate) fn list(proc: &Path) -> Result<Vec<u32>, String> {
    Ok(entries(proc)?.into_iter().map(|(pid, _)| pid).collect())
}

/// Seconds since a process started.
pub(crate) fn age_s(proc: &Path, start_ticks: u64) -> Result<i64, String> {
    let path = proc.join("uptime");
    let text = under::text(&path).map_err(|error| why("read", &path, &error))?;
    let uptime: Option<u64> = text.split('.').next().and_then(|word| word.trim().parse().ok());
    let uptime = uptime.ok_or_else(|| format!("cannot understand {}", path.display()))?;
    let ticks = procfs::ticks_per_second().max(1);
    Ok(i64::try_from(uptime.saturating_sub(start_ticks / ticks)).unwrap_or(i64::MAX))
}

/// A process list without process 1 is one that hides others' processes (hidepid), or no list.
fn visible(proc: &Path) -> Result<(), String> {
    let first = proc.join("1");
    fs::metadata(&first).map(|_| ()).map_err(|error| {
        let reason = why("see", &first, &error);
        format!("the process list is not complete: {reason}")
    })
}

/// Whether it has not ended.
pub(crate) fn runs(process: &Process) -> bool {
    !matches!(process.state, 'Z' | 'X' | 'x')
}

fn parse(pid: u32, stat: &[u8]) -> Option<Process> {
    // The name may hold spaces and brackets itself: it ends at the last one.
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let comm = stat.get(open.checked_add(1)?..close)?.to_vec();
    let rest = String::from_utf8_lossy(stat.get(close.checked_add(1)?..)?).into_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Field numbers of proc(5), less the three before the rest.
    let number = |field: usize| fields.get(field - 3).and_then(|word| word.parse().ok());
    Some(Process { pid, comm, state: fields.first()?.chars().next()?, flags: number(9)?, start_ticks: number(22)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn a_name_may_hold_any_bytes() {
        let stat = b"7 (a) b\xff() R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 55 0";
        let process = parse(7, stat).unwrap();
        assert_eq!(process.comm, b"a) b\xff(");
        assert_eq!((process.state, process.start_ticks), ('R', 55));
        for broken in [&b""[..], b"7", b"7 (", b")7(", b"7 (x) R 1"] {
            assert_eq!(parse(7, broken), None);
        }
    }

    #[test]
    fn age_is_uptime_less_start() {
        let host = Host::new();
        let ticks = procfs::ticks_per_second();
        assert_eq!(age_s(host.context().proc(), 400 * ticks).unwrap(), 600);
        host.file("proc/uptime", "x");
        assert!(age_s(host.context().proc(), 1).is_err());
    }
}
