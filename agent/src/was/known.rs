//! What is known of the host's processes from look to look, so that a look reads the servers and who is new. Says nothing of what a server is.

use super::process::{Process, has_ended, read_process};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// While the right number of servers runs, others beside them are looked for this often: a list of 5,000 processes takes 5 ms.
const LISTED_AGAIN: Duration = Duration::from_secs(10);
/// A new process becomes another program soon or never: until it was read at this age it is read with each list.
const YOUNG: Duration = Duration::from_secs(10);
/// One that becomes a server later (a shell that ends with `exec`) is found within this time. Reading 5,000 processes takes 150 ms.
const READ_AGAIN: Duration = Duration::from_secs(300);

/// The processes of the last list.
#[derive(Debug, Default)]
pub(crate) struct Known {
    listed: Option<Instant>,
    whole: Option<Instant>,
    by_pid: BTreeMap<u32, Entry>,
    unreadable: u64,
    /// So much later it is for tests; nothing elsewhere.
    ahead: Duration,
}

#[derive(Debug)]
struct Entry {
    /// Of its folder in `/proc`: an id that was given out again has another one.
    inode: u64,
    first: Instant,
    settled: bool,
    /// Those that are looked at each time.
    server: Option<Process>,
}

impl Known {
    /// Reads the servers again that are known; one that ended is unknown from then on.
    pub(crate) fn read_servers(&mut self, proc_root: &Path, is_server: impl Fn(&Process) -> bool) {
        self.by_pid.retain(|pid, entry| {
            if entry.server.is_none() {
                return true;
            }
            match read_process(&proc_root.join(pid.to_string()), *pid) {
                Ok(Some(process)) => {
                    entry.server = Some(process).filter(&is_server);
                    true
                }
                // The next list reads it as a new one, or counts it as unreadable.
                Ok(None) | Err(_) => false,
            }
        });
    }

    /// Whether others are looked for even where nothing is missing.
    pub(crate) fn is_list_due(&self) -> bool {
        let now = Instant::now() + self.ahead;
        self.listed.is_none_or(|listed| now.duration_since(listed) >= LISTED_AGAIN)
    }

    /// Lists all processes, and reads those that are new. Those that end meanwhile are no news; those that refuse are counted.
    pub(crate) fn list(&mut self, proc_root: &Path, is_server: impl Fn(&Process) -> bool) {
        let now = Instant::now() + self.ahead;
        let whole = self.whole.is_none_or(|whole| now.duration_since(whole) >= READ_AGAIN);
        let mut old = std::mem::take(&mut self.by_pid);
        self.listed = Some(now);
        self.unreadable = 0;
        let Ok(entries) = fs::read_dir(proc_root) else {
            *self = Self { listed: self.listed, unreadable: 1, ahead: self.ahead, ..Self::default() };
            return;
        };
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let known = old.remove(&pid).filter(|known| known.inode == entry.ino());
            match known {
                Some(known) if known.settled && !whole => {
                    self.by_pid.insert(pid, known);
                }
                known => {
                    let first = known.map_or(now, |known| known.first);
                    let settled = now.duration_since(first) >= YOUNG;
                    match read_process(&entry.path(), pid) {
                        Ok(process) => {
                            let server = process.filter(&is_server);
                            self.by_pid.insert(pid, Entry { inode: entry.ino(), first, settled, server });
                        }
                        Err(error) if has_ended(&error) => {}
                        Err(_) => self.unreadable += 1,
                    }
                }
            }
        }
        if whole {
            self.whole = Some(now);
        }
    }

    /// The servers.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Process> {
        self.by_pid.values().filter_map(|entry| entry.server.as_ref())
    }

    /// How many processes of the last list could not be looked at.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

#[cfg(test)]
impl Known {
    /// So much time goes by.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.ahead += time;
    }
}
