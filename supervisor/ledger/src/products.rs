//! Products that were seen on this host, in a file beside the ledger: read by everybody who may, written by the
//! supervisor alone. Not chained: what is lost here makes an absent product unknown, and allows nothing.
use std::fs;
use std::io;
use std::path::Path;

use wbd_agent_api::Whole;
use wbd_model::seen::SeenProducts;

use crate::files;

/// A host has a handful of products with a process or two each.
const MAX_BYTES: u64 = 1 << 20;
/// As for the ledger: for root, and the group that may read it.
const MODE: u32 = 0o640;

/// What was seen; nothing where nothing was ever written.
///
/// # Errors
/// In words, why it is not known, with what to do.
pub fn read_products(state_dir: &Path) -> Result<SeenProducts, String> {
    let path = files::products(state_dir);
    let shown = path.display();
    let read = fs::metadata(&path).and_then(|about| match about.len() {
        length if length > MAX_BYTES => Err(io::Error::other(format!("it has {length} bytes"))),
        _ => fs::read(&path),
    });
    match read {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            format!("what was seen earlier cannot be read: {shown}: {error}; remove the file, and wbd begins a new one")
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SeenProducts::default()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(format!("what was seen earlier cannot be read: {shown}: {error}; run as root"))
        }
        Err(error) => Err(format!("what was seen earlier cannot be read: {shown}: {error}")),
    }
}

/// Keeps it, on the disk when the call returns.
///
/// # Errors
/// In words, why it is not kept.
pub fn write_products(state_dir: &Path, seen: &SeenProducts) -> Result<(), String> {
    let path = files::products(state_dir);
    let bytes = serde_json::to_vec_pretty(seen).map_err(|error| error.to_string())?;
    let written = Whole::at(&path, MODE).durable().replace(&bytes);
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use wbd_model::name::ProfileName;

    use super::*;

    #[test]
    fn what_was_kept_is_read_again_and_a_broken_file_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_products(dir.path()), Ok(SeenProducts::default()));
        let mut seen = SeenProducts::default();
        seen.see(&ProfileName::new("acme").unwrap(), 7);
        write_products(dir.path(), &seen).unwrap();
        assert_eq!(read_products(dir.path()), Ok(seen));
        let path = files::products(dir.path());
        for text in ["", "{", "{\"products\":{\"Not A Name\":{\"since_wall_ms\":1}}}"] {
            fs::write(&path, text).unwrap();
            assert!(read_products(dir.path()).unwrap_err().contains("products.json"), "{text}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read_products(dir.path()).is_err());
        assert!(write_products(dir.path(), &SeenProducts::default()).is_err());
    }
}
