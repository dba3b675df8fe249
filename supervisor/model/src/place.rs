//! Whether somebody else could put another program in the place of one, between a look at it and its start. Judges
//! folders and links on the way to it, and the file; looks at nothing itself, so that the executor and `lint` judge
//! alike.
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::text::named;

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// What stands under a name, links not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its owner.
    pub uid: u32,
    /// Its mode.
    pub mode: u32,
    /// It is a regular file.
    pub is_file: bool,
    /// Where it leads, if it is a link.
    pub link: Option<PathBuf>,
}

/// Why a program is not run.
#[derive(Debug)]
pub enum Misplaced {
    /// It cannot be found or looked at.
    Lost(io::Error),
    /// Somebody else could put another one in its place.
    Open {
        /// The folder, link or file.
        at: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "it cannot be found: {error}"),
            Self::Open { at, why } => {
                write!(f, "{} {why}, or somebody else could put another program in its place", named(at))
            }
        }
    }
}

/// A look at a name, links not followed.
pub type Looker<'a> = &'a dyn Fn(&Path) -> io::Result<Entry>;

/// The program without links. Each folder in which one of its names is looked up, those behind links too, belongs to
/// root or to `own` and is writable by nobody else; in a sticky one everybody may make names, but not exchange ours.
///
/// # Errors
/// The first name on the way that is not so. `program` is absolute.
pub fn settled(program: &Path, own: u32, look: Looker<'_>) -> Result<PathBuf, Misplaced> {
    let mut at = PathBuf::from("/");
    let mut ahead = last_first(program);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let folder = look(&at).map_err(Misplaced::Lost)?;
        if let Some(why) = open_to(folder.uid, folder.mode, own) {
            return Err(Misplaced::Open { at, why });
        }
        let next = at.join(&name);
        let entry = look(&next).map_err(Misplaced::Lost)?;
        let Some(target) = entry.link else {
            at = next;
            continue;
        };
        if folder.mode & STICKY != 0 && !is_trusted(entry.uid, own) {
            let why = format!("is a link of user {}'s; make it anew as root", entry.uid);
            return Err(Misplaced::Open { at: next, why });
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Misplaced::Lost(io::Error::other("too many links lead to it; correct them")));
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        ahead.extend(last_first(&target));
    }
    Ok(at)
}

/// As [`settled`], and the file is one of root's or of `own` that nobody else can write.
///
/// # Errors
/// As [`settled`].
pub fn runnable(program: &Path, own: u32, look: Looker<'_>) -> Result<PathBuf, Misplaced> {
    let real = settled(program, own, look)?;
    let file = look(&real).map_err(Misplaced::Lost)?;
    if !file.is_file || !is_trusted(file.uid, own) || file.mode & WRITABLE_BY_OTHERS != 0 {
        let why = "must be a file of root's that nobody else can write; correct its owner and mode".to_owned();
        return Err(Misplaced::Open { at: real, why });
    }
    Ok(real)
}

/// The names of a path, the last one first.
fn last_first(path: &Path) -> Vec<OsString> {
    let name = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}

fn is_trusted(owner: u32, own: u32) -> bool {
    owner == 0 || owner == own
}

/// Why others could exchange what lies in a folder of this owner and mode, and what to do.
fn open_to(owner: u32, mode: u32, own: u32) -> Option<String> {
    if !is_trusted(owner, own) {
        return Some(format!("belongs to user {owner}; chown it to root"));
    }
    let is_open = mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0;
    is_open.then(|| format!("may be written by others (mode {:04o}); chmod go-w it", mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_we_may_own_a_folder_and_only_a_sticky_one_may_be_open() {
        let kept = |owner, mode| open_to(owner, mode, 1000).is_none();
        assert!(kept(0, 0o755) && kept(1000, 0o700) && kept(0, 0o41_777) && kept(1000, 0o41_775));
        assert!(!kept(1001, 0o755) && !kept(1001, 0o1777), "who owns a sticky folder may exchange what is in it");
        assert!(!kept(0, 0o40_777) && !kept(0, 0o775) && !kept(1000, 0o757));
    }
}
