//! Follows the links below the targets, in a thread of its own: what one leads to may lie on a file system that does not
//! answer, and the watcher must go on. It watches nothing and decides nothing.

use super::locked::locked;
use super::tree::FolderId;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often all links are followed again: what they lead to comes and goes, and nobody tells.
const AGAIN_EVERY: Duration = Duration::from_secs(5);
/// A link that is followed for longer leads to something that does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leads {
    /// A folder, by its real path.
    Folder(PathBuf, FolderId),
    /// A file, or nothing.
    Elsewhere,
}

/// A link to a folder that no target covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uncovered {
    pub(crate) link: PathBuf,
    /// The folder; `None`: it does not answer.
    pub(crate) leads_to: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    wanted: Vec<PathBuf>,
    led: BTreeMap<PathBuf, Leads>,
    /// What is being followed, and since when.
    follows: Option<(PathBuf, Instant)>,
    /// Counts up with what was found.
    found: u64,
    stop: bool,
}

/// The hold on the thread; it ends with it, as soon as the file system lets it.
#[derive(Debug, Default)]
pub(crate) struct Links {
    shared: Option<Arc<(Mutex<State>, Condvar)>>,
}

impl Links {
    /// Follows these links from now on, and no others.
    pub(crate) fn follow(&mut self, wanted: Vec<PathBuf>) {
        if wanted.is_empty() && self.shared.is_none() {
            return;
        }
        if self.shared.is_none() {
            let shared = Arc::<(Mutex<State>, Condvar)>::default();
            let theirs = Arc::clone(&shared);
            let started = std::thread::Builder::new().name("links".into()).spawn(move || run(&theirs));
            if let Err(error) = started {
                tracing::warn!("links below the targets cannot be followed: {error}; the agent tries again");
                return;
            }
            self.shared = Some(shared);
        }
        let Some(shared) = &self.shared else { return };
        let mut state = locked(&shared.0);
        if state.wanted != wanted {
            state.led.retain(|link, _| wanted.contains(link));
            state.wanted = wanted;
            shared.1.notify_one();
        }
    }

    /// Counts up with what was found, and while one does not answer.
    pub(crate) fn found(&self) -> u64 {
        let Some(shared) = &self.shared else { return 0 };
        let state = locked(&shared.0);
        state.found + u64::from(state.is_stuck())
    }

    /// The links to folders that are not covered: those that do not answer among them, and all that wait behind them.
    pub(crate) fn uncovered(&self, covered: impl Fn(FolderId) -> bool) -> Vec<Uncovered> {
        let Some(shared) = &self.shared else { return Vec::new() };
        let state = locked(&shared.0);
        let is_stuck = state.is_stuck();
        let one = |link: &PathBuf| {
            let leads_to = match state.led.get(link) {
                Some(Leads::Folder(_, id)) if covered(*id) => return None,
                Some(Leads::Folder(real, _)) => Some(real.clone()),
                Some(Leads::Elsewhere) => return None,
                None if is_stuck => None,
                // It is about to be followed.
                None => return None,
            };
            Some(Uncovered { link: link.clone(), leads_to })
        };
        state.wanted.iter().filter_map(one).collect()
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            locked(&shared.0).stop = true;
            shared.1.notify_one();
        }
    }
}

impl State {
    fn is_stuck(&self) -> bool {
        self.follows.as_ref().is_some_and(|(_, since)| since.elapsed() > ANSWERS_WITHIN)
    }
}

fn run(shared: &(Mutex<State>, Condvar)) {
    let mut state = locked(&shared.0);
    while !state.stop {
        let wanted = state.wanted.clone();
        for link in &wanted {
            if state.stop || state.wanted != wanted {
                break;
            }
            state.follows = Some((link.clone(), Instant::now()));
            drop(state);
            let leads = follow(link);
            state = locked(&shared.0);
            state.follows = None;
            if state.wanted.contains(link) && state.led.get(link) != Some(&leads) {
                state.led.insert(link.clone(), leads);
                state.found += 1;
            }
        }
        if !state.stop && state.wanted == wanted {
            let waited = shared.1.wait_timeout(state, AGAIN_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// May hang.
fn follow(link: &Path) -> Leads {
    let found = fs::metadata(link).ok().filter(fs::Metadata::is_dir);
    let real = found.and_then(|found| Some((fs::canonicalize(link).ok()?, found)));
    match real {
        Some((real, found)) => Leads::Folder(real, FolderId { device: found.dev(), inode: found.ino() }),
        None => Leads::Elsewhere,
    }
}
