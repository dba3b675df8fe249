//! Where a program lies on this host, by the judgement that `lint` shares. Runs nothing.
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use wbd_model::place::{self, Entry, Misplaced};

use crate::error::ActionError;

/// The program without links, if it is a file of root's or ours that nobody else can write, or could exchange before it
/// is started.
pub(crate) fn runnable(program: &Path) -> Result<PathBuf, ActionError> {
    judged(program, place::runnable)
}

type Judge = fn(&Path, u32, place::Looker<'_>) -> Result<PathBuf, Misplaced>;

fn judged(program: &Path, judge: Judge) -> Result<PathBuf, ActionError> {
    let lost = |source| ActionError::file("find", program, source);
    let path = std::path::absolute(program).map_err(lost)?;
    judge(&path, rustix::process::geteuid().as_raw(), &look).map_err(|misplaced| match misplaced {
        Misplaced::Lost(source) => lost(source),
        open @ Misplaced::Open { .. } => {
            ActionError::Exchangeable { program: program.to_owned(), why: open.to_string() }
        }
    })
}

fn look(path: &Path) -> io::Result<Entry> {
    let about = fs::symlink_metadata(path)?;
    let link = if about.is_symlink() { Some(fs::read_link(path)?) } else { None };
    Ok(Entry { uid: about.uid(), mode: about.mode(), is_file: about.is_file(), link })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn settled(program: &Path) -> Result<PathBuf, ActionError> {
        judged(program, place::settled)
    }

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
