//! One host for all scenarios of a test process that put back what they changed; a scenario that failed costs the next one a new host.

use std::ops::Deref;
use std::panic::Location;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use crate::figures::say;
use crate::host::Host;

/// Never dropped, which is right: the host ends when the test process does.
static HOST: Mutex<Option<Host>> = Mutex::new(None);

/// The shared host, for one scenario at a time. Dropping it says what the scenario cost.
#[derive(Debug)]
pub struct SharedHost {
    host: MutexGuard<'static, Option<Host>>,
    taken: Instant,
    by: &'static Location<'static>,
}

impl SharedHost {
    /// Waits for the scenario before. `prepare` is called on a fresh host only.
    ///
    /// # Panics
    /// When the host does not boot or `prepare` fails.
    #[must_use]
    #[track_caller]
    pub fn take(prepare: impl FnOnce(&Host)) -> Self {
        let mut host = HOST.lock().unwrap_or_else(|failed| {
            HOST.clear_poison();
            let mut host = failed.into_inner();
            // Ends it, and keeps its journal beside that of the next one.
            *host = None;
            host
        });
        let taken = Instant::now();
        if host.is_none() {
            let fresh = Host::boot(&format!("shared-{}", next()));
            prepare(&fresh);
            *host = Some(fresh);
        }
        Self { host, taken, by: Location::caller() }
    }
}

impl Deref for SharedHost {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.host.as_ref().expect("taken with a host")
    }
}

impl Drop for SharedHost {
    fn drop(&mut self) {
        say(&format!("cost: {:5.1} s, {}", self.taken.elapsed().as_secs_f32(), self.by));
    }
}

/// Numbers the hosts, so that a failed one's journal is not overwritten.
fn next() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BOOTED: AtomicUsize = AtomicUsize::new(1);
    BOOTED.fetch_add(1, Ordering::Relaxed)
}
