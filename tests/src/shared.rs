//! Hosts for all scenarios of a test process that put back what they changed; a scenario that failed costs the next one a new host.

use std::ops::Deref;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::figures::say;
use crate::host::Host;

/// Those that no scenario uses now; there are never more hosts than scenarios that ran side by side. Never dropped, which
/// is right: a host ends when the test process does.
static IDLE: Mutex<Vec<Host>> = Mutex::new(Vec::new());

/// A shared host, for one scenario. Dropping it says what the scenario cost, and leaves the host to the next one.
#[derive(Debug)]
pub struct SharedHost {
    /// Always there until the drop.
    host: Option<Host>,
    taken: Instant,
    by: &'static Location<'static>,
}

impl SharedHost {
    /// A host that no other scenario uses. `prepare` is called on a fresh host only.
    ///
    /// # Panics
    /// When the host does not boot or `prepare` fails.
    #[must_use]
    #[track_caller]
    pub fn take(prepare: impl FnOnce(&Host)) -> Self {
        let taken = Instant::now();
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let host = idle.unwrap_or_else(|| {
            let fresh = Host::boot(&format!("shared-{}", next()));
            prepare(&fresh);
            fresh
        });
        Self { host: Some(host), taken, by: Location::caller() }
    }
}

impl Deref for SharedHost {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.host.as_ref().expect("there until the drop")
    }
}

impl Drop for SharedHost {
    fn drop(&mut self) {
        say(&format!("cost: {:5.1} s, {}", self.taken.elapsed().as_secs_f32(), self.by));
        // One on which a scenario failed ends here, and its journal is kept beside that of the next one.
        if let Some(host) = self.host.take().filter(|_| !thread::panicking()) {
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(host);
        }
    }
}

/// Numbers the hosts, so that a failed one's journal is not overwritten.
fn next() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BOOTED: AtomicUsize = AtomicUsize::new(1);
    BOOTED.fetch_add(1, Ordering::Relaxed)
}
