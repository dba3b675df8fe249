//! The folders below the targets and how each is covered; a value, no looking at the file system.

use inotify::WatchDescriptor;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A folder by device and inode: the same one however it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FolderId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// A folder's place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Node(usize);

/// How a folder is covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cover {
    /// Seen, not yet visited.
    Pending,
    /// Watched.
    Watched(WatchDescriptor),
    /// The kernel refused the watch; the number is its errno.
    Refused(i32),
    /// We may not read it: no limit, a permission.
    Unreadable,
}

#[derive(Debug)]
struct Folder {
    parent: Option<Node>,
    /// Name in the parent; of a root the whole path.
    name: OsString,
    id: FolderId,
    depth: u16,
    cover: Cover,
    children: Vec<Node>,
    /// Index among the parent's children, so that leaving a parent with many of them costs nothing.
    slot: usize,
}

/// How many folders are covered how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) watched: u64,
    pub(crate) refused: u64,
    pub(crate) pending: u64,
}

/// All folders known.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    folders: Vec<Option<Folder>>,
    free: Vec<Node>,
    by_id: HashMap<FolderId, Node>,
    by_watch: HashMap<i32, Node>,
    /// Links in a folder, by name; few folders have any.
    links: HashMap<Node, BTreeSet<OsString>>,
    link_count: usize,
}

impl Tree {
    /// Folders known.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Every folder known is watched.
    pub(crate) fn is_covered(&self) -> bool {
        self.by_id.len() == self.by_watch.len()
    }

    fn get(&self, node: Node) -> Option<&Folder> {
        self.folders.get(node.0)?.as_ref()
    }

    fn get_mut(&mut self, node: Node) -> Option<&mut Folder> {
        self.folders.get_mut(node.0)?.as_mut()
    }

    /// The folder of this identity.
    pub(crate) fn by_id(&self, id: FolderId) -> Option<Node> {
        self.by_id.get(&id).copied()
    }

    /// The folder of this watch.
    pub(crate) fn by_watch(&self, watch: &WatchDescriptor) -> Option<Node> {
        self.by_watch.get(&watch.get_watch_descriptor_id()).copied()
    }

    /// The child of this name.
    pub(crate) fn child(&self, parent: Node, name: &OsStr) -> Option<Node> {
        let children = &self.get(parent)?.children;
        children.iter().copied().find(|child| self.get(*child).is_some_and(|folder| folder.name == name))
    }

    /// Folder and identity of a root.
    pub(crate) fn add_root(&mut self, path: &Path, id: FolderId) -> Node {
        self.insert(None, path.as_os_str().to_owned(), id, 0)
    }

    /// A new folder in `parent`.
    pub(crate) fn add_child(&mut self, parent: Node, name: &OsStr, id: FolderId) -> Node {
        let depth = self.depth(parent).saturating_add(1);
        let node = self.insert(Some(parent), name.to_owned(), id, depth);
        self.join(node, parent);
        node
    }

    fn join(&mut self, node: Node, parent: Node) {
        let Some(siblings) = self.get_mut(parent).map(|folder| &mut folder.children) else {
            return;
        };
        let slot = siblings.len();
        siblings.push(node);
        if let Some(folder) = self.get_mut(node) {
            folder.slot = slot;
        }
    }

    fn leave(&mut self, node: Node) {
        let Some((Some(parent), slot)) = self.get(node).map(|folder| (folder.parent, folder.slot)) else {
            return;
        };
        let Some(siblings) = self.get_mut(parent).map(|folder| &mut folder.children) else {
            return;
        };
        if siblings.get(slot) != Some(&node) {
            return;
        }
        siblings.swap_remove(slot);
        let moved = siblings.get(slot).copied();
        if let Some(folder) = moved.and_then(|moved| self.get_mut(moved)) {
            folder.slot = slot;
        }
    }

    fn insert(&mut self, parent: Option<Node>, name: OsString, id: FolderId, depth: u16) -> Node {
        let folder = Folder { parent, name, id, depth, cover: Cover::Pending, children: Vec::new(), slot: 0 };
        let node = self.free.pop().unwrap_or_else(|| {
            self.folders.push(None);
            Node(self.folders.len() - 1)
        });
        if let Some(slot) = self.folders.get_mut(node.0) {
            *slot = Some(folder);
        }
        self.by_id.insert(id, node);
        node
    }

