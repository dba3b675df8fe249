//! One writer for a state folder: an flock on the folder, and one on a file in it that names its holder. Knows nothing of databases.
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::LedgerError;
use crate::files;

/// Held until dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    // Somebody who takes the file for a stale one can remove it, and a new file of that name is free; the folder stays.
    _folder: File,
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
        match file.try_lock().and_then(|()| folder.try_lock()) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LedgerError::LockHeld { path: state_dir.to_path_buf(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(LedgerError::io("lock", &path, source)),
        }
        // The name is a courtesy to the next one; the lock holds without it (a full disk must not stop us).
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Self { _file: file, _folder: folder })
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
