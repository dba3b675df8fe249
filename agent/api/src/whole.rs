//! Writes a small file whole: a reader, a full disk and a loss of power find the old one or the new one, never a part. Knows nothing of what is in it.
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file that is written whole, and how. Nothing is done before [`Whole::replace`] or [`Whole::create`].
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    path: &'a Path,
    mode: u32,
    durable: bool,
    many: bool,
}

impl<'a> Whole<'a> {
    /// This file, with this mode whatever the umask is. One program at a time writes it.
    #[must_use]
    pub fn at(path: &'a Path, mode: u32) -> Self {
        Self { path, mode, durable: false, many: false }
    }

    /// It is on the disk when the call returns, and so is its name. Waits for the disk.
    #[must_use]
    pub fn durable(self) -> Self {
        Self { durable: true, ..self }
    }

    /// Several programs may write it at once. What one of them leaves behind when it dies is nobody's to overwrite, so
    /// this is for folders that are emptied at boot.
    #[must_use]
    pub fn of_many_writers(self) -> Self {
        Self { many: true, ..self }
    }

    /// Puts it in the place of whatever file is there.
    ///
    /// # Errors
    /// The file system's. The old file is then still there, unless only the folder could not be made durable.
    pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes, |fresh| fs::rename(fresh, self.path))
    }

    /// Puts it where nothing is.
    ///
    /// # Errors
    /// `AlreadyExists`, and the file system's.
    pub fn create(&self, bytes: &[u8]) -> io::Result<()> {
        // Unlike a rename, a link is refused where there is a file already.
        self.put(bytes, |fresh| fs::hard_link(fresh, self.path).and_then(|()| fs::remove_file(fresh)))
    }

    fn put(&self, bytes: &[u8], place: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let fresh = self.fresh();
        let put = self.fill(&fresh, bytes).and_then(|()| place(&fresh));
        if put.is_err() {
            // Best effort: it is small, nobody reads it, and the next writer removes it.
            let _ = fs::remove_file(&fresh);
        }
        put?;
        let folder = self.path.parent().filter(|_| self.durable);
        // The new name is in the folder, and must be on disk too.
        folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// Beside the file, since a rename does not leave a file system. Under this ending sysctl.d, the playbooks and the
    /// supervisor's state folder take it for no file of theirs.
    fn fresh(&self) -> PathBuf {
        let mut name = OsString::from(self.path);
        if self.many {
            name.push(format!(".{}", std::process::id()));
        }
        name.push(".new");
        PathBuf::from(name)
    }

    fn fill(&self, fresh: &Path, bytes: &[u8]) -> io::Result<()> {
        match fs::remove_file(fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Anew, so that no link that stands there is followed.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(self.mode).open(fresh)?;
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.write_all(bytes)?;
        if self.durable { file.sync_all() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let all = fs::read_dir(folder).unwrap();
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.conf");
        for (whole, text) in [
            (Whole::at(&path, 0o640), "one"),
            (Whole::at(&path, 0o604).durable(), "two"),
            (Whole::at(&path, 0o600).of_many_writers(), ""),
        ] {
            whole.replace(text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, whole.mode);
        }
        assert_eq!(names(dir.path()), ["a.conf"]);
    }

    #[test]
    fn what_a_dead_writer_left_is_in_nobodys_way_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("other"));
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join("a.new")).unwrap();
        Whole::at(&path, 0o600).replace(b"ours").unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), fs::read_to_string(&other).unwrap()),
            ("ours".into(), "theirs".into())
        );
    }

    #[test]
    fn a_file_that_is_there_is_not_created_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        Whole::at(&path, 0o600).create(b"first").unwrap();
        assert_eq!(Whole::at(&path, 0o600).create(b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        // The name of the new file is taken by a folder that is not empty: it can neither be removed nor written.
        fs::create_dir_all(dir.path().join("a.new/x")).unwrap();
        assert!(Whole::at(&path, 0o600).durable().replace(b"new").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        fs::remove_dir_all(dir.path().join("a.new")).unwrap();
        // What stands in the place is no file: the new one is written, cannot be put there, and is taken away.
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("x")).unwrap();
        assert!(Whole::at(&path, 0o600).replace(b"new").is_err());
        assert_eq!(names(dir.path()), ["a"]);
    }

    /// Runs itself once more where no file may grow beyond a block: a write then fails in its midst, as on a full disk.
    #[test]
    fn a_disk_that_is_full_in_the_midst_of_it_keeps_the_old_file_and_no_part_of_the_new_one() {
        const ASKED: &str = "WBD_TEST_FULL_DISK";
        if let Some(folder) = std::env::var_os(ASKED) {
            let path = PathBuf::from(folder).join("a");
            for whole in [Whole::at(&path, 0o600), Whole::at(&path, 0o600).durable()] {
                assert_eq!(whole.replace(&[b'x'; 1 << 20]).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
            }
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "old").unwrap();
        let ran = std::process::Command::new("/bin/sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg("whole::tests::a_disk_that_is_full_in_the_midst_of_it_keeps_the_old_file_and_no_part_of_the_new_one")
            .env(ASKED, dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        assert_eq!(
            (names(dir.path()), fs::read_to_string(dir.path().join("a")).unwrap()),
            (vec!["a".into()], "old".into())
        );
    }
}