    /// Moves a folder, with all below it, under another parent.
    pub(crate) fn reparent(&mut self, node: Node, parent: Node, name: &OsStr) {
        self.leave(node);
        let depth = self.depth(parent).saturating_add(1);
        if let Some(folder) = self.get_mut(node) {
            folder.parent = Some(parent);
            folder.name = name.to_owned();
            folder.depth = depth;
        }
        self.join(node, parent);
    }

    /// Levels below its root; 0 for a root.
    pub(crate) fn depth(&self, node: Node) -> u16 {
        self.get(node).map_or(0, |folder| folder.depth)
    }

    /// The folder's path, or `None` if it is no longer known.
    pub(crate) fn path(&self, node: Node) -> Option<PathBuf> {
        let mut names = Vec::new();
        let mut here = Some(node);
        while let Some(folder) = here.map(|node| self.get(node)) {
            let folder = folder?;
            names.push(&folder.name);
            here = folder.parent;
        }
        Some(names.into_iter().rev().collect())
    }

    /// `above` is `node` or contains it.
    pub(crate) fn is_within(&self, node: Node, above: Node) -> bool {
        let mut here = Some(node);
        while let Some(at) = here {
            if at == above {
                return true;
            }
            here = self.get(at).and_then(|folder| folder.parent);
        }
        false
    }

    /// How the folder is covered.
    pub(crate) fn cover(&self, node: Node) -> Option<&Cover> {
        self.get(node).map(|folder| &folder.cover)
    }

    /// Sets how the folder is covered.
    pub(crate) fn set_cover(&mut self, node: Node, cover: Cover) {
        if let Some(Cover::Watched(old)) = self.cover(node) {
            let old = old.get_watch_descriptor_id();
            self.by_watch.remove(&old);
        }
        if let Cover::Watched(watch) = &cover {
            self.by_watch.insert(watch.get_watch_descriptor_id(), node);
        }
        if let Some(folder) = self.get_mut(node) {
            folder.cover = cover;
        }
    }

    /// Forgets a folder and all below it; gives back the watches that they held.
    pub(crate) fn remove(&mut self, node: Node) -> Vec<WatchDescriptor> {
        self.leave(node);
        let mut watches = Vec::new();
        let mut rest = vec![node];
        while let Some(node) = rest.pop() {
            let Some(folder) = self.folders.get_mut(node.0).and_then(Option::take) else {
                continue;
            };
            if self.by_id.get(&folder.id) == Some(&node) {
                self.by_id.remove(&folder.id);
            }
            if let Cover::Watched(watch) = folder.cover {
                self.by_watch.remove(&watch.get_watch_descriptor_id());
                watches.push(watch);
            }
            rest.extend(folder.children);
            self.link_count -= self.links.remove(&node).map_or(0, |names| names.len());
            self.free.push(node);
        }
        watches
    }

    /// A link stands in a folder. Beyond `most` of them it is forgotten: false.
    pub(crate) fn add_link(&mut self, parent: Node, name: &OsStr, most: usize) -> bool {
        if self.link_count >= most {
            return self.links.get(&parent).is_some_and(|names| names.contains(name));
        }
        if self.links.entry(parent).or_default().insert(name.to_owned()) {
            self.link_count += 1;
        }
        true
    }

    /// A link is gone; whether it was known.
    pub(crate) fn remove_link(&mut self, parent: Node, name: &OsStr) -> bool {
        let Some(names) = self.links.get_mut(&parent) else { return false };
        let known = names.remove(name);
        if names.is_empty() {
            self.links.remove(&parent);
        }
        self.link_count -= usize::from(known);
        known
    }

    /// All links known, in order.
    pub(crate) fn links(&self) -> Vec<PathBuf> {
        let of = |(node, names): (&Node, &BTreeSet<OsString>)| {
            let folder = self.path(*node)?;
            Some(names.iter().map(move |name| folder.join(name)).collect::<Vec<_>>())
        };
        let mut links: Vec<PathBuf> = self.links.iter().filter_map(of).flatten().collect();
        links.sort();
        links
    }

    /// All watches held.
    pub(crate) fn watches(&self) -> Vec<WatchDescriptor> {
        let folders = self.folders.iter().flatten();
        folders
            .filter_map(|folder| match &folder.cover {
                Cover::Watched(watch) => Some(watch.clone()),
                Cover::Pending | Cover::Refused(_) | Cover::Unreadable => None,
            })
            .collect()
    }

    /// How the folders in and below `node` are covered.
    pub(crate) fn counts_below(&self, node: Node) -> Counts {
        let mut counts = Counts::default();
        let mut rest = vec![node];
        while let Some(folder) = rest.pop().map(|node| self.get(node)) {
            let Some(folder) = folder else { continue };
            counts.add(&folder.cover);
            rest.extend(&folder.children);
        }
        counts
    }

