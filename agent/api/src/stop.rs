//! The note of an administrator's stop, by which the supervisor knows a wanted absence; it stops nothing itself.

use crate::{ThisBoot, Whole, file};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const MAX_NOTE_BYTES: u64 = 4096;

/// Who stopped the agent, when and why. Written before the stop, removed by the start. It means nothing in another boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopNote {
    /// What was used: `wbd_agent -s stop`, `wbdctl agent stop`, `systemctl stop`.
    pub who: String,
    /// The user id that asked.
    pub uid: u32,
    /// When, in milliseconds on CLOCK_BOOTTIME.
    pub at_ms: u64,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// The note could not be read, written or removed.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The file system refused.
    #[error("cannot {operation} stop note {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The file holds no stop note. Whether someone wanted the stop is then unknown.
    #[error("stop note {path} is not readable as one ({message}); remove it, or stop the agent again")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// The note of this boot, or `None` if there is none (or only one that is certainly of another boot).
///
/// # Errors
/// [`StopError`] when a file is there but does not tell.
pub fn read(path: &Path, boot: &ThisBoot) -> Result<Option<StopNote>, StopError> {
    let bytes = match file::read_bounded(path, MAX_NOTE_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            return Err(malformed(path, format!("longer than {MAX_NOTE_BYTES} bytes")));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path, source)),
    };
    let note: StopNote = serde_json::from_slice(&bytes).map_err(|error| malformed(path, error.to_string()))?;
    Ok(boot.holds(note.at_ms).then_some(note))
}

/// Writes the note in the place of an older one.
///
/// # Errors
/// [`StopError::Io`], for example where the folder is missing.
pub fn write(path: &Path, note: &StopNote) -> Result<(), StopError> {
    let bytes = serde_json::to_vec(note).map_err(|error| failed("write", path, error.into()))?;
    Whole::at(path, 0o644).of_many_writers().replace(&bytes).map_err(|source| failed("write", path, source))
}

/// Removes the note; none being there is fine.
///
/// # Errors
/// [`StopError::Io`].
pub fn remove(path: &Path) -> Result<(), StopError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> StopError {
    StopError::Io { operation, path: path.to_path_buf(), source }
}

fn malformed(path: &Path, message: String) -> StopError {
    StopError::Malformed { path: path.to_path_buf(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boottime_ms;

    fn note(at_ms: u64) -> StopNote {
        StopNote { who: "wbd_agent -s stop".into(), uid: 0, at_ms, reason: String::new() }
    }

    fn this_boot() -> ThisBoot {
        ThisBoot::now(Path::new("/proc"))
    }

    #[test]
    fn counts_in_its_own_boot_only_and_until_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.stop.json");
        assert_eq!(read(&path, &this_boot()).unwrap(), None);
        let now = note(boottime_ms());
        write(&path, &now).unwrap();
        assert_eq!(read(&path, &this_boot()).unwrap(), Some(now));
        write(&path, &note(boottime_ms() + 60_000)).unwrap();
        assert_eq!(read(&path, &this_boot()).unwrap(), None, "it is ahead of the clock");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path, &this_boot()).unwrap(), None);
    }

    #[test]
    fn a_note_that_names_a_boot_counts_whatever_name_this_view_has_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.stop.json");
        let at_ms = boottime_ms();
        fs::write(&path, format!(r#"{{"who":"x","uid":0,"boot_id":"another","at_ms":{at_ms},"reason":""}}"#)).unwrap();
        assert_eq!(read(&path, &this_boot()).unwrap().map(|note| note.who), Some("x".to_owned()));
    }

    #[test]
    fn a_broken_note_is_an_error_and_not_an_absence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.stop.json");
        for text in [String::from("{"), "x".repeat(5000)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read(&path, &this_boot()), Err(StopError::Malformed { .. })));
        }
    }
}
