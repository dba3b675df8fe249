//! What a person said, put where it outlives the supervisor: an administrator's stop, and a pause as a hold file. These
//! are no actions, which wbd chooses: the person has chosen already. Reads hold files nowhere.
use std::io;
use std::path::Path;

pub use wbd_agent_api::StopNote;
use wbd_agent_api::{StopError, ThisBoot, Whole, paths, stop};

/// The administrator's stop of this boot, if one stands.
///
/// # Errors
/// A note is there and does not tell.
pub fn stop_noted(root: &Path) -> Result<Option<StopNote>, StopError> {
    stop::read(&paths::stop_note(root), &ThisBoot::now(Path::new("/proc")))
}

/// Notes an administrator's stop, in the place of an earlier note.
///
/// # Errors
/// The file system refused.
pub fn note_stop(root: &Path, who: &str, at_ms: u64, reason: &str) -> Result<(), StopError> {
    let note = StopNote { who: who.to_owned(), uid: 0, at_ms, reason: reason.to_owned() };
    stop::write(&paths::stop_note(root), &note)
}

/// The stop is taken back; none being there is fine.
///
/// # Errors
/// The file system refused.
pub fn forget_stop(root: &Path) -> Result<(), StopError> {
    stop::remove(&paths::stop_note(root))
}

/// Takes the stop back that stood when an operator said "start". One that came after that moment stands.
pub(crate) fn take_stop_back(root: &Path, said_ms: u64) -> Result<(), StopError> {
    match stop_noted(root) {
        Ok(Some(note)) if note.at_ms > said_ms => Ok(()),
        // One that cannot be read is taken back too: its remedy is to remove it.
        Ok(_) | Err(_) => forget_stop(root),
    }
}

/// Puts a hold file there, whole or not at all: an empty file, as a full disk leaves it, would hold everything and for
/// ever. Only with `over` in the place of one that is there.
///
/// # Errors
/// The file system refused, or a file is there.
pub fn put_hold(path: &Path, text: &str, over: bool) -> io::Result<()> {
    // The loop, which calls this, does not wait for the disk: so it is not made durable.
    let file = Whole::at(path, 0o644);
    if over { file.replace(text.as_bytes()) } else { file.create(text.as_bytes()) }
}
