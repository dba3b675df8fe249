//! Reads playbooks and settings where they may be trusted, and says which may not; it does not parse them.
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use wbd_model::problem::{Problem, Source};
use wbd_model::text::named;

/// A longer playbook or settings file is refused, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Vendor's folder, then the site's; the later one wins.
const FOLDERS: [&str; 2] = ["usr/lib/wbd/playbooks", "etc/wbd/playbooks.d"];
const SETTINGS: &str = "etc/wbd/wbd.yaml";
/// Group or others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The playbook files under `root`, the vendor's before the site's, each sorted by name.
///
/// A file takes the place of one of the same name below the vendor's folder (`dns.yaml`,
/// `aegis/profile.yaml`: folders nest one level); a link to /dev/null masks it. A file that may
/// not be trusted is left out, and so is the one whose place it took: what the site wanted in its
/// stead is not known.
#[must_use]
pub fn playbooks(root: &Path) -> (Vec<Source>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut found = BTreeMap::new();
    for (order, folder) in FOLDERS.iter().enumerate() {
        let folder = root.join(folder);
        for name in names(root, &folder, &mut problems) {
            let path = folder.join(&name);
            found.insert(name, (order, path));
        }
    }
    let mut paths: Vec<(usize, PathBuf)> = found.into_values().collect();
    paths.sort();
    let mut sources = Vec::new();
    for (_, path) in paths {
        if masks(&path) {
            continue;
        }
        match source(root, &path) {
            Ok(source) => sources.push(source),
            Err(reason) => problems.push(problem(&path, reason)),
        }
    }
    (sources, problems)
}

/// The supervisor's settings under `root`, `None` where there are none.
///
/// # Errors
/// A [`Problem`] for a file that cannot be read or may not be trusted.
pub fn settings(root: &Path) -> Result<Option<Source>, Problem> {
    let path = root.join(SETTINGS);
    if let Err(error) = fs::symlink_metadata(&path)
        && error.kind() == io::ErrorKind::NotFound
    {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(root);
    trusted_folder(root, folder).map_err(|reason| problem(folder, reason))?;
    source(root, &path).map(Some).map_err(|reason| problem(&path, reason))
}

/// Names of the YAML files of a folder, relative to it, one level of folders below included.
fn names(root: &Path, folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let (mut names, below) = entries(root, folder, problems);
    for name in below {
        let (inner, _) = entries(root, &folder.join(&name), problems);
        names.extend(inner.into_iter().map(|inner| name.join(inner)));
    }
    names
}

/// YAML files and folders of one folder; none of a folder that may not be trusted.
fn entries(root: &Path, folder: &Path, problems: &mut Vec<Problem>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (files, folders),
        Err(error) => {
            problems.push(problem(folder, format!("cannot list it: {error}")));
            return (files, folders);
        }
    };
    if let Err(reason) = trusted_folder(root, folder) {
        problems.push(problem(folder, reason));
        return (files, folders);
    }
    for entry in listed {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                problems.push(problem(folder, format!("cannot list it: {error}")));
                break;
            }
        };
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(name);
        } else if name.extension() == Some(OsStr::new("yaml")) {
            files.push(name);
        }
    }
    (files, folders)
}

/// A link to /dev/null, wherever it gets there from.
fn masks(path: &Path) -> bool {
    let is_link = fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink());
    let is_null =
        |file: Metadata| file.file_type().is_char_device() && (major(file.rdev()), minor(file.rdev())) == (1, 3);
    is_link && fs::metadata(path).is_ok_and(is_null)
}

fn source(root: &Path, path: &Path) -> Result<Source, String> {
    // Opened once, then asked and read: nothing can be exchanged in between.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(|error| format!("cannot open it: {error}"))?;
    let about = file.metadata().map_err(|error| format!("cannot look at it: {error}"))?;
    if !about.is_file() {
        return Err("is not a regular file".to_owned());
    }
    trusted(root, &about)?;
    let bytes = read(file).map_err(|error| format!("cannot read it: {error}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(format!("is longer than {MAX_FILE_BYTES} bytes; split it"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8 from byte {at} on; save it as UTF-8")
    })?;
    Ok(Source { path: named(path), text })
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn trusted_folder(root: &Path, folder: &Path) -> Result<(), String> {
    let about = fs::metadata(folder).map_err(|error| format!("cannot look at it: {error}"))?;
    trusted(root, &about)
}

/// Owned by root, or in a scratch root by whoever runs there; writable by nobody else.
fn trusted(root: &Path, about: &Metadata) -> Result<(), String> {
    let owner = about.uid();
    let runs = nix::unistd::geteuid().as_raw();
    if owner != 0 && (root == Path::new("/") || owner != runs) {
        return Err(format!("is owned by user {owner} and not used; chown it to root"));
    }
    let mode = about.mode() & 0o7777;
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(format!("may be written by others (mode {mode:04o}) and is not used; chmod go-w it"));
    }
    Ok(())
}

