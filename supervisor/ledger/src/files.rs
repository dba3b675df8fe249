//! Where the ledger's files are under a root, and which host they belong to. Opens no database.
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

const MAX_MACHINE_ID_BYTES: u64 = 256;

/// The supervisor's state folder under a root.
#[must_use]
pub fn state_dir(root: &Path) -> PathBuf {
    root.join("var/lib/wbd")
}

/// The ledger in a state folder.
#[must_use]
pub fn database(state_dir: &Path) -> PathBuf {
    state_dir.join("ledger.db")
}

/// The samples in a state folder.
#[must_use]
pub fn samples_database(state_dir: &Path) -> PathBuf {
    state_dir.join("samples.db")
}

/// The products that were seen, in a state folder.
#[must_use]
pub fn products(state_dir: &Path) -> PathBuf {
    state_dir.join("products.json")
}

pub(crate) fn lock(state_dir: &Path) -> PathBuf {
    state_dir.join("ledger.lock")
}

pub(crate) fn reserve(state_dir: &Path) -> PathBuf {
    state_dir.join("ledger.reserve")
}

/// `path` with a suffix of SQLite's (`-wal`, `-shm`, `-journal`).
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A name for this host, made from the machine id under `root`; `None` where there is none (containers,
/// scratch folders). machine-id(5) asks that the id itself is not handed around, so it is hashed.
#[must_use]
pub fn host_id(root: &Path) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(root.join("etc/machine-id")).ok()?;
    file.take(MAX_MACHINE_ID_BYTES).read_to_string(&mut text).ok()?;
    let id = text.trim();
    // "uninitialized" stands there in images before their first boot.
    if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digest = Sha256::digest(format!("wbd-ledger\n{id}"));
    Some(hex(&digest)[..32].to_owned())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}

/// Makes a rename or a new name in this folder durable.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_only_by_a_whole_machine_id_and_never_shows_it() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(host_id(root.path()), None);
        fs::create_dir(root.path().join("etc")).unwrap();
        let file = root.path().join("etc/machine-id");
        let short = &"0123456789abcdef0123456789abcdef"[1..];
        for none in
            ["uninitialized\n", "", short, "0123456789abcdef0123456789abcdeg", "0123456789abcdef0123456789abcdef0"]
        {
            fs::write(&file, none).unwrap();
            assert_eq!(host_id(root.path()), None, "{none}");
        }
        fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        let id = host_id(root.path()).unwrap();
        assert_eq!(id.len(), 32);
        assert_ne!(id, "0123456789abcdef0123456789abcdef");
        fs::write(&file, "1123456789abcdef0123456789abcdef\n").unwrap();
        assert_ne!(host_id(root.path()).unwrap(), id, "another host");
    }

    #[test]
    fn bytes_are_two_lower_case_digits_each() {
        assert_eq!(hex(&[0x00, 0x0f, 0xf0, 0xa5, 0x3c, 0xff]), "000ff0a53cff");
    }

    #[test]
    fn the_files_are_where_the_manual_says() {
        let dir = state_dir(Path::new("/root"));
        assert_eq!(dir, Path::new("/root/var/lib/wbd"));
        let names =
            [database(&dir), samples_database(&dir), lock(&dir), reserve(&dir), beside(&database(&dir), "-wal")];
        let expected = ["ledger.db", "samples.db", "ledger.lock", "ledger.reserve", "ledger.db-wal"];
        assert_eq!(names, expected.map(|name| dir.join(name)));
    }
}
