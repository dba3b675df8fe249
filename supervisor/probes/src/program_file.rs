//! Whether a program is installed where a profile says, a `*` for any part of a name. It runs none and reads none.
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::ours::is_name_like;
use crate::runner::ProbeContext;
use crate::under::{absent, under, why};

/// Names of one folder that are looked through; a vendor's folder has a dozen.
const MOST_NAMES: usize = 4096;
/// Folders on the way from a vendor's folder to a program: `client/version/bin`.
const DEPTH: usize = 4;

/// Something is there.
pub(crate) fn is_there(path: &Path) -> Result<bool, String> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if absent(&error) => Ok(false),
        Err(error) => Err(why("look for", path, &error)),
    }
}

/// Whether anything under the root has a path like this one.
pub(crate) fn is_installed(context: &ProbeContext, pattern: &Path) -> Result<bool, String> {
    let names: Vec<Component<'_>> = pattern.components().filter(|name| matches!(name, Component::Normal(_))).collect();
    is_like_below(context.root(), &names)
}

/// Whether a file of this name lies in a folder that has a path like this one, or below it.
pub(crate) fn is_below(context: &ProbeContext, pattern: &Path, name: &OsStr) -> Result<bool, String> {
    let mut below = pattern.to_owned();
    for _ in 0..DEPTH {
        if is_installed(context, &below.join(name))? {
            return Ok(true);
        }
        below.push("*");
    }
    Ok(false)
}

fn is_like_below(folder: &Path, names: &[Component<'_>]) -> Result<bool, String> {
    let has_star = |name: &Component<'_>| name.as_os_str().as_bytes().contains(&b'*');
    let plain = names.iter().position(has_star).unwrap_or(names.len());
    let (before, rest) = names.split_at(plain);
    let folder = under(folder, &before.iter().collect::<PathBuf>());
    let Some((pattern, rest)) = rest.split_first() else { return is_there(&folder) };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if absent(&error) => return Ok(false),
        Err(error) => return Err(why("look into", &folder, &error)),
    };
    for (count, entry) in entries.enumerate() {
        if count >= MOST_NAMES {
            return Err(format!("{} has more than {MOST_NAMES} names in it", folder.display()));
        }
        let entry = entry.map_err(|error| why("look into", &folder, &error))?;
        if is_name_like(&entry.file_name(), pattern.as_os_str()) && is_like_below(&entry.path(), rest)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn a_program_is_found_by_its_path_and_by_a_pattern_of_names() {
        let host = Host::new();
        host.file("opt/v/client_9/bin/x", "");
        host.file("opt/v/client_10/other", "");
        host.link("mnt/loop", "loop");
        let found = |pattern: &str| is_installed(&host.context(), Path::new(pattern));
        for pattern in ["/opt/v/client_9/bin/x", "/opt/v/client_*/bin/x", "/opt/*/client_*/*/x", "/opt/v", "/opt/v/*"] {
            assert_eq!(found(pattern), Ok(true), "{pattern}");
        }
        for pattern in ["/opt/v/client_9/bin/y", "/opt/v/server_*/bin/x", "/opt/*/x", "/opt/v/client_10/other/*"] {
            let got = found(pattern);
            // A file in the place of a folder is no folder.
            assert!(got == Ok(false), "{pattern}: {got:?}");
        }
        let below = |folder: &str, name: &str| is_below(&host.context(), Path::new(folder), OsStr::new(name));
        for (folder, name, wanted) in [("/opt", "x", true), ("/opt/*/client_9", "x", true), ("/opt/v", "y", false)] {
            assert_eq!(below(folder, name), Ok(wanted), "{folder} {name}");
        }
        for pattern in ["/mnt/loop/x", "/mnt/*/x", "/mnt/loop/*/x"] {
            assert!(found(pattern).unwrap_err().contains("mnt/loop"), "{pattern}");
        }
    }
}
