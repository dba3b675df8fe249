//! What a supervisor can do to its host, by sort; when, and whether it may, is judged elsewhere.

/// What a supervisor can do to its host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It started a process of the agent.
    Start {
        /// The process.
        pid: u32,
    },
    /// It sent a signal to a process of the agent.
    Signal {
        /// Its number.
        number: i32,
        /// The process.
        pid: u32,
    },
    /// It asked systemd for a job.
    Job {
        /// start, stop, restart or reload.
        verb: String,
        /// The unit.
        unit: String,
    },
    /// It gave a kernel setting another value.
    Set {
        /// The setting.
        key: String,
        /// The value.
        value: u64,
    },
}

impl What {
    /// Effects of one sort: an action has at most one of each.
    pub(super) fn sort(&self) -> String {
        match self {
            Self::Start { .. } => "start".to_owned(),
            Self::Signal { number, .. } => format!("signal {number}"),
            Self::Job { .. } => "job".to_owned(),
            Self::Set { key, .. } => format!("set {key}"),
        }
    }
}
