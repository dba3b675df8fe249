//! The host's process list, shared by all looks: who is new is read once, who was read before only now and then. It
//! chooses nobody.
//!
//! A list of 5,000 processes takes 5 ms and their names ten times as long. So a list is taken when a look needs one,
//! and of those on it only the new ones are read. A process keeps its inode in /proc for as long as it lives, so an id
//! that was given out again is a new one. What a list cannot show is a program that becomes another one (exec).
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use wbd_model::profile::ProcessSelector;

use crate::stat::{self, Process, entries};

/// A new process becomes another program soon or never: until it was read at this age it is read with each list.
const YOUNG: Duration = Duration::from_secs(10);
/// One that becomes another program later (a shell that ends with `exec`) is found within this time; the last look
/// before an action does not wait for it. Reading 5,000 processes takes 60 ms, so this is 0.02 % of a core.
const READ_AGAIN: Duration = Duration::from_secs(300);
/// Selectors that are remembered; a host has a dozen.
const MOST_SELECTORS: usize = 64;
/// Between two looks whether another one's list is done.
const PAUSE: Duration = Duration::from_millis(2);

/// Shared by all copies of the same runner.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scan(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    proc: PathBuf,
    /// Lists so far.
    lists: u64,
    /// When the last one began, and the last one of which everybody was read.
    began: Option<Instant>,
    whole: Option<Instant>,
    known: BTreeMap<u32, Known>,
    unreadable: Vec<u32>,
    judged: BTreeMap<ProcessSelector, Judged>,
    /// So much later it is for tests; nothing elsewhere.
    ahead: Duration,
}

/// One process of the last list.
#[derive(Debug)]
struct Known {
    inode: u64,
    first: Instant,
    settled: bool,
    /// With which list it was read last.
    read: u64,
    process: Process,
}

/// Which processes a selector was held against.
#[derive(Debug, Default)]
struct Judged {
    /// All that were read up to this list.
    lists: u64,
    /// Of these, the ones to look at again each time.
    found: Vec<u32>,
}

/// Processes that a selector was not held against yet.
#[derive(Debug)]
pub(crate) struct News {
    lists: u64,
    pub(crate) processes: Vec<Process>,
    /// Those on the list that could not be read.
    pub(crate) unreadable: Vec<u32>,
}

/// How old the list may be that a look makes do with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    /// It began then, or later.
    pub(crate) list: Instant,
    /// The same for a list of which everybody was read.
    pub(crate) whole: Option<Instant>,
}

impl Scan {
    /// Those found for this selector the last time.
    pub(crate) fn found(&self, proc: &Path, until: Instant, selector: &ProcessSelector) -> Result<Vec<u32>, String> {
        let table = self.table(until)?;
        Ok(table.judged.get(selector).filter(|_| table.proc == proc).map_or_else(Vec::new, |it| it.found.clone()))
    }

    /// Who came since this selector was asked for last, by a list no older than `since`.
    pub(crate) fn news(
        &self,
        proc: &Path,
        until: Instant,
        selector: &ProcessSelector,
        since: Since,
    ) -> Result<News, String> {
        let mut table = self.table(until)?;
        table.be_of(proc);
        let ahead = table.ahead;
        let older = |began: Option<Instant>, since: Instant| began.is_none_or(|began| began < since + ahead);
        let whole = since.whole.is_some_and(|since| older(table.whole, since));
        if whole || older(table.began, since.list) {
            table.list(whole)?;
        }
        let before = table.judged.get(selector).map_or(0, |judged| judged.lists);
        let new = table.known.values().filter(|known| known.read > before);
        let processes = new.map(|known| known.process.clone()).collect();
        Ok(News { lists: table.lists, processes, unreadable: table.unreadable.clone() })
    }

    /// The selector was held against them; these are to be looked at again the next time.
    pub(crate) fn judged(
        &self,
        proc: &Path,
        until: Instant,
        selector: &ProcessSelector,
        news: &News,
        found: Vec<u32>,
    ) -> Result<(), String> {
        let mut table = self.table(until)?;
        table.be_of(proc);
        if table.judged.len() >= MOST_SELECTORS && !table.judged.contains_key(selector) {
            table.judged.clear();
        }
        table.judged.insert(selector.clone(), Judged { lists: news.lists, found });
        Ok(())
    }

    /// Waits while another look takes a list, for as long as there is time.
    fn table(&self, until: Instant) -> Result<MutexGuard<'_, Table>, String> {
        loop {
            match self.0.try_lock() {
                Ok(table) => return Ok(table),
                // Every list begins with what is there, so half of one does no harm.
                Err(TryLockError::Poisoned(table)) => return Ok(PoisonError::into_inner(table)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err("another reading of the process list does not end; the host is overloaded".to_owned());
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            }
        }
    }
}

impl Table {
    fn be_of(&mut self, proc: &Path) {
        if self.proc != proc {
            *self = Self { proc: proc.to_owned(), ahead: self.ahead, ..Self::default() };
        }
    }

    fn list(&mut self, whole: bool) -> Result<(), String> {
        let now = Instant::now() + self.ahead;
        let whole = whole || self.whole.is_none_or(|whole| now.duration_since(whole) >= READ_AGAIN);
        let entries = entries(&self.proc)?;
        let lists = self.lists + 1;
        let mut old = std::mem::take(&mut self.known);
        // Whatever breaks off below, the next list reads everybody again.
        self.whole = self.whole.take().filter(|_| !whole);
        self.unreadable.clear();
        for (pid, inode) in entries {
            let known = old.remove(&pid).filter(|known| known.inode == inode);
            match known {
                Some(known) if known.settled && !whole => {
                    self.known.insert(pid, known);
                }
                known => {
                    let first = known.map_or(now, |known| known.first);
                    match stat::read(&self.proc, pid) {
                        Ok(Some(process)) => {
                            let settled = now.duration_since(first) >= YOUNG;
                            self.known.insert(pid, Known { inode, first, settled, read: lists, process });
                        }
                        Ok(None) => {}
                        Err(_) => self.unreadable.push(pid),
                    }
                }
            }
        }
        self.lists = lists;
        self.began = Some(now);
        if whole {
            self.whole = Some(now);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
