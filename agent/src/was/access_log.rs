//! Whether the access log of a JSP site can be read; it does not read it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use wbd_agent_api::BytesPath;

/// A tomcat with more logs than this has the first ones checked.
const MAX_LOGS: usize = 8;
/// A tomcat with more open files than this is looked at no further.
const MAX_OPEN_FILES: usize = 65_536;

/// Opens the access log for reading: the one that the settings name, else those that the tomcat writes. The error says what is wrong.
pub(crate) fn check_access_log(proc_root: &Path, tomcat: u32, named: Option<&BytesPath>) -> Result<(), String> {
    let logs = match named {
        Some(path) => BTreeSet::from([path.as_path().to_path_buf()]),
        None => open_access_logs(proc_root, tomcat)?,
    };
    if logs.is_empty() {
        return Err(format!(
            "tomcat (pid {tomcat}) has no access log open; enable its AccessLogValve, or name the log in the settings"
        ));
    }
    for log in logs.iter().take(MAX_LOGS) {
        check_readable(log)?;
    }
    Ok(())
}

fn check_readable(log: &Path) -> Result<(), String> {
    let name = log.display();
    match fs::metadata(log) {
        Ok(found) if !found.is_file() => {
            return Err(format!("access log {name} is not a regular file; name the real one"));
        }
        Ok(_) | Err(_) => {}
    }
    File::open(log).map(|_| ()).map_err(|error| {
        format!("access log {name} cannot be opened: {error}; give the agent's user read access to it and its folder")
    })
}

/// The files that the process has open and that are access logs by their name.
fn open_access_logs(proc_root: &Path, pid: u32) -> Result<BTreeSet<PathBuf>, String> {
    let folder = proc_root.join(pid.to_string()).join("fd");
    let entries = fs::read_dir(&folder).map_err(|error| {
        format!("open files of tomcat (pid {pid}) cannot be listed: {error}; name its access log in the settings")
    })?;
    Ok(entries
        .take(MAX_OPEN_FILES)
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|path| path.is_absolute() && is_access_log(path))
        .collect())
}

fn is_access_log(path: &Path) -> bool {
    let Some(name) = path.file_name() else {
        return false;
    };
    let has = |part: &[u8]| name.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    has(b"access") && !has(b".jar") && !name.as_bytes().ends_with(b" (deleted)")
}
