//! Walks the folders below the roots and keeps a watch on each; it does not decide when, and it does not read files.
//!
//! No folder is missed: the watch is set first and the folder is listed then, so a new folder is either in the
//! list or in an event. A walk from the start forgets the tree but keeps the kernel's watches (the same folder
//! gets the same watch again), so nothing goes unwatched meanwhile.

use super::locked::locked;
use super::tree::{Cover, FolderId, Node, Tree};
use crate::off_limits;
use inotify::{Inotify, WatchDescriptor, WatchMask};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Folders deeper below a root than this are not entered; a path that long cannot be named to the kernel anyway.
const MAX_DEPTH: u16 = 1024;
/// More folders than this are not remembered, so that a runaway tree cannot eat the host's memory.
const MAX_FOLDERS: usize = 1_000_000;
/// More links than this are not remembered; they are counted.
const MAX_LINKS: usize = 1_000;

const ENOSPC: i32 = 28;
const ENAMETOOLONG: i32 = 36;
const EOVERFLOW: i32 = 75;

/// What a round of events asks for beyond what was done at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Noticed {
    /// The tree or its cover changed.
    pub(crate) changed: bool,
    /// The kernel dropped events.
    pub(crate) overflow: bool,
    /// A root went away or a file system was unmounted: what is known of the tree may be wrong.
    pub(crate) uprooted: bool,
}

/// The folder that the walker waits for, and since when.
pub(crate) type Asks = Arc<Mutex<Option<(PathBuf, Instant)>>>;

/// A root as it was asked for and as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    /// Identity at the last walk; `None` if it could not be reached.
    pub(crate) id: Option<FolderId>,
    pub(crate) node: Option<Node>,
}

/// The tree with its inotify instance.
#[derive(Debug)]
pub(crate) struct Walker {
    /// The agent's own root.
    own: PathBuf,
    pub(super) inotify: Result<Inotify, i32>,
    pub(crate) tree: Tree,
    pub(crate) roots: Vec<Root>,
    /// Folders to visit, the next one last.
    to_visit: Vec<Node>,
    /// Roots not yet walked, the next one last: outer ones come first, so that an inner one is found to be part of them.
    to_enter: Vec<usize>,
    /// Watches of before this walk that no folder has claimed yet.
    pub(super) unclaimed: HashMap<i32, WatchDescriptor>,
    /// Folders left out because of [`MAX_FOLDERS`].
    pub(crate) left_out: u64,
    /// Links left out because of [`MAX_LINKS`]; nobody follows them.
    pub(crate) links_left_out: u64,
    /// What is being asked of the file system, and since when: it may not answer.
    asks: Asks,
}

impl Walker {
    /// A walker without folders; what the agent's `root` puts off limits it will not enter.
    pub(crate) fn new(root: PathBuf, asks: Asks) -> Self {
        Self {
            own: root,
            inotify: start_inotify(),
            tree: Tree::default(),
            roots: Vec::new(),
            to_visit: Vec::new(),
            to_enter: Vec::new(),
            unclaimed: HashMap::new(),
            left_out: 0,
            links_left_out: 0,
            asks,
        }
    }

    /// Asks the file system for something that may take for ever; who waits can see for what.
    pub(super) fn asking<T>(&self, path: &Path, ask: impl FnOnce() -> T) -> T {
        *locked(&self.asks) = Some((path.to_path_buf(), Instant::now()));
        let answer = ask();
        *locked(&self.asks) = None;
        answer
    }

    /// The errno with which the kernel refused an inotify instance.
    pub(crate) fn instance_refused(&self) -> Option<i32> {
        self.inotify.as_ref().err().copied()
    }

    /// What becomes readable when events are there.
    pub(crate) fn events_fd(&self) -> Option<&impl AsFd> {
        self.inotify.as_ref().ok()
    }

    /// A folder of this identity is watched, however it is reached.
    pub(crate) fn is_watched(&self, id: FolderId) -> bool {
        let node = self.tree.by_id(id);
        node.is_some_and(|node| matches!(self.tree.cover(node), Some(Cover::Watched(_))))
    }

    /// There are folders still to be visited.
    pub(crate) fn is_walking(&self) -> bool {
        !self.to_visit.is_empty() || !self.to_enter.is_empty() || !self.unclaimed.is_empty()
    }

