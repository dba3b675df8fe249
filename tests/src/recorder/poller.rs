//! Looks at `/proc` again and again for processes of `wbd_agent`, where the kernel's trace is not to be had; it sees
//! neither signals nor ends.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::event::{Event, Occurrence};

/// /proc counts starts in hundredths of a second.
pub(super) const BLUR_US: u64 = 10_000;
const PAUSE: Duration = Duration::from_millis(5);

/// Process and start ticks, and the program.
type Seen = BTreeMap<(u64, u32), String>;

/// Looks until dropped.
#[derive(Debug)]
pub struct Poller {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    pub(super) fn begin() -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::new())));
        let (asked, found) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                let now = agents();
                found.lock().unwrap_or_else(PoisonError::into_inner).extend(now);
                thread::sleep(PAUSE);
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let event = |((ticks, pid), program): (&(u64, u32), &String)| Event {
            at_us: ticks * BLUR_US,
            actor: String::new(),
            what: Occurrence::Exec { program: program.clone(), pid: *pid },
        };
        seen.iter().map(event).collect()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn agents() -> Seen {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let program = String::from_utf8_lossy(line.split(|byte| *byte == 0).next()?).into_owned();
        if !program.ends_with("/wbd_agent") {
            return None;
        }
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let ticks = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
        Some(((ticks, pid), program))
    })
    .collect()
}
