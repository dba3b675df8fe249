//! What one process holds of inotify, as its files in /proc show it. It adds nothing up over processes.
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use crate::under::{self, absent, why};

/// A million watches make 100 MB of text; more than the kernel's own ceiling is not read.
const MAX_FDINFO: u64 = 256 * 1024 * 1024;

/// Watches and instances of one process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) watches: i64,
    pub(crate) instances: i64,
}

/// Both; `told`: its watches, where they are known already.
pub(crate) fn held(proc: &Path, pid: u32, told: Option<i64>) -> Result<Held, String> {
    let all = instances(proc, pid)?;
    match told {
        Some(watches) => Ok(Held { watches, instances: count_of(&all) }),
        None => held_by(proc, pid, &all),
    }
}

/// The descriptors that are inotify's. A process that ends meanwhile holds nothing any more.
pub(crate) fn instances(proc: &Path, pid: u32) -> Result<Vec<String>, String> {
    let fds = proc.join(pid.to_string()).join("fd");
    let mut found = Vec::new();
    // By the folder's own descriptor: a host has many times more descriptors than processes.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut folder = match Dir::open(&fds, flags, Mode::empty()).map_err(io::Error::from) {
        Ok(folder) => folder,
        Err(error) if absent(&error) => return Ok(found),
        Err(error) => return Err(why("list", &fds, &error)),
    };
    let mut names = Vec::new();
    for entry in folder.iter() {
        match entry.map_err(io::Error::from) {
            Ok(entry) => names.push(entry.file_name().to_owned()),
            Err(error) if absent(&error) => break,
            Err(error) => return Err(why("list", &fds, &error)),
        }
    }
    for name in names {
        let Some(number) = name.to_str().ok().filter(|name| name.parse::<u32>().is_ok()) else { continue };
        match readlinkat(folder.as_fd(), name.as_c_str()).map_err(io::Error::from) {
            Ok(link) if link.as_os_str() == "anon_inode:inotify" => found.push(number.to_owned()),
            Ok(_) => {}
            Err(error) if absent(&error) => {}
            Err(error) => return Err(why("read", &fds.join(OsStr::from_bytes(name.to_bytes())), &error)),
        }
    }
    Ok(found)
}

/// What they watch: a long text behind each, for which the kernel walks all watches.
pub(crate) fn held_by(proc: &Path, pid: u32, instances: &[String]) -> Result<Held, String> {
    let mut held = Held { watches: 0, instances: count_of(instances) };
    for instance in instances {
        let info = proc.join(pid.to_string()).join("fdinfo").join(instance);
        match under::read(&info, MAX_FDINFO) {
            Ok(bytes) => held.watches += watches(&bytes),
            Err(error) if absent(&error) => {}
            Err(error) => return Err(why("read", &info, &error)),
        }
    }
    Ok(held)
}

/// `None` where the process is gone.
pub(crate) fn real_uid(proc: &Path, pid: u32) -> Result<Option<u32>, String> {
    let path = proc.join(pid.to_string()).join("status");
    let Some(text) = under::text_if_there(&path)? else {
        return Ok(None);
    };
    let line = text.lines().find_map(|line| line.strip_prefix("Uid:"));
    let real = line.and_then(|ids| ids.split_whitespace().next()?.parse().ok());
    real.map(Some).ok_or_else(|| format!("{} names no user", path.display()))
}

fn count_of(instances: &[String]) -> i64 {
    i64::try_from(instances.len()).unwrap_or(i64::MAX)
}

fn watches(fdinfo: &[u8]) -> i64 {
    let lines = fdinfo.split(|byte| *byte == b'\n');
    let count = lines.filter(|line| line.starts_with(b"inotify wd:")).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

    #[test]
    fn the_real_kernel_shows_our_own_watches() {
        let (dir, inotify) = (tempfile::tempdir().unwrap(), Inotify::init(InitFlags::IN_CLOEXEC).unwrap());
        let own = || held(Path::new("/proc"), std::process::id(), None).unwrap();
        let before = own();
        for name in ["a", "b"] {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            inotify.add_watch(&path, AddWatchFlags::IN_CREATE).unwrap();
        }
        let after = own();
        assert_eq!(after.watches - before.watches, 2);
        assert!(after.instances >= 1);
    }
}
