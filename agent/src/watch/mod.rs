//! The watcher: a thread of its own that keeps every folder below the targets watched; what its report means is not decided here.
//!
//! A thread, since listing a large folder or one on a dead network file system holds it up, and the agent's heartbeat
//! must go on.

mod events;
mod links;
mod locked;
mod report;
mod tree;
mod walker;

pub(crate) use report::{Share, Snapshot};

use links::Links;
use locked::locked;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use report::{Circumstances, snapshot};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use walker::{Asks, Walker};
use wbd_agent_api::{BytesPath, MAX_UNCOVERED, Target, TargetId};

/// How often refused folders and changed roots are looked at again.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// How often all is walked anew while folders are uncovered, since nobody tells of new folders in those.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// Dropped events are told of for so long, so that a supervisor sees them and not only their echo.
const OVERFLOW_SHOWN: Duration = Duration::from_secs(60);
/// A walk goes on for so long before events and wishes get their turn.
const SLICE: Duration = Duration::from_millis(20);
/// A folder that has not answered for so long is told of.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// While walking, the report is renewed so often.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// What the agent wants watched.
#[derive(Debug, Default)]
struct Wish {
    targets: Vec<Target>,
    /// Counts up with each wish for a walk from the start.
    walk: u64,
    stop: bool,
}

#[derive(Debug, Default)]
struct Shared {
    wish: Mutex<Wish>,
    snapshot: Mutex<Snapshot>,
    /// What the thread asks of the file system now.
    asks: Asks,
}

/// The agent's hold on the watcher's thread.
#[derive(Debug)]
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    wake: UnixStream,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Starts watching the targets' folders, but for those that `root` puts off limits. `changed` is told of every new report.
    pub(crate) fn start(root: PathBuf, targets: Vec<Target>, changed: Arc<Notify>) -> io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Arc::new(Shared { wish: Mutex::new(Wish { targets, walk: 1, stop: false }), ..Shared::default() });
        locked(&shared.snapshot).report.scanning = true;
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("watcher".into()).spawn(move || run(root, &theirs, &woken, &changed))?;
        Ok(Self { shared, wake, thread })
    }

    /// Watches other targets from now on, and looks at everything again.
    pub(crate) fn walk(&self, targets: Vec<Target>) {
        let mut wish = locked(&self.shared.wish);
        wish.targets = targets;
        wish.walk += 1;
        drop(wish);
        self.wake();
    }

    /// The last report. A thread that waits for a folder cannot say so itself.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = locked(&self.shared.snapshot).clone();
        let asks = locked(&self.shared.asks);
        let silent = asks.as_ref().filter(|(_, since)| since.elapsed() > ANSWERS_WITHIN);
        if let Some((folder, _)) = silent {
            let folder = BytesPath::from(folder.as_path());
            snapshot.report.uncovered.truncate(MAX_UNCOVERED - 1);
            snapshot.report.uncovered.insert(0, folder.clone());
            snapshot.report.unanswered = Some(folder);
        }
        snapshot
    }

    /// The thread ended, which it does only by a bug.
    pub(crate) fn is_dead(&self) -> bool {
        self.thread.is_finished()
    }

    fn wake(&self) {
        // A full pipe wakes as well as one more byte.
        let _ = (&self.wake).write(&[1]);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Nobody waits for the thread: it may be held up by a file system that does not answer.
        locked(&self.shared.wish).stop = true;
        self.wake();
    }
}

/// Every folder that is a root of some target, once, and which of them each target has.
fn roots_of(targets: &[Target]) -> (Vec<PathBuf>, Vec<(TargetId, Vec<usize>)>) {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut shares = Vec::new();
    for target in targets {
        let mut own = Vec::new();
        for path in std::iter::once(&target.web_root).chain(&target.upload_path) {
            let known = paths.iter().position(|known| known == path.as_path());
            own.push(known.unwrap_or_else(|| {
                paths.push(path.as_path().to_path_buf());
                paths.len() - 1
            }));
        }
        shares.push((target.id.clone(), own));
    }
    (paths, shares)
}

/// The thread's own state.
struct Round {
    walker: Walker,
    paths: Vec<PathBuf>,
    shares: Vec<(TargetId, Vec<usize>)>,
    walked: u64,
    walk_again: bool,
    last_walk: Instant,
    last_retry: Instant,
    last_report: Instant,
    overflowed: Option<Instant>,
    links: Links,
    /// How much the links had told when they were last told of.
    links_found: u64,
    dirty: bool,
}

