//! Hold files: whether they are there and what is in them. What they hold is the engine's.
use std::fs;
use std::path::Path;

use wbd_model::hold::HOLD_FILES;

use crate::under;

/// A hold file says why in a line or two, in bytes.
const LONGEST: u64 = 16 * 1024;

/// A hold file that is there, or of which that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldFile {
    /// Its path.
    pub path: String,
    /// Its text; or why it cannot be read or even looked for.
    pub text: Result<String, String>,
}

/// The hold files under a root, as they are at this moment. Only one that is surely not there is left out.
#[must_use]
pub fn look(root: &Path) -> Vec<HoldFile> {
    HOLD_FILES.iter().filter_map(|name| file(&root.join(name))).collect()
}

fn file(path: &Path) -> Option<HoldFile> {
    let shown = path.display().to_string();
    // The name itself, wherever it may lead: a link to nothing holds too.
    match fs::symlink_metadata(path) {
        Err(error) if under::absent(&error) => None,
        Err(error) => Some(HoldFile { path: shown, text: Err(under::why("look for", path, &error)) }),
        Ok(_) => {
            let bytes = under::read(path, LONGEST).map_err(|error| under::why("read", path, &error));
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
            Some(HoldFile { path: shown, text })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/wbd")).unwrap();
        root
    }

    #[test]
    fn a_file_that_is_surely_not_there_holds_nothing() {
        let root = root();
        // Of the second not even the folder is there; and a file in the place of a folder has nothing in it.
        assert_eq!(look(root.path()), []);
        fs::create_dir_all(root.path().join("run")).unwrap();
        fs::write(root.path().join("run/wbd"), "").unwrap();
        assert_eq!(look(root.path()), []);
    }

    #[test]
    fn whatever_bears_the_name_is_there() {
        let root = root();
        let path = root.path().join(HOLD_FILES[0]);
        fs::write(&path, "why: x\n").unwrap();
        let seen = look(root.path());
        assert_eq!((seen.len(), seen[0].text.as_deref()), (1, Ok("why: x\n")));
        fs::write(&path, vec![b'x'; 20_000]).unwrap();
        assert!(look(root.path())[0].text.is_err(), "too long");
        fs::write(&path, [0xff]).unwrap();
        assert!(look(root.path())[0].text.is_err(), "no text");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert!(look(root.path())[0].text.is_err(), "a link to nothing");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(look(root.path())[0].text.is_err(), "a folder");
        fs::remove_dir(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(look(root.path())[0].text.as_deref(), Ok(""), "a FIFO holds nobody up");
    }

    #[test]
    fn what_cannot_be_told_counts_as_there() {
        let root = root();
        // A name that no file system takes: neither there nor surely absent.
        let path = root.path().join("x".repeat(5000));
        assert!(file(&path).is_some_and(|seen| seen.text.is_err()));
    }
}
