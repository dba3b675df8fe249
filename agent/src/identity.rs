//! Who this process is, by names that outlive a reused pid; fixed at the start.

use crate::clock;
use crate::lock::Holder;

/// This process in this boot.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) process: Holder,
    pub(crate) boot_id: String,
}

impl Identity {
    /// Reads it from the kernel.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        let process = Holder { pid, start_ticks: clock::start_ticks(pid).unwrap_or(0) };
        Self { process, boot_id: clock::boot_id() }
    }
}