fn problem(path: &Path, message: String) -> Problem {
    Problem { file: named(path), line: 0, column: 0, message, text: String::new(), hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use std::os::unix::fs::PermissionsExt;

    fn loaded(host: &Host) -> (Vec<(String, String)>, Vec<String>) {
        let (sources, problems) = playbooks(host.root());
        let prefix = format!("{}/", host.root().display());
        let short = |path: &str| path.strip_prefix(&prefix).unwrap().to_owned();
        (
            sources.into_iter().map(|it| (short(&it.path), it.text)).collect(),
            problems.into_iter().map(|it| format!("{}: {}", short(&it.file), it.message)).collect(),
        )
    }

    fn mode(host: &Host, path: &str, mode: u32) {
        fs::set_permissions(host.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_sites_file_wins_and_a_link_to_null_masks() {
        let host = Host::new();
        host.file("usr/lib/wbd/playbooks/dns.yaml", "vendor");
        host.file("usr/lib/wbd/playbooks/fd.yaml", "vendor");
        host.file("usr/lib/wbd/playbooks/fd.test.yaml", "test");
        host.file("usr/lib/wbd/playbooks/note.txt", "no");
        host.file("usr/lib/wbd/playbooks/aegis/profile.yaml", "vendor");
        host.file("usr/lib/wbd/playbooks/wbd/profile.yaml", "vendor");
        host.file("usr/lib/wbd/playbooks/wbd/deep/no.yaml", "no");
        host.file("etc/wbd/playbooks.d/dns.yaml", "site");
        host.file("etc/wbd/playbooks.d/wbd/profile.yaml", "site");
        host.link("etc/wbd/playbooks.d/fd.yaml", "/dev/null");
        let (sources, problems) = loaded(&host);
        let expected = [
            ("usr/lib/wbd/playbooks/aegis/profile.yaml", "vendor"),
            ("usr/lib/wbd/playbooks/fd.test.yaml", "test"),
            ("etc/wbd/playbooks.d/dns.yaml", "site"),
            ("etc/wbd/playbooks.d/wbd/profile.yaml", "site"),
        ];
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!((sources, problems), (expected, vec![]));
        assert_eq!(playbooks(&host.root().join("none")), (vec![], vec![]));
    }

    #[test]
    fn what_others_may_write_is_refused_and_the_rest_still_loads() {
        let host = Host::new();
        host.file("usr/lib/wbd/playbooks/a.yaml", "a");
        for (name, text) in [("open", "x"), ("good", "x"), ("a", "x")] {
            host.file(&format!("etc/wbd/playbooks.d/{name}.yaml"), text);
        }
        fs::write(host.root().join("etc/wbd/playbooks.d/latin.yaml"), b"caf\xe9").unwrap();
        host.file("etc/wbd/playbooks.d/long.yaml", &"x".repeat(64 * 1024 + 1));
        fs::create_dir(host.root().join("etc/wbd/playbooks.d/folder.yaml")).unwrap();
        nix::unistd::mkfifo(&host.root().join("etc/wbd/playbooks.d/fifo.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        mode(&host, "etc/wbd/playbooks.d/open.yaml", 0o664);
        mode(&host, "etc/wbd/playbooks.d/a.yaml", 0o646);
        let (sources, problems) = loaded(&host);
        assert_eq!(sources, [("etc/wbd/playbooks.d/good.yaml".to_owned(), "x".to_owned())]);
        let words = ["mode 0646", "not a regular", "not UTF-8 from byte 3", "longer", "mode 0664"];
        assert_eq!(problems.len(), words.len(), "{problems:?}");
        for (problem, word) in problems.iter().zip(words) {
            assert!(problem.contains(word), "{problem}");
        }
        mode(&host, "etc/wbd/playbooks.d", 0o777);
        let (sources, problems) = loaded(&host);
        assert_eq!(sources, [("usr/lib/wbd/playbooks/a.yaml".to_owned(), "a".to_owned())]);
        assert!(problems[0].contains("mode 0777"));
    }

    #[test]
    fn another_users_file_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let host = Host::new();
        let path = host.file("usr/lib/wbd/playbooks/a.yaml", "a");
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let (sources, problems) = playbooks(host.root());
        assert!(sources.is_empty() && problems[0].message.contains("user 65534"));
    }

    #[test]
    fn settings_are_absent_read_or_refused() {
        let host = Host::new();
        assert_eq!(settings(host.root()), Ok(None));
        host.file("etc/wbd/wbd.yaml", "healing: observe\n");
        assert_eq!(settings(host.root()).unwrap().unwrap().text, "healing: observe\n");
        mode(&host, "etc/wbd/wbd.yaml", 0o666);
        assert!(settings(host.root()).unwrap_err().message.contains("mode 0666"));
        mode(&host, "etc/wbd/wbd.yaml", 0o644);
        mode(&host, "etc/wbd", 0o775);
        assert!(settings(host.root()).unwrap_err().message.contains("mode 0775"));
    }
}
