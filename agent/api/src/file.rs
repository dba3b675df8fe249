//! Bounded reading and atomic writing of small JSON files; no knowledge of what is in them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
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

/// Writes beside the file (as `temporary`), then renames over it, so that a reader sees the old or the new file, never half of one.
pub(crate) fn write_atomically(path: &Path, temporary: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let written = write_new(temporary, bytes, mode).and_then(|()| fs::rename(temporary, path));
    if written.is_err() {
        // Best effort: what is left over is small and overwritten the next time.
        let _ = fs::remove_file(temporary);
    }
    written
}

fn write_new(temporary: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(temporary)?;
    // The umask of whoever started us must not hide the file from its readers.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)
}
