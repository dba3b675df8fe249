//! The lock that makes the agent one of a kind, and the name of who holds it; it ends nobody.

use crate::clock;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// A process named for good: a pid alone can be another process a moment later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
}

impl Holder {
    /// This process.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        Self { pid, start_ticks: clock::start_ticks(pid).unwrap_or(0) }
    }

    /// The same process still exists.
    pub(crate) fn exists(self) -> bool {
        clock::start_ticks(self.pid) == Some(self.start_ticks)
    }
}

/// The lock as one look found it.
#[derive(Debug)]
pub(crate) enum Lock {
    /// Ours until the file is closed, which the kernel does however we end.
    Ours(File),
    /// Another process has it; `None` while it has not yet written its name.
    Held(Option<Holder>),
}

/// Takes the lock if it is free. The file is never removed: two processes would then hold two locks of one name.
pub(crate) fn take(path: &Path) -> io::Result<Lock> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::Ours(file)),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            (&file).take(64).read_to_string(&mut text)?;
            Ok(Lock::Held(parse(&text).filter(|holder| holder.exists())))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Writes this process's name into the lock it holds.
pub(crate) fn sign(file: &mut File, holder: Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {}", holder.pid, holder.start_ticks)
}

fn parse(text: &str) -> Option<Holder> {
    let (pid, ticks) = text.trim().split_once(' ')?;
    Some(Holder { pid: pid.parse().ok()?, start_ticks: ticks.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_taker_learns_who_holds_it_until_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.lock");
        let pid = std::process::id();
        let me = Holder { pid, start_ticks: clock::start_ticks(pid).unwrap() };
        let Lock::Ours(mut file) = take(&path).unwrap() else { panic!("not free") };
        assert!(matches!(take(&path).unwrap(), Lock::Held(None)));
        sign(&mut file, me).unwrap();
        let Lock::Held(Some(holder)) = take(&path).unwrap() else { panic!("no holder") };
        assert_eq!(holder, me);
        drop(file);
        assert!(matches!(take(&path).unwrap(), Lock::Ours(_)));
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        assert!(!Holder { pid: std::process::id(), start_ticks: 1 }.exists());
    }
}
