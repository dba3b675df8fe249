//! What was seen a moment ago and is dear to see again; who may use it stands at each use. Looks at nothing itself.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::procs::Process;

/// Programs whose word is kept; a profile names two at most.
const MOST_WORDS: usize = 32;

/// Shared by all copies of the same eyes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memo(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    processes: Option<(Instant, PathBuf, Arc<Processes>)>,
    usage: Option<(Instant, Usage)>,
    words: BTreeMap<(PathBuf, Vec<String>), (Instant, Print, String)>,
}

/// Every process there was, and how many could not be looked at.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    pub(crate) all: Vec<Process>,
    pub(crate) unreadable: usize,
}

/// inotify's use by one user's processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The process that it was asked for, and its user.
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    /// Watches of that process as the kernel counts them, and as its health document did.
    pub(crate) own: i64,
    pub(crate) told: i64,
    /// Watches and instances of all that user's processes, and how many of those could not be looked into.
    pub(crate) watches: i64,
    pub(crate) instances: i64,
    pub(crate) unread: i64,
}

/// What tells one state of a file from another: device, inode, size, and when it was written and changed.
pub(crate) type Print = (u64, u64, u64, (i64, i64), (i64, i64));

impl Memo {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes as they were at most so long ago.
    pub(crate) fn processes(&self, proc: &Path, age: Duration) -> Option<Arc<Processes>> {
        let kept = self.kept();
        let (at, of, processes) = kept.processes.as_ref()?;
        (of == proc && at.elapsed() <= age).then(|| Arc::clone(processes))
    }

    /// They were looked at just now.
    pub(crate) fn keep_processes(&self, proc: &Path, processes: Arc<Processes>) {
        self.kept().processes = Some((Instant::now(), proc.to_owned(), processes));
    }

    /// The use of inotify that was counted for this process at most so long ago.
    pub(crate) fn usage(&self, pid: u32, uid: u32, age: Duration) -> Option<Usage> {
        let kept = self.kept();
        let (at, usage) = kept.usage.as_ref()?;
        (usage.pid == pid && usage.uid == uid && at.elapsed() <= age).then(|| usage.clone())
    }

    /// It was counted just now.
    pub(crate) fn keep_usage(&self, usage: Usage) {
        self.kept().usage = Some((Instant::now(), usage));
    }

    /// What this program said while its file was in this state, at most so long ago.
    pub(crate) fn word(&self, program: &Path, args: &[String], print: Print, age: Duration) -> Option<String> {
        let kept = self.kept();
        let (at, then, said) = kept.words.get(&(program.to_owned(), args.to_vec()))?;
        (*then == print && at.elapsed() <= age).then(|| said.clone())
    }

    /// It said so just now.
    pub(crate) fn keep_word(&self, program: &Path, args: &[String], print: Print, said: String) {
        let mut kept = self.kept();
        if kept.words.len() >= MOST_WORDS {
            kept.words.clear();
        }
        kept.words.insert((program.to_owned(), args.to_vec()), (Instant::now(), print, said));
    }
}
