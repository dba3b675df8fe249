//! What the host at hand has of wbd: settings, playbooks, and who asks. Judges nothing.
use std::path::{Path, PathBuf};

use wbd_engine::playbook::{self, Library};
use wbd_engine::settings;
use wbd_model::problem::{Problem, Source};
use wbd_model::settings::Settings;
use wbd_probes::files;

/// Settings and playbooks are no longer than this, in bytes.
const MAX_FILE_BYTES: u64 = files::MAX_FILE_BYTES;

/// Who runs this program, as the ledger names people.
pub(crate) fn user() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// The settings under a root, or of a file that was named; none are all defaults.
///
/// # Errors
/// Every problem with its place.
pub(crate) fn settings(root: &Path, named: Option<&Path>) -> Result<Settings, Vec<Problem>> {
    let source = match named {
        Some(path) => Some(source(path).map_err(|problem| vec![problem])?),
        None => files::settings(root).map_err(|problem| vec![problem])?,
    };
    source.map_or_else(|| Ok(Settings::default()), |source| settings::parse(&source))
}

/// The playbooks and profiles under a root, and what is wrong with their files.
pub(crate) fn library(root: &Path) -> (Library, Vec<Problem>) {
    let (sources, mut problems) = files::playbooks(root);
    let (library, broken) = playbook::load(&sources);
    problems.extend(broken);
    (library, problems)
}

/// A file that was named on the command line: whoever names it answers for its owner and mode.
///
/// # Errors
/// It cannot be read, is too long, or holds no text.
pub(crate) fn source(path: &Path) -> Result<Source, Problem> {
    use std::io::Read;
    let refuse = |message: String| Problem {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        message,
        text: String::new(),
        hint: None,
    };
    let unreadable = |error: std::io::Error| refuse(format!("cannot read it: {error}"));
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(unreadable)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(refuse(format!("longer than {MAX_FILE_BYTES} bytes; split it")));
    }
    let text = String::from_utf8(bytes).map_err(|_| refuse("not UTF-8; save it as UTF-8".to_owned()))?;
    Ok(Source { path: path.display().to_string(), text })
}

/// The folder of installed playbooks under a root, for messages.
pub(crate) fn playbook_folder(root: &Path) -> PathBuf {
    root.join("usr/lib/wbd/playbooks")
}

/// Whether wbd's supervisor belongs to this host.
pub(crate) fn has_supervisor(root: &Path) -> bool {
    ["usr/libexec/wbd/wbd-supervisord", "run/wbd/control.sock", "var/lib/wbd/ledger.db"]
        .iter()
        .any(|name| root.join(name).symlink_metadata().is_ok())
}
