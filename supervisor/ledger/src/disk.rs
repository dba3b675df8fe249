//! Whether the disk below the ledger takes writes: the one question that a ledger at rest cannot answer. Writes no record.
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FallocateFlags, StatVfsMountFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::files;

/// With less room than this the next record may not fit: the write-ahead file grows by as much before it is merged.
const LEAST_BYTES: u64 = 64 << 10;
/// With more room than this nobody needs to try.
const LITTLE_BYTES: u64 = 1 << 20;
/// The lock's file holds a process id.
const SAME_BYTES: u64 = 32;

/// Writes a few bytes in place and waits until they are on disk; in words, what is wrong if that cannot be done. It
/// needs no room, so the room is looked at apart. May block for as long as the disk does.
///
/// # Errors
/// The disk is full, read-only or failing. Where this process cannot look (no free file descriptor, no memory) there
/// is nothing to say about the disk, and that is no error.
pub fn takes_writes(state_dir: &Path) -> Result<(), String> {
    let trouble = |error: &io::Error| format!("{}: {error}", state_dir.display());
    let disk = match statvfs(state_dir) {
        Ok(disk) => disk,
        Err(error) if says_nothing(error) => return Ok(()),
        Err(error) => return Err(trouble(&error.into())),
    };
    if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(format!("{} is on a file system that is read-only now", state_dir.display()));
    }
    // What is kept back for root, or for the file system itself, shows in no number: where little is left, it is tried.
    let little = disk.f_bavail.saturating_mul(disk.f_frsize) < LITTLE_BYTES;
    match if little { has_room(state_dir) } else { Ok(()) } {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOSPC) => {
            return Err(format!("the disk of {} is full", state_dir.display()));
        }
        Ok(()) | Err(_) => {}
    }
    match write_in_place(&files::lock(state_dir)) {
        Err(error) if !Errno::from_io_error(&error).is_some_and(says_nothing) => Err(trouble(&error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Takes the room that the next record may need, and gives it back.
fn has_room(state_dir: &Path) -> io::Result<()> {
    let path = files::beside(&files::lock(state_dir), ".room");
    let file = File::options().write(true).create(true).truncate(true).mode(0o640).open(&path)?;
    let taken = match fallocate(&file, FallocateFlags::empty(), 0, LEAST_BYTES) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let size = usize::try_from(LEAST_BYTES).unwrap_or(0);
            (&file).write_all(&vec![1; size]).and_then(|()| file.sync_data())
        }
        taken => taken.map_err(io::Error::from),
    };
    std::fs::remove_file(&path)?;
    taken
}

/// It is about this process, or about a file that is not there, and not about the disk.
fn says_nothing(error: Errno) -> bool {
    matches!(
        error,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::NOENT | Errno::ACCESS | Errno::PERM
    )
}

/// The same bytes again; the lock's file is always there and means the same afterwards.
fn write_in_place(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut bytes = Vec::new();
    (&file).take(SAME_BYTES).read_to_end(&mut bytes)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_writes_has_nothing_against_them_and_the_lock_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(takes_writes(dir.path()), Ok(()), "no lock yet");
        std::fs::write(files::lock(dir.path()), "1234\n").unwrap();
        assert_eq!(takes_writes(dir.path()), Ok(()));
        assert_eq!(std::fs::read(files::lock(dir.path())).unwrap(), b"1234\n");
    }

    #[test]
    fn a_folder_and_a_lock_that_are_none_are_trouble() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(files::lock(dir.path())).unwrap();
        assert!(takes_writes(dir.path()).is_err(), "a lock that cannot be written");
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(takes_writes(&dir.path().join("file/folder")).is_err(), "no folder at all");
    }

    #[test]
    fn what_says_nothing_about_the_disk_is_no_trouble() {
        assert_eq!(takes_writes(Path::new("/nonexistent/wbd")), Ok(()));
        assert!([Errno::MFILE, Errno::NFILE].into_iter().all(says_nothing));
        assert!(![Errno::NOSPC, Errno::ROFS, Errno::IO, Errno::DQUOT].into_iter().any(says_nothing));
    }
}
