//! Whether a folder can be entered and listed, and if not, which component is at fault; it grants nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wbd_agent_api::BytesPath;

/// Why a folder cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathProblem {
    /// The exact component at fault.
    pub(crate) component: PathBuf,
    /// The longest part of the path that is there.
    pub(crate) nearest: PathBuf,
    /// What is wrong with the component.
    pub(crate) fault: String,
}

impl std::fmt::Display for PathProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", BytesPath::from(self.component.as_path()), self.fault)?;
        if self.nearest != self.component {
            write!(f, " (nearest existing: {})", BytesPath::from(self.nearest.as_path()))?;
        }
        Ok(())
    }
}

/// Follows the path component by component, as the kernel does, then lists the folder.
pub(crate) fn check_folder(path: &Path) -> Result<(), PathProblem> {
    let mut nearest = PathBuf::new();
    let mut here = PathBuf::new();
    for component in path.components() {
        here.push(component);
        match fs::metadata(&here) {
            Ok(found) if found.is_dir() => nearest.clone_from(&here),
            Ok(_) => {
                return Err(problem(&here, &here, "is not a folder; correct the path".to_string()));
            }
            Err(error) => return Err(fault_of(&here, &nearest, &error)),
        }
    }
    // Only opening tells: the mode bits know nothing of ACLs, capabilities and security modules.
    match fs::read_dir(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(denied(path, "listed")),
        Err(error) => Err(problem(path, path, format!("cannot be listed: {error}"))),
    }
}

fn fault_of(here: &Path, nearest: &Path, error: &io::Error) -> PathProblem {
    // The kernel refused to look inside the last folder that we reached: that one is at fault.
    if error.kind() == io::ErrorKind::PermissionDenied {
        return denied(nearest, "entered");
    }
    let fault = match fs::read_link(here) {
        _ if error.kind() != io::ErrorKind::NotFound => format!("cannot be looked at: {error}"),
        Ok(to) => format!("is a link to {}, which does not exist; correct the link", BytesPath::from(to.as_path())),
        Err(_) => "does not exist; create it or correct the path".to_string(),
    };
    problem(here, nearest, fault)
}

fn denied(at: &Path, verb: &str) -> PathProblem {
    let rights = fs::metadata(at)
        .map(|found| format!(" (mode {:04o}, owner {}:{})", found.mode() & 0o7777, found.uid(), found.gid()))
        .unwrap_or_default();
    problem(at, at, format!("cannot be {verb}: permission denied{rights}; give the agent's user the right to it"))
}

fn problem(component: &Path, nearest: &Path, fault: String) -> PathProblem {
    PathProblem { component: component.to_path_buf(), nearest: nearest.to_path_buf(), fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_missing_component_and_the_nearest_existing_one() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("a/b")).unwrap();
        fs::write(base.join("a/file"), "").unwrap();
        std::os::unix::fs::symlink(base.join("gone"), base.join("a/link")).unwrap();
        assert_eq!(check_folder(&base.join("a/b")), Ok(()));
        // path, component at fault, nearest, a word of the fault
        let cases = [
            ("a/x/y/z", "a/x", "a", "does not exist"),
            ("a/file", "a/file", "a/file", "not a folder"),
            ("a/file/sub", "a/file", "a/file", "not a folder"),
            ("a/link/sub", "a/link", "a", "link"),
        ];
        for (path, component, nearest, word) in cases {
            let problem = check_folder(&base.join(path)).unwrap_err();
            assert_eq!((problem.component, problem.nearest), (base.join(component), base.join(nearest)), "{path}");
            assert!(problem.fault.contains(word), "{path}: {}", problem.fault);
        }
    }

    #[test]
    fn any_bytes_are_a_name() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\n\x01"));
        fs::create_dir(&odd).unwrap();
        assert_eq!(check_folder(&odd), Ok(()));
    }
}
