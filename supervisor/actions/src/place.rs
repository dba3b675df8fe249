//! Where a program lies, and whether somebody else could put another in its place between a look at it and its start.
//! Looks at folders and links on the way to it, not at the program.
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use crate::error::ActionError;

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// The program without links. Each folder in which one of its names is looked up, those behind links too, belongs to
/// root or to us and is writable by nobody else; in a sticky one everybody may make names, but not exchange ours.
pub(crate) fn settled(program: &Path) -> Result<PathBuf, ActionError> {
    let own = rustix::process::geteuid().as_raw();
    let lost = |source| ActionError::file("find", program, source);
    let open = |at: &Path, why| ActionError::Exchangeable { program: program.to_owned(), at: at.to_owned(), why };
    let mut at = PathBuf::from("/");
    let mut ahead = last_first(&std::path::absolute(program).map_err(lost)?);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let folder = fs::symlink_metadata(&at).map_err(lost)?;
        if let Some(why) = open_to(folder.uid(), folder.mode(), own) {
            return Err(open(&at, why));
        }
        let next = at.join(&name);
        let entry = fs::symlink_metadata(&next).map_err(lost)?;
        if !entry.is_symlink() {
            at = next;
            continue;
        }
        if folder.mode() & STICKY != 0 && !is_trusted(entry.uid(), own) {
            return Err(open(&next, format!("is a link of user {}'s; make it anew as root", entry.uid())));
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(lost(io::Error::from(Errno::LOOP)));
        }
        let target = fs::read_link(&next).map_err(lost)?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        ahead.extend(last_first(&target));
    }
    Ok(at)
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
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    /// `DIR/usr/bin/tool`, and `DIR/bin` a link to `usr/bin`.
    fn host() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        for folder in ["usr", "usr/bin"] {
            mode(&root.join(folder), 0o755);
        }
        fs::write(root.join("usr/bin/tool"), "").unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        (dir, root)
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn folder(path: PathBuf, bits: u32) -> PathBuf {
        fs::create_dir(&path).unwrap();
        mode(&path, bits);
        path
    }

    #[track_caller]
    fn refused(program: &Path, at: &Path, remedy: &str) {
        let said = settled(program).unwrap_err().to_string();
        assert!(said.contains(&format!("{}: {} ", program.display(), at.display())), "{said}");
        assert!(said.contains(remedy), "{said}");
    }

    #[test]
    fn only_root_and_we_may_own_a_folder_and_only_a_sticky_one_may_be_open() {
        let kept = |owner, mode| open_to(owner, mode, 1000).is_none();
        assert!(kept(0, 0o755) && kept(1000, 0o700) && kept(0, 0o41_777) && kept(1000, 0o41_775));
        assert!(!kept(1001, 0o755) && !kept(1001, 0o1777), "who owns a sticky folder may exchange what is in it");
        assert!(!kept(0, 0o40_777) && !kept(0, 0o775) && !kept(1000, 0o757));
    }

    #[test]
    fn links_that_only_root_can_change_lead_to_the_program() {
        let (_dir, root) = host();
        let tool = root.join("usr/bin/tool");
        let sticky = folder(root.join("sticky"), 0o1777);
        symlink("../bin/tool", sticky.join("link")).unwrap();
        symlink(sticky.join("link"), root.join("far")).unwrap();
        for name in ["usr/bin/tool", "bin/tool", "bin/../bin/./tool", "sticky/link", "far"] {
            assert_eq!(settled(&root.join(name)).unwrap(), tool, "{name}");
            assert_eq!(fs::canonicalize(root.join(name)).unwrap(), tool, "{name}");
        }
    }

    #[test]
    fn a_folder_that_others_can_write_is_named_wherever_it_is_on_the_way() {
        let (_dir, root) = host();
        let open = folder(root.join("open"), 0o777);
        symlink(root.join("usr/bin/tool"), open.join("link")).unwrap();
        symlink(open.join("link"), root.join("bin/far")).unwrap();
        symlink(&open, root.join("folder")).unwrap();
        fs::create_dir(open.join("below")).unwrap();
        fs::write(open.join("below/tool"), "").unwrap();
        // Neither above the name nor above the file, but between them.
        for name in ["open/link", "bin/far", "folder/link", "open/below/tool"] {
            refused(&root.join(name), &open, "(mode 0777); chmod go-w it");
        }
        mode(&open, 0o755);
        assert!(settled(&root.join("bin/far")).is_ok());
        mode(&root.join("usr"), 0o775);
        refused(&root.join("bin/tool"), &root.join("usr"), "chmod go-w it");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_named_with_its_owner() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_dir, root) = host();
        let sticky = folder(root.join("sticky"), 0o1777);
        let link = sticky.join("link");
        symlink(root.join("bin/tool"), &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
        refused(&link, &link, "is a link of user 12345's; make it anew as root");
        chown(root.join("usr/bin"), Some(12_345), None).unwrap();
        refused(&root.join("bin/tool"), &root.join("usr/bin"), "belongs to user 12345; chown it to root");
    }

    #[test]
    fn links_in_a_circle_and_names_of_nothing_end() {
        let (_dir, root) = host();
        symlink("two", root.join("one")).unwrap();
        symlink("one", root.join("two")).unwrap();
        for name in ["one", "none", "usr/bin/tool/below"] {
            let error = settled(&root.join(name)).unwrap_err();
            assert!(error.to_string().starts_with("cannot find"), "{error}");
        }
    }
}