    /// Walks everything from the start, below `paths`.
    pub(crate) fn restart(&mut self, paths: &[PathBuf]) {
        if self.inotify.is_err() {
            self.inotify = start_inotify();
        }
        for watch in std::mem::take(&mut self.tree).watches() {
            self.unclaimed.insert(watch.get_watch_descriptor_id(), watch);
        }
        (self.left_out, self.links_left_out) = (0, 0);
        self.to_visit.clear();
        self.roots = paths.iter().map(|path| Root { path: path.clone(), id: None, node: None }).collect();
        let mut order: Vec<(usize, usize)> = (0..).zip(paths).map(|(index, path)| (depth_of(path), index)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        self.to_enter = order.into_iter().map(|(_, index)| index).collect();
    }

    /// A root is not what it was at the last walk: another folder, gone, or there again.
    pub(crate) fn roots_moved(&self) -> bool {
        self.roots.iter().any(|root| {
            let found = self.asking(&root.path, || fs::metadata(&root.path));
            found.ok().filter(fs::Metadata::is_dir).map(|found| id_of(&found)) != root.id
        })
    }

    /// Visits the next folder. Nothing to do is fine.
    pub(crate) fn step(&mut self) {
        if let Some(node) = self.to_visit.pop() {
            self.visit(node);
        } else if let Some(index) = self.to_enter.pop() {
            self.enter(index);
        } else {
            self.drop_unclaimed();
        }
    }

    /// Tries one refused folder again, and if that works all of them. Returns whether anything came of it.
    pub(crate) fn retry_refused(&mut self) -> bool {
        let refused: Vec<Node> = self.tree.refused().map(|(node, _)| node).collect();
        let Some(first) = refused.first().copied() else {
            return false;
        };
        self.set_watch(first);
        if matches!(self.tree.cover(first), Some(Cover::Refused(_))) {
            return false;
        }
        self.to_visit.extend(refused);
        true
    }

    /// Folders that could not be read may be readable now.
    pub(crate) fn retry_unreadable(&mut self) -> bool {
        let nodes: Vec<Node> = self.tree.unreadable().collect();
        let can_be_read = |node: &Node| {
            // The dot asks for the right to search the folder, not only to list it.
            self.tree.path(*node).is_some_and(|path| {
                self.asking(&path, || fs::read_dir(&path).is_ok() && fs::metadata(path.join(".")).is_ok())
            })
        };
        let readable: Vec<Node> = nodes.into_iter().filter(can_be_read).collect();
        self.to_visit.extend(&readable);
        !readable.is_empty()
    }

    fn enter(&mut self, index: usize) {
        let Some(path) = self.roots.get(index).map(|root| root.path.clone()) else {
            return;
        };
        // The root itself may be reached over links, as administrators like to do; below it none is followed.
        let Ok(real) = self.asking(&path, || path.canonicalize()) else {
            return;
        };
        let Some(found) = self.asking(&real, || fs::metadata(&real)).ok().filter(fs::Metadata::is_dir) else {
            return;
        };
        let id = id_of(&found);
        // The agent says so by its code. Judged at each walk: a link may lead elsewhere by now.
        if off_limits::reason(&real, &self.own).is_some() {
            if let Some(root) = self.roots.get_mut(index) {
                root.id = Some(id);
            }
            return;
        }
        let node = self.tree.by_id(id).unwrap_or_else(|| {
            let node = self.tree.add_root(&real, id);
            self.to_visit.push(node);
            node
        });
        if let Some(root) = self.roots.get_mut(index) {
            root.id = Some(id);
            root.node = Some(node);
        }
    }

    fn visit(&mut self, node: Node) {
        if !matches!(self.tree.cover(node), Some(Cover::Watched(_))) {
            self.set_watch(node);
        }
        let Some(path) = self.tree.path(node) else {
            return;
        };
        if matches!(self.tree.cover(node), Some(Cover::Unreadable)) || self.tree.depth(node) > MAX_DEPTH {
            return;
        }
        // A folder that is gone again leaves by its own event; what cannot be listed stays as it is.
        let listed = self.asking(&path, || {
            let kind_of = |entry: fs::DirEntry| Some((entry.file_type().ok()?, entry.file_name()));
            let all = fs::read_dir(&path)?.flatten().filter_map(kind_of);
            // What is neither is let go at once: a folder may hold a million files.
            io::Result::Ok(all.filter(|(kind, _)| kind.is_dir() || kind.is_symlink()).collect::<Vec<_>>())
        });
        for (kind, name) in listed.unwrap_or_default() {
            if kind.is_dir() {
                self.see(node, &path, &name);
            } else {
                self.see_link(node, &name);
            }
        }
    }

    /// A link is not followed here: it may lead to what does not answer.
    pub(super) fn see_link(&mut self, parent: Node, name: &OsStr) {
        if !self.tree.add_link(parent, name, MAX_LINKS) {
            self.links_left_out += 1;
        }
    }

    /// A folder was seen in `parent`: a new one is noted, to be visited.
    pub(super) fn see(&mut self, parent: Node, parent_path: &Path, name: &OsStr) {
        let path = parent_path.join(name);
        let found = match self.asking(&path, || fs::symlink_metadata(&path)) {
            Ok(found) if found.is_dir() => found,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.give_up_reading(parent);
                return;
            }
            // It is gone again; an event tells of what comes next.
            Ok(_) | Err(_) => return,
        };
        let id = id_of(&found);
        match self.tree.by_id(id) {
            // Visited or about to be. Whatever happened in it since its watch was set comes as an event.
            Some(known) => self.follow_move(known, parent, &path, name, id),
            None if self.tree.len() >= MAX_FOLDERS => self.left_out += 1,
            None => {
                let node = self.tree.add_child(parent, name, id);
                self.to_visit.push(node);
            }
        }
    }