    /// How all folders are covered.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for folder in self.folders.iter().flatten() {
            counts.add(&folder.cover);
        }
        counts
    }

    /// The folders whose watch was refused, with the errno, in no order.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (Node, i32)> {
        self.folders.iter().enumerate().filter_map(|(index, folder)| match folder.as_ref()?.cover {
            Cover::Refused(errno) => Some((Node(index), errno)),
            Cover::Pending | Cover::Watched(_) | Cover::Unreadable => None,
        })
    }

    /// The folders that we may not read, in no order.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = Node> {
        self.folders
            .iter()
            .enumerate()
            .filter_map(|(index, folder)| matches!(folder.as_ref()?.cover, Cover::Unreadable).then_some(Node(index)))
    }
}

impl Counts {
    fn add(&mut self, cover: &Cover) {
        match cover {
            Cover::Pending => self.pending += 1,
            Cover::Watched(_) => self.watched += 1,
            Cover::Refused(_) => self.refused += 1,
            Cover::Unreadable => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(inode: u64) -> FolderId {
        FolderId { device: 1, inode }
    }

    #[test]
    fn a_moved_folder_takes_all_below_it_along() {
        let mut tree = Tree::default();
        let root = tree.add_root(Path::new("/srv"), id(1));
        let a = tree.add_child(root, OsStr::new("a"), id(2));
        let b = tree.add_child(root, OsStr::new("b"), id(3));
        let deep = tree.add_child(a, OsStr::new("deep"), id(4));
        tree.reparent(a, b, OsStr::new("moved"));
        assert_eq!(tree.path(deep).unwrap(), Path::new("/srv/b/moved/deep"));
        assert_eq!((tree.child(root, OsStr::new("a")), tree.child(b, OsStr::new("moved"))), (None, Some(a)));
        assert!(tree.is_within(deep, b) && !tree.is_within(b, deep));
    }

    #[test]
    fn siblings_stay_known_when_one_leaves() {
        let mut tree = Tree::default();
        let root = tree.add_root(Path::new("/srv"), id(1));
        let names = ["a", "b", "c", "d"];
        let nodes: Vec<Node> =
            (0..).zip(names).map(|(n, name)| tree.add_child(root, OsStr::new(name), id(10 + n))).collect();
        tree.remove(nodes[0]);
        tree.remove(nodes[3]);
        let left: Vec<bool> = names.iter().map(|name| tree.child(root, OsStr::new(name)).is_some()).collect();
        assert_eq!(left, [false, true, true, false]);
    }

    #[test]
    fn links_move_and_go_with_their_folder_and_are_bounded() {
        let mut tree = Tree::default();
        let root = tree.add_root(Path::new("/srv"), id(1));
        let (a, b) = (tree.add_child(root, OsStr::new("a"), id(2)), tree.add_child(root, OsStr::new("b"), id(3)));
        assert!(tree.add_link(a, OsStr::new("x"), 2) && tree.add_link(a, OsStr::new("x"), 2), "it is one link");
        assert!(tree.add_link(b, OsStr::new("y"), 2));
        assert!(!tree.add_link(b, OsStr::new("z"), 2) && tree.add_link(b, OsStr::new("y"), 2));
        tree.reparent(a, b, OsStr::new("moved"));
        assert_eq!(tree.links(), [Path::new("/srv/b/moved/x"), Path::new("/srv/b/y")]);
        assert!(tree.remove_link(b, OsStr::new("y")) && !tree.remove_link(b, OsStr::new("y")));
        tree.remove(b);
        assert_eq!(tree.links(), Vec::<PathBuf>::new());
        assert!(tree.add_link(root, OsStr::new("x"), 1), "there is room again");
    }

    #[test]
    fn a_removed_folder_is_forgotten_with_all_below_it() {
        let mut tree = Tree::default();
        let root = tree.add_root(Path::new("/srv"), id(1));
        let a = tree.add_child(root, OsStr::new("a"), id(2));
        let deep = tree.add_child(a, OsStr::new("deep"), id(4));
        tree.set_cover(deep, Cover::Refused(28));
        tree.remove(a);
        assert_eq!((tree.len(), tree.path(deep), tree.by_id(id(4))), (1, None, None));
        assert_eq!(tree.counts(), Counts { watched: 0, refused: 0, pending: 1 });
        let again = tree.add_child(root, OsStr::new("a"), id(2));
        assert_eq!(tree.path(again).unwrap(), Path::new("/srv/a"));
    }
}
