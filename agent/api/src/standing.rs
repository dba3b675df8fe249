//! Whose a process is: this host's or a container's, root's or a user's. It knows no product and no name.
//!
//! Anybody may run a program under any name, and a container shows its processes to the host. What counts is what only
//! root can arrange: the pid namespace, the root folder, the user, and a program file that nobody else can exchange.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;
/// Set-user-ID and set-group-ID.
const BORROWS_RIGHTS: u32 = 0o6000;

/// The process that asks, as the measure for others: a wbd in a container measures by that container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    pid_namespace: PathBuf,
    user_namespace: PathBuf,
    root: (u64, u64),
    uid: u32,
}

/// The users of one process: real, effective, saved, and of its file accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users([u32; 4]);

impl Users {
    /// All four are among these. One that borrowed root's rights (`su`, `sudo`) may carry the name of its caller's choice.
    #[must_use]
    pub fn are_all(&self, among: &[u32]) -> bool {
        self.0.iter().all(|uid| among.contains(uid))
    }

    /// Who started it.
    #[must_use]
    pub const fn real(&self) -> u32 {
        let [real, ..] = self.0;
        real
    }
}

impl Measure {
    /// Measures by the process that asks, which runs as `uid`. `proc` is the proc file system.
    ///
    /// # Errors
    /// In words, what of it cannot be read.
    pub fn take(proc: &Path, uid: u32) -> Result<Self, String> {
        let own = proc.join("self");
        let all = || -> io::Result<Self> {
            let (pid_namespace, user_namespace) = (namespace(&own, "pid")?, namespace(&own, "user")?);
            Ok(Self { pid_namespace, user_namespace, root: id(&fs::metadata(own.join("root"))?), uid })
        };
        all().map_err(|error| format!("cannot read wbd's own namespaces below {}: {error}", own.display()))
    }

    /// Whom the files and processes may belong to that nobody else can exchange: root, and whoever asks.
    #[must_use]
    pub const fn trusted(&self) -> [u32; 2] {
        [0, self.uid]
    }

    /// Why this process (its folder in proc) is another host's or container's; `None`: it is here. A service with a mount
    /// namespace of its own is here: its root is the same folder.
    ///
    /// # Errors
    /// It cannot be looked at, or has ended.
    pub fn elsewhere(&self, process: &Path) -> io::Result<Option<String>> {
        if namespace(process, "pid")? != self.pid_namespace {
            return Ok(Some("runs in another pid namespace (a container?)".to_owned()));
        }
        // The text first: another root may lie on a file system that does not answer. Our own root is always "/" to us.
        let link = fs::read_link(process.join("root"))?;
        if link != Path::new("/") {
            return Ok(Some(format!("runs with {} as its root", link.display())));
        }
        let here = id(&fs::metadata(process.join("root"))?) == self.root;
        Ok((!here).then(|| "runs with another root (a container?)".to_owned()))
    }

    /// Why others than root and us could have chosen the program that this process runs; `None`: nobody could. Folders
    /// above `top` are not asked.
    ///
    /// # Errors
    /// Something on the way cannot be looked at, or the process has ended.
    pub fn exchangeable(&self, process: &Path, users: Users, top: &Path) -> io::Result<Option<String>> {
        let exe = process.join("exe");
        let path = program_path(&fs::read_link(&exe)?);
        let file = fs::metadata(&exe)?;
        let shown = path.display();
        if let Some(why) = self.open_to(&file, false) {
            return Ok(Some(format!("its program {shown} {why}")));
        }
        let mut folders: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| folder.starts_with(top)).collect();
        if folders.is_empty() {
            folders = path.ancestors().skip(1).collect();
        }
        // From the top: what lies below a folder of somebody else's may not even be seen.
        for folder in folders.into_iter().rev() {
            match fs::metadata(folder) {
                Ok(about) => {
                    if let Some(why) = self.open_to(&about, true) {
                        return Ok(Some(format!("its program is {shown}, and {} {why}", folder.display())));
                    }
                }
                // Removed while it runs: who could put it there again was asked above it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        self.renamed(process, users, &path, &file)
    }

    /// In a user namespace of his own, a user can mount any file under any name.
    fn renamed(&self, process: &Path, users: Users, path: &Path, file: &Metadata) -> io::Result<Option<String>> {
        if users.are_all(&self.trusted()) || namespace(process, "user")? == self.user_namespace {
            return Ok(None);
        }
        let is_same = id_of(path).is_some_and(|named| named == id(file));
        Ok((!is_same).then(|| format!("its program is not the host's {}", path.display())))
    }

    /// Why somebody else could write here; in a sticky folder everybody may make names, but not exchange ours.
    fn open_to(&self, about: &Metadata, is_folder: bool) -> Option<String> {
        let (owner, mode) = (about.uid(), about.mode());
        if !self.trusted().contains(&owner) {
            return Some(format!("is uid {owner}'s"));
        }
        let is_open = mode & WRITABLE_BY_OTHERS != 0 && !(is_folder && mode & STICKY != 0);
        is_open.then(|| format!("may be written by others (mode {:04o})", mode & 0o7777))
    }
}

/// The users of a process (its folder in proc).
///
/// # Errors
/// It cannot be looked at, or has ended.
pub fn users(process: &Path) -> io::Result<Users> {
    let status = fs::read(process.join("status"))?;
    let mut lines = status.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"Uid:"));
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let ids: Vec<u32> = line.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect();
    let ids = <[u32; 4]>::try_from(ids);
    ids.map(Users).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its status names no users"))
}

/// The program of this process gives whoever runs it the rights of its owner: that it runs as root says nothing.
///
/// # Errors
/// It cannot be looked at, or has ended.
pub fn borrows_rights(process: &Path) -> io::Result<bool> {
    Ok(fs::metadata(process.join("exe"))?.mode() & BORROWS_RIGHTS != 0)
}

/// The file that a process runs, as the kernel names it, without the mark of a removed file.
#[must_use]
pub fn program_path(link: &Path) -> PathBuf {
    let bytes = link.as_os_str().as_bytes();
    PathBuf::from(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)))
}

/// The kernel's name of a namespace, which no two have.
fn namespace(process: &Path, kind: &str) -> io::Result<PathBuf> {
    fs::read_link(process.join("ns").join(kind))
}

fn id(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|about| id(&about))
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
