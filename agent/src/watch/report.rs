//! What is told of the watches: counts, the limit that refused, folders left uncovered; a value, made from the walker's tree.

use super::links::Uncovered;
use super::tree::{Counts, Node, Tree};
use super::walker::{LEFT_OUT_ERRNO, Root, Walker, is_watch_limit};
use nix::errno::Errno;
use std::collections::HashMap;
use std::path::PathBuf;
use wbd_agent_api::{BytesPath, FailedAt, LinkReport, MAX_UNCOVERED, TargetId, WatchReport};

/// One target's share of the watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) watches: u64,
    pub(crate) missing: u64,
}

/// How the watches stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) report: WatchReport,
    pub(crate) shares: HashMap<TargetId, Share>,
    /// Folders below the roots that may not be read: the first ones, and how many in all.
    pub(crate) unreadable: Vec<PathBuf>,
    pub(crate) unreadable_count: u64,
}

/// What the snapshot needs to know beside the tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// Events were dropped lately.
    pub(crate) overflowed: bool,
    /// The tree is being walked.
    pub(crate) scanning: bool,
    /// Links to folders that are not covered.
    pub(crate) linked: &'a [Uncovered],
}

/// Puts the snapshot together.
pub(crate) fn snapshot(walker: &Walker, targets: &[(TargetId, Vec<usize>)], now: Circumstances<'_>) -> Snapshot {
    let tree = &walker.tree;
    let counts = tree.counts();
    let missing = counts.refused + walker.left_out;
    let (failed_at, errno) = failure(walker, now.overflowed);
    let mut uncovered: Vec<PathBuf> =
        tree.refused().take(MAX_UNCOVERED).filter_map(|(node, _)| tree.path(node)).collect();
    uncovered.sort();
    let unreadable: Vec<PathBuf> = tree.unreadable().take(MAX_UNCOVERED).filter_map(|node| tree.path(node)).collect();
    Snapshot {
        report: WatchReport {
            used: counts.watched,
            needed: counts.watched + counts.pending + missing,
            missing,
            scanning: now.scanning,
            failed_at,
            errno,
            uncovered: uncovered.into_iter().map(BytesPath::new).collect(),
            unanswered: None,
            linked: now.linked.iter().take(MAX_UNCOVERED).map(linked).collect(),
            linked_count: count(now.linked.len()).saturating_add(walker.links_left_out),
        },
        shares: shares(tree, &walker.roots, targets),
        unreadable,
        unreadable_count: count(tree.unreadable().count()),
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

fn linked(one: &Uncovered) -> LinkReport {
    let leads_to = one.leads_to.as_deref().map(BytesPath::from);
    LinkReport { link: BytesPath::from(one.link.as_path()), leads_to }
}

/// The limit that refused. The narrowest comes first: without an instance there are no watches, without a watch no events.
fn failure(walker: &Walker, overflowed: bool) -> (FailedAt, Option<String>) {
    if let Some(errno) = walker.instance_refused() {
        let at =
            if errno == Errno::EMFILE as i32 && !own_files_exhausted() { FailedAt::Instances } else { FailedAt::Other };
        return (at, Some(name_of(errno)));
    }
    let mut other = (walker.left_out > 0).then_some(LEFT_OUT_ERRNO);
    for (_, errno) in walker.tree.refused() {
        if is_watch_limit(errno) {
            return (FailedAt::Watches, Some(name_of(errno)));
        }
        other = other.or(Some(errno));
    }
    match other {
        _ if overflowed => (FailedAt::QueuedEvents, None),
        Some(errno) => (FailedAt::Other, Some(name_of(errno))),
        None => (FailedAt::None, None),
    }
}

/// EMFILE says either that the user has no inotify instance left or that this process has no file descriptor left.
fn own_files_exhausted() -> bool {
    use nix::sys::resource::{Resource, getrlimit};
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return false;
    };
    let open = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    // Without a descriptor to spare not even the listing opens.
    open.map_or(true, |open| u64::try_from(open).is_ok_and(|open| open >= limit))
}

fn name_of(errno: i32) -> String {
    format!("{:?}", Errno::from_raw(errno))
}

fn shares(tree: &Tree, roots: &[Root], targets: &[(TargetId, Vec<usize>)]) -> HashMap<TargetId, Share> {
    let mut below: HashMap<Node, Counts> = HashMap::new();
    let mut shares = HashMap::new();
    for (id, indices) in targets {
        let nodes: Vec<Node> = indices.iter().filter_map(|index| roots.get(*index)?.node).collect();
        let mut share = Share::default();
        for (position, node) in nodes.iter().enumerate() {
            // An upload path inside the web root is counted with it.
            let inside = nodes.iter().enumerate().any(|(other, above)| {
                other != position && tree.is_within(*node, *above) && (node != above || other < position)
            });
            if !inside {
                let counts = below.entry(*node).or_insert_with(|| tree.counts_below(*node));
                share.watches += counts.watched;
                share.missing += counts.refused;
            }
        }
        shares.insert(id.clone(), share);
    }
    shares
}
