//! What the kernel tells the walker of folders and links that come and go; it walks nothing itself.

use super::walker::{Noticed, Walker};
use inotify::{EventMask, WatchDescriptor};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;

use super::tree::Node;

const EVENT_BUFFER_BYTES: usize = 64 * 1024;

impl Walker {
    /// Takes in what the kernel has to say, without waiting for more.
    pub(crate) fn take_events(&mut self) -> Noticed {
        let mut noticed = Noticed::default();
        let mut buffer = [0; EVENT_BUFFER_BYTES];
        let events: Vec<(WatchDescriptor, EventMask, Option<OsString>)> = match &mut self.inotify {
            Ok(inotify) => match inotify.read_events(&mut buffer) {
                Ok(events) => events.map(|event| (event.wd, event.mask, event.name.map(OsStr::to_owned))).collect(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return noticed,
                Err(error) => {
                    tracing::warn!("changes of the watched folders cannot be read: {error}");
                    noticed.overflow = true;
                    return noticed;
                }
            },
            Err(_) => return noticed,
        };
        for (watch, mask, name) in events {
            self.take_event(&watch, mask, name.as_deref(), &mut noticed);
        }
        noticed
    }

    fn take_event(&mut self, watch: &WatchDescriptor, mask: EventMask, name: Option<&OsStr>, noticed: &mut Noticed) {
        if mask.contains(EventMask::Q_OVERFLOW) {
            noticed.overflow = true;
            return;
        }
        noticed.uprooted |= mask.contains(EventMask::UNMOUNT);
        let Some(node) = self.tree.by_watch(watch) else {
            if mask.contains(EventMask::IGNORED) {
                self.unclaimed.remove(&watch.get_watch_descriptor_id());
            }
            return;
        };
        if mask.contains(EventMask::IGNORED) {
            noticed.uprooted |= self.tree.depth(node) == 0;
            noticed.changed = true;
            self.forget(node);
            return;
        }
        if mask.contains(EventMask::MOVE_SELF) {
            noticed.uprooted |= self.tree.depth(node) == 0;
        }
        let Some(name) = name else { return };
        if !mask.contains(EventMask::ISDIR) {
            noticed.changed |= self.take_link(node, mask, name);
            return;
        }
        if mask.intersects(EventMask::CREATE | EventMask::MOVED_TO) {
            noticed.changed = true;
            if let Some(path) = self.tree.path(node) {
                self.see(node, &path, name);
            }
        } else if mask.contains(EventMask::MOVED_FROM) || (mask.contains(EventMask::DELETE) && !self.tree.is_covered())
        {
            noticed.changed = true;
            if let Some(child) = self.tree.child(node, name) {
                self.forget(child);
            }
        }
    }

    /// What is no folder came or went; whether it was a link.
    fn take_link(&mut self, parent: Node, mask: EventMask, name: &OsStr) -> bool {
        if !mask.intersects(EventMask::CREATE | EventMask::MOVED_TO) {
            return self.tree.remove_link(parent, name);
        }
        let Some(path) = self.tree.path(parent).map(|folder| folder.join(name)) else { return false };
        let is_link = self.asking(&path, || fs::symlink_metadata(&path)).is_ok_and(|found| found.is_symlink());
        if is_link {
            self.see_link(parent, name);
        }
        // A file may have taken a link's place.
        is_link || self.tree.remove_link(parent, name)
    }
}
