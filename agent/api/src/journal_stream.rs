//! Whether what a program writes to a file ends up in the journal. Writes nothing.

use nix::sys::stat::fstat;
use std::ffi::OsStr;
use std::os::fd::AsFd;

/// Whether `file` is the stream that `JOURNAL_STREAM` (`device:inode`) tells of. The variable alone says nothing: who was
/// started by a service and writes into a file inherits it too.
#[must_use]
pub fn is_journal(stream: Option<&OsStr>, file: impl AsFd) -> bool {
    let Some((device, inode)) = stream.and_then(OsStr::to_str).and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let Ok(found) = fstat(file) else { return false };
    device.parse() == Ok(found.st_dev) && inode.parse() == Ok(found.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn only_the_stream_itself_is_the_journal() {
        let (mine, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let found = mine.metadata().unwrap();
        let stream = format!("{}:{}", found.dev(), found.ino());
        assert!(is_journal(Some(stream.as_ref()), &mine));
        assert!(!is_journal(Some(stream.as_ref()), &other), "a file of another place");
        for stream in ["", "1", "1:", ":1", "a:b"] {
            assert!(!is_journal(Some(stream.as_ref()), &mine), "{stream}");
        }
        assert!(!is_journal(None, &mine));
    }
}
