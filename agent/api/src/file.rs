//! Bounded reading of small JSON files; no knowledge of what is in them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads at most `limit` bytes; `None` if the file is longer.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    // A FIFO in the place of the file would hold the reader for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok((length <= limit).then_some(bytes))
}
