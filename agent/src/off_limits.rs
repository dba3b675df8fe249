//! Which folders are never a site's: the whole host, the kernel's own, wbd's own. Whether one can be used otherwise is not asked here.

use std::fs;
use std::path::{Path, PathBuf};
use wbd_agent_api::BytesPath;

/// The kernel's: no files of a site, and a watch on what the kernel makes up never ends.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];
/// wbd's own, below its root: what it writes itself would be its own finding.
const OWN: [&str; 5] = ["var/lib/wbd", "run/wbd", "etc/wbd", "opt/nbp/wbd", "usr/lib/wbd"];

/// Why this folder is no site's, with what to do; `None`: it may be one. Links and `..` are followed first, so a folder
/// that is not there is nobody's: whoever needs it says so.
pub(crate) fn reason(folder: &Path, root: &Path) -> Option<String> {
    let real = fs::canonicalize(folder).ok()?;
    let refuse = |why: String| {
        let way = if real == folder {
            String::new()
        } else {
            format!("leads to {}, which ", BytesPath::from(real.as_path()))
        };
        Some(format!("{way}{why}; name the folder that the site is served from"))
    };
    if real == Path::new("/") {
        return refuse("is the whole host".to_owned());
    }
    if let Some(kernel) = KERNEL.iter().find(|kernel| real.starts_with(kernel)) {
        return refuse(format!("is the kernel's ({kernel})"));
    }
    let own = OWN.iter().map(|name| settled(&root.join(name)));
    own.into_iter().find_map(|own| {
        if real.starts_with(&own) {
            refuse(format!("is wbd's own ({})", BytesPath::from(own.as_path())))
        } else if own.starts_with(&real) {
            refuse(format!("holds wbd's own folder {}", BytesPath::from(own.as_path())))
        } else {
            None
        }
    })
}

/// Without links, as far as it is there.
fn settled(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|part| Some((part, fs::canonicalize(part).ok()?)));
    let Some((part, real)) = there else { return path.to_path_buf() };
    match path.strip_prefix(part) {
        Ok(rest) if rest.as_os_str().is_empty() => real,
        Ok(rest) => real.join(rest),
        Err(_) => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_the_kernels_and_wbds_own_folders_are_no_sites() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().canonicalize().unwrap();
        for folder in ["var/lib/wbd/agent", "var/www/shop", "srv/www", "opt/other", "opt/nbp", "usr/lib"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, root.join("srv").join(name)).unwrap();
        link(Path::new("/"), "slash");
        link(Path::new("/proc"), "proc");
        link(&root.join("var"), "var");
        let below = |name: &str| root.join(name);
        // The folder, and a word of the reason.
        let refused = [
            (PathBuf::from("/"), "whole host"),
            (PathBuf::from("/srv/.."), "whole host"),
            (PathBuf::from("/proc"), "kernel's (/proc)"),
            (PathBuf::from("/proc/self"), "kernel's (/proc)"),
            (PathBuf::from("/sys/kernel"), "kernel's (/sys)"),
            (PathBuf::from("/dev"), "kernel's (/dev)"),
            (below("var/lib/wbd"), "wbd's own"),
            (below("var/lib/wbd/agent"), "wbd's own"),
            (below("var/lib"), "holds wbd's own"),
            (below("var"), "holds wbd's own"),
            (root.clone(), "holds wbd's own"),
            (below("usr/lib"), "holds wbd's own"),
            (below("opt/nbp"), "holds wbd's own"),
            (below("srv/slash"), "leads to /"),
            (below("srv/proc"), "leads to /proc"),
            (below("srv/var"), "holds wbd's own"),
            (below("srv/www/../../var"), "holds wbd's own"),
        ];
        for (folder, word) in refused {
            let said = reason(&folder, &root).unwrap_or_else(|| panic!("{}", folder.display()));
            assert!(said.contains(word) && said.ends_with("served from"), "{}: {said}", folder.display());
        }
        for folder in ["srv/www", "var/www", "var/www/shop", "srv", "opt/other", "gone"] {
            assert_eq!(reason(&below(folder), &root), None, "{folder}");
        }
    }
}
