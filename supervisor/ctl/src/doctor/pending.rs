//! Counts the work beside an examination that nobody can end: what lies on a dead mount. Waits for none of it.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

static PENDING: AtomicUsize = AtomicUsize::new(0);

/// A piece of work of this process, from its beginning until this is dropped.
#[derive(Debug)]
pub(super) struct Pending(());

impl Pending {
    /// Counts it from now on.
    pub(super) fn begin() -> Self {
        PENDING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Counts this alone.
    pub(super) fn during<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }

    /// Whether any is not done.
    pub(super) fn is_any() -> bool {
        PENDING.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        PENDING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does something beside the looking; what is not done in time is left to itself.
pub(crate) fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = sync_channel(1);
    let pending = Pending::begin();
    thread::spawn(move || {
        let done = work();
        drop(pending);
        let _ = sender.send(done);
    });
    receiver
}
