//! A sample: how many file descriptors one process held during one short span. Nouns only: judging a series is the engine's.
use serde::{Deserialize, Serialize};

/// The open file descriptors of one process over one bucket: five minutes as stored, or one single
/// reading (then `min`, `max` and `last` are equal). Buckets may have any spacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// End of the bucket, Unix seconds. The caller corrects for steps of the wall clock, so that
    /// within one segment differences are true time.
    pub at_s: i64,
    /// Fewest descriptors open at any reading in the bucket.
    pub min: u32,
    /// Most descriptors open at any reading in the bucket.
    pub max: u32,
    /// Descriptors open at the last reading in the bucket.
    pub last: u32,
    /// The process's own soft `RLIMIT_NOFILE` at the last reading; `u32::MAX` stands for unlimited,
    /// 0 for "could not be read".
    pub limit: u32,
}

impl Sample {
    /// A bucket of one single reading.
    #[must_use]
    pub fn reading(at_s: i64, open: u32, limit: u32) -> Self {
        Self { at_s, min: open, max: open, last: open, limit }
    }
}

/// One life of one program: samples of two segments are never joined, since a restart empties the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentId {
    /// The process's name in its profile (`main`, `ftp`), so that the segments of one service are found.
    pub process: String,
    /// Start time of the process in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_ticks: u64,
    /// The boot that `start_ticks` counts from.
    pub boot_id: String,
    /// Digest of the executable, or its path where it cannot be read: a confirmed leak carries over
    /// to later segments of the same executable only.
    pub executable: String,
}