fn run(root: PathBuf, shared: &Shared, woken: &UnixStream, changed: &Notify) {
    let now = Instant::now();
    let mut round = Round {
        walker: Walker::new(root, Arc::clone(&shared.asks)),
        paths: Vec::new(),
        shares: Vec::new(),
        walked: 0,
        walk_again: false,
        last_walk: now,
        last_retry: now,
        last_report: now,
        overflowed: None,
        links: Links::default(),
        links_found: 0,
        dirty: true,
    };
    while round.take_wish(shared) {
        round.take_events();
        round.look_again();
        round.walk_a_slice();
        round.look_at_links();
        round.publish(shared, changed);
        round.wait(woken);
    }
}

impl Round {
    /// Takes over what is wanted now; false to end.
    fn take_wish(&mut self, shared: &Shared) -> bool {
        let wish = locked(&shared.wish);
        if wish.stop {
            return false;
        }
        if wish.walk != self.walked {
            self.walked = wish.walk;
            (self.paths, self.shares) = roots_of(&wish.targets);
            drop(wish);
            // Whoever asks to look again also asks to forget what was dropped before.
            self.overflowed = None;
            self.restart();
        }
        true
    }

    fn restart(&mut self) {
        self.walker.restart(&self.paths);
        self.last_walk = Instant::now();
        self.walk_again = false;
        self.dirty = true;
    }

    fn take_events(&mut self) {
        let noticed = self.walker.take_events();
        self.dirty |= noticed.changed;
        self.walk_again |= noticed.overflow || noticed.uprooted;
        if noticed.overflow {
            self.overflowed = Some(Instant::now());
            self.dirty = true;
        }
    }

    /// What cannot be told by an event: raised limits, granted rights, replaced roots.
    fn look_again(&mut self) {
        if self.walker.is_walking() {
            return;
        }
        // At once, but at most every RETRY_EVERY, whatever the kernel drops.
        if self.walk_again && self.last_walk.elapsed() >= RETRY_EVERY {
            self.restart();
            return;
        }
        if self.last_retry.elapsed() < RETRY_EVERY {
            return;
        }
        self.last_retry = Instant::now();
        if self.overflowed.is_some_and(|at| at.elapsed() >= OVERFLOW_SHOWN) {
            self.overflowed = None;
            self.dirty = true;
        }
        let no_instance = self.walker.instance_refused().is_some();
        let uncovered = no_instance || self.walker.left_out > 0 || self.walker.tree.refused().next().is_some();
        let stale = uncovered && self.last_walk.elapsed() >= RENEW_EVERY;
        if no_instance || stale || self.walker.roots_moved() {
            self.restart();
            return;
        }
        let more = self.walker.retry_refused();
        self.dirty |= self.walker.retry_unreadable() || more;
    }

    fn walk_a_slice(&mut self) {
        let started = Instant::now();
        while self.walker.is_walking() && started.elapsed() < SLICE {
            self.walker.step();
            self.dirty = true;
        }
    }

    /// Whatever changed may have brought links or taken some away.
    fn look_at_links(&mut self) {
        if self.walker.is_walking() {
            return;
        }
        if self.dirty {
            self.links.follow(self.walker.tree.links());
        }
        let found = self.links.found();
        self.dirty |= found != self.links_found;
        self.links_found = found;
    }

    fn publish(&mut self, shared: &Shared, changed: &Notify) {
        let scanning = self.walker.is_walking();
        if !self.dirty || (scanning && self.last_report.elapsed() < REPORT_EVERY) {
            return;
        }
        self.dirty = false;
        self.last_report = Instant::now();
        let overflowed = self.overflowed.is_some();
        let linked = self.links.uncovered(|id| self.walker.is_watched(id));
        let report = snapshot(&self.walker, &self.shares, Circumstances { overflowed, scanning, linked: &linked });
        *locked(&shared.snapshot) = report;
        changed.notify_one();
    }

    /// Waits for events, for a wish, or until it is time to look again; not at all while walking.
    fn wait(&self, mut woken: &UnixStream) {
        let left = RETRY_EVERY.saturating_sub(self.last_retry.elapsed()).max(Duration::from_millis(1));
        let timeout = if self.walker.is_walking() { Duration::ZERO } else { left };
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::ZERO);
        let mut fds = vec![PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
        if let Some(events) = self.walker.events_fd() {
            fds.push(PollFd::new(events.as_fd(), PollFlags::POLLIN));
        }
        // An interrupted wait only comes round again.
        let _ = poll(&mut fds, timeout);
        let _ = woken.read(&mut [0; 64]);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