    /// A known folder at another path was moved, unless it is still at its old path too (a bind mount) or would
    /// then contain itself.
    fn follow_move(&mut self, known: Node, parent: Node, path: &Path, name: &OsStr, id: FolderId) {
        let Some(old) = self.tree.path(known) else {
            return;
        };
        if old == path || self.tree.is_within(parent, known) {
            return;
        }
        if !fs::symlink_metadata(&old).is_ok_and(|found| id_of(&found) == id) {
            self.tree.reparent(known, parent, name);
        }
    }

    /// The folder's list may be read, but nothing in it may be looked at.
    fn give_up_reading(&mut self, node: Node) {
        if let Some(Cover::Watched(watch)) = self.tree.cover(node).cloned() {
            self.drop_watch(watch);
        }
        self.tree.set_cover(node, Cover::Unreadable);
    }

    fn set_watch(&mut self, node: Node) {
        let Some(path) = self.tree.path(node) else {
            return;
        };
        if self.tree.depth(node) > MAX_DEPTH {
            self.tree.set_cover(node, Cover::Refused(ENAMETOOLONG));
            return;
        }
        let added = match &self.inotify {
            Ok(inotify) => self.asking(&path, || inotify.watches().add(&path, watch_mask())),
            Err(errno) => {
                self.tree.set_cover(node, Cover::Refused(*errno));
                return;
            }
        };
        match added {
            Ok(watch) => {
                self.unclaimed.remove(&watch.get_watch_descriptor_id());
                self.tree.set_cover(node, Cover::Watched(watch));
            }
            Err(error) => self.note_refusal(node, &error),
        }
    }

    fn note_refusal(&mut self, node: Node, error: &io::Error) {
        let kind = error.kind();
        if kind == io::ErrorKind::PermissionDenied {
            self.tree.set_cover(node, Cover::Unreadable);
        } else if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::NotADirectory {
            // It went away, or something else took its place: no folder, no watch.
            self.forget(node);
        } else {
            let errno = error.raw_os_error().unwrap_or(0);
            self.tree.set_cover(node, Cover::Refused(errno));
        }
    }

    pub(super) fn forget(&mut self, node: Node) {
        for watch in self.tree.remove(node) {
            self.drop_watch(watch);
        }
        for root in &mut self.roots {
            if root.node == Some(node) {
                root.node = None;
                root.id = None;
            }
        }
    }

    fn drop_watch(&self, watch: WatchDescriptor) {
        if let Ok(inotify) = &self.inotify {
            // EINVAL only says that the kernel dropped it before us.
            let _ = inotify.watches().remove(watch);
        }
    }

    fn drop_unclaimed(&mut self) {
        for (_, watch) in std::mem::take(&mut self.unclaimed) {
            self.drop_watch(watch);
        }
    }
}

fn start_inotify() -> Result<Inotify, i32> {
    Inotify::init().map_err(|error| error.raw_os_error().unwrap_or(0))
}

fn watch_mask() -> WatchMask {
    WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVED_FROM
        | WatchMask::MOVED_TO
        | WatchMask::MOVE_SELF
        | WatchMask::DELETE_SELF
        | WatchMask::ONLYDIR
        | WatchMask::DONT_FOLLOW
        | WatchMask::EXCL_UNLINK
}

fn depth_of(path: &Path) -> usize {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).components().count()
}

fn id_of(found: &fs::Metadata) -> FolderId {
    FolderId { device: found.dev(), inode: found.ino() }
}

/// The kernel's way to say that the user's watches are used up; a full disk has no part in this call.
pub(crate) fn is_watch_limit(errno: i32) -> bool {
    errno == ENOSPC
}

/// What stands for folders that were left out by our own bound.
pub(crate) const LEFT_OUT_ERRNO: i32 = EOVERFLOW;
