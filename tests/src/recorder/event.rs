//! One thing that happened on this machine, with its true time.

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, microseconds of CLOCK_BOOTTIME.
    pub at_us: u64,
    /// Name of the thread that did it.
    pub actor: String,
    /// What.
    pub what: Occurrence,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// A process became this program.
    Exec {
        /// The path as it was asked for.
        program: String,
        /// The process.
        pid: u32,
    },
    /// A process ended.
    Exit {
        /// The process.
        pid: u32,
    },
    /// A signal was sent.
    Signal {
        /// Its number.
        number: i32,
        /// To whom.
        pid: u32,
        /// The kernel sent it: whoever it was on behalf of asked for none. (A supervisor's end wakes a stopped agent:
        /// POSIX has SIGHUP and SIGCONT for orphaned process groups.)
        by_kernel: bool,
    },
}
