//! Paths under the root, and bounded reading of small files; it does not know what stands in them.
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// Files of /proc, /sys and /etc that a look reads whole are far smaller than this, in bytes.
pub(crate) const SMALL: u64 = 1024 * 1024;

/// Most files of /proc fit into it.
const PAGE: usize = 4096;

/// An absolute path of the host as it is named under `root`.
pub(crate) fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Reads a whole file of at most `limit` bytes. A longer one is an error, never a cut text.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK a FIFO in the place of the file would hold the reader until a writer comes.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    // Room for what most files of /proc hold: two reads instead of half a dozen.
    let mut bytes = Vec::with_capacity(PAGE);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        let message = format!("longer than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(bytes)
}

/// Reads a small text; bytes that are not UTF-8 are shown as replacement characters.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    read(path, SMALL).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// A small text, or `None` where there is no such file.
pub(crate) fn text_if_there(path: &Path) -> Result<Option<String>, String> {
    match text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(why("read", path, &error)),
    }
}

/// The error says that the object is not there, as against "cannot be seen".
pub(crate) fn absent(error: &io::Error) -> bool {
    // ESRCH: a process that ends while its files in /proc are read.
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(nix::libc::ESRCH)
}

/// A reason for people: what could not be done to what, and what to do where we know it.
pub(crate) fn why(doing: &str, path: &Path, error: &io::Error) -> String {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let advice = if denied { "; run as root" } else { "" };
    format!("cannot {doing} {}: {error}{advice}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_path_stays_under_the_root() {
        assert_eq!(under(Path::new("/srv/r"), Path::new("/etc/hosts")), Path::new("/srv/r/etc/hosts"));
        assert_eq!(under(Path::new("/"), Path::new("/etc/hosts")), Path::new("/etc/hosts"));
    }

    #[test]
    fn a_file_over_the_limit_is_an_error_and_a_fifo_does_not_hold_the_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(read(&path, 4).is_err());
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&fifo, 5).unwrap().is_empty());
        assert_eq!(text_if_there(&dir.path().join("none")).unwrap(), None);
        assert!(text_if_there(dir.path()).is_err());
    }
}
