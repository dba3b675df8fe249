//! wbd's own sysctl.d drop-in: its text, and how it is put on disk. Knows nothing of the running kernel.
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use wbd_agent_api::Whole;

use crate::error::ActionError;

const HEADER: &str = "# Written by wbd (limits that were found too low). Take back with: wbdctl undo ACTION\n";
const MAX_BYTES: u64 = 64 << 10;

/// Where it is under a root.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join("etc/sysctl.d/60-wbd.conf")
}

/// Its text; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, ActionError> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_symlink());
    if is_link {
        // A link to /dev/null is how an administrator masks it.
        return Err(ActionError::content(
            path,
            "it is a link, so somebody masked it; remove the link to let wbd write it",
        ));
    }
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ActionError::file("read", path, source)),
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(ActionError::content(path, "it is longer than 64 KiB and not wbd's; move it away"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(ActionError::content(path, "it is not text and not wbd's; move it away")),
    }
}

/// The text with `key` set to `value`; every other line stays.
pub(crate) fn with(text: Option<&str>, key: &str, value: i64) -> String {
    let line = format!("{key} = {value}");
    let text = text.unwrap_or(HEADER);
    let mut is_set = false;
    let mut result = String::with_capacity(text.len() + line.len() + 1);
    for old in text.lines() {
        let is_key = assigned(old).is_some_and(|(found, _)| found == key);
        if is_key && is_set {
            continue;
        }
        result.push_str(if is_key { &line } else { old });
        result.push('\n');
        is_set |= is_key;
    }
    if !is_set {
        result.push_str(&line);
        result.push('\n');
    }
    result
}

/// What `present` becomes when the setting of `key` goes back to how it was in `before`: exactly
/// `before` if nothing else was changed since, else `present` with only this key put back.
pub(crate) fn restored(present: Option<&str>, before: Option<&str>, key: &str) -> Option<String> {
    let Some(now) = present else { return before.map(str::to_owned) };
    let is_all_ours = value_of(now, key).is_some_and(|value| with(before, key, value) == now);
    if is_all_ours || before == Some(now) {
        return before.map(str::to_owned);
    }
    if let Some(value) = before.and_then(|text| value_of(text, key)) {
        return Some(with(Some(now), key, value));
    }
    let kept: String = now
        .lines()
        .filter(|line| assigned(line).is_none_or(|(found, _)| found != key))
        .flat_map(|line| [line, "\n"])
        .collect();
    let is_empty = before.is_none() && !kept.lines().any(|line| assigned(line).is_some());
    (!is_empty).then_some(kept)
}

/// The value that `text` gives `key`.
pub(crate) fn value_of(text: &str, key: &str) -> Option<i64> {
    let (_, value) = text.lines().filter_map(assigned).rfind(|(found, _)| *found == key)?;
    value.parse().ok()
}

fn assigned(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// Puts `text` in the place of the drop-in, or removes it: whole and durable, or as it was.
pub(crate) fn write(path: &Path, text: Option<&str>) -> Result<(), ActionError> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let done = match text {
        // While it is written, its name does not end in .conf, and sysctl.d reads no other.
        Some(text) => fs::create_dir_all(dir).and_then(|()| Whole::at(path, 0o644).durable().replace(text.as_bytes())),
        None => match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
        .and_then(|()| fs::File::open(dir)?.sync_all()),
    };
    done.map_err(|source| ActionError::file("write", path, source))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const WATCHES: &str = "fs.inotify.max_user_watches";
    const INSTANCES: &str = "fs.inotify.max_user_instances";

    #[test]
    fn a_key_is_set_once_and_the_others_stay() {
        let first = with(None, WATCHES, 10);
        assert_eq!(first, format!("{HEADER}{WATCHES} = 10\n"));
        let second = with(Some(&first), INSTANCES, 5);
        assert_eq!(second, format!("{HEADER}{WATCHES} = 10\n{INSTANCES} = 5\n"));
        assert_eq!(with(Some(&second), WATCHES, 20), format!("{HEADER}{WATCHES} = 20\n{INSTANCES} = 5\n"));
        let odd = format!("; mine\n{WATCHES}=1\n#{WATCHES}=2\n{WATCHES} = 3");
        assert_eq!(with(Some(&odd), WATCHES, 9), format!("; mine\n{WATCHES} = 9\n#{WATCHES}=2\n"));
    }

    #[test]
    fn restoring_gives_the_bytes_of_before_and_spares_what_came_since() {
        let odd = "# by hand, no line feed at the end\nfs.inotify.max_user_watches=7";
        for before in [None, Some(odd), Some(""), Some("# only a comment\n")] {
            let set = with(before, WATCHES, 10);
            assert_eq!(restored(Some(&set), before, WATCHES).as_deref(), before);
            let more = with(Some(&set), INSTANCES, 5);
            let left = restored(Some(&more), before, WATCHES).unwrap();
            assert_eq!(value_of(&left, INSTANCES), Some(5), "{left}");
            assert_eq!(value_of(&left, WATCHES), before.and_then(|text| value_of(text, WATCHES)), "{left}");
        }
        assert_eq!(restored(None, Some(odd), WATCHES).as_deref(), Some(odd));
        assert_eq!(restored(Some(odd), Some(odd), WATCHES).as_deref(), Some(odd));
    }

    #[test]
    fn a_masked_drop_in_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("masked"));
    }

    #[test]
    fn it_is_written_whole_with_its_mode_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        write(&path, Some("a = 1\n")).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("a = 1\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        write(&path, None).unwrap();
        write(&path, None).unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }
    #[test]
    fn what_is_no_file_is_neither_read_as_nothing_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        assert_eq!(read(&path).unwrap(), None, "there is none");
        fs::create_dir_all(&path).unwrap();
        assert!(read(&path).unwrap_err().to_string().starts_with("cannot read"));
        assert!(write(&path, None).unwrap_err().to_string().starts_with("cannot write"));
        assert!(path.is_dir());
    }

    #[test]
    fn it_is_read_up_to_64_kib_and_not_in_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        let longest = "#".repeat(64 << 10);
        write(&path, Some(&longest)).unwrap();
        assert_eq!(read(&path).unwrap(), Some(longest.clone()));
        write(&path, Some(&format!("{longest}#"))).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("longer than 64 KiB"));
    }
}
