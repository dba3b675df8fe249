//! One writer for a state folder: an flock on the folder, and one on a file in it that names its holder. Knows nothing of databases.
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::LedgerError;
use crate::files;

/// A supervisor that is killed while it starts a program leaves a child that holds its lock until it executes that program.
const LEFT_BEHIND: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Held until dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    // Somebody who takes the file for a stale one can remove it, and a new file of that name is free; the folder stays.
    folder: File,
}

impl Drop for Lock {
    /// Closing alone is not enough: a child that another thread just forked has both files open until it executes its
    /// program, and a lock lives as long as any of its handles.
    fn drop(&mut self) {
        // Nothing to be done where it fails: closing is then what frees it.
        let _ = self.file.unlock();
        let _ = self.folder.unlock();
    }
}

impl Lock {
    pub(crate) fn take(state_dir: &Path) -> Result<Self, LedgerError> {
        fs::create_dir_all(state_dir).map_err(|source| LedgerError::io("create folder of", state_dir, source))?;
        let path = files::lock(state_dir);
        let open = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(&path)
            // On a disk that became read-only the lock is as good, and without it there would not even be a look.
            .or_else(
                |error| if error.kind() == ErrorKind::ReadOnlyFilesystem { File::open(&path) } else { Err(error) },
            );
        let mut file = open.map_err(|source| LedgerError::io("open lock of", &path, source))?;
        let folder = File::open(state_dir).map_err(|source| LedgerError::io("open folder of", state_dir, source))?;
        let until = Instant::now() + LEFT_BEHIND;
        loop {
            match file.try_lock().and_then(|()| folder.try_lock()) {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(LedgerError::LockHeld { path: state_dir.to_path_buf(), holder: holder(&mut file) });
                }
                Err(TryLockError::Error(source)) => return Err(LedgerError::io("lock", &path, source)),
            }
        }
        // The name is a courtesy to the next one; the lock holds without it (a full disk must not stop us).
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Self { file, folder })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        (Ok(_) | Err(_), _) => "an unknown process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dying_writer_leaves_behind_for_a_moment_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        drop(Lock::take(dir.path()).unwrap());
        let file = File::open(files::lock(dir.path())).unwrap();
        file.try_lock().unwrap();
        // Its child has the lock in its hands as standard input, and lives for less than the wait.
        let mut child = std::process::Command::new("sleep").arg("0.3").stdin(file).spawn().unwrap();
        assert!(File::open(files::lock(dir.path())).unwrap().try_lock().is_err(), "it does not hold it");
        let next = Lock::take(dir.path());
        assert!(next.is_ok(), "{next:?}");
        child.wait().unwrap();
    }

    #[test]
    fn a_dropped_lock_is_free_though_a_forked_child_still_has_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        // What a child between fork and exec has: other handles on the same open files.
        let child = (lock.file.try_clone().unwrap(), lock.folder.try_clone().unwrap());
        assert!(matches!(Lock::take(dir.path()), Err(LedgerError::LockHeld { .. })));
        drop(lock);
        let next = Lock::take(dir.path()).unwrap();
        drop(child);
        assert!(matches!(Lock::take(dir.path()), Err(LedgerError::LockHeld { .. })), "the child's end freed another's");
        drop(next);
    }
}
