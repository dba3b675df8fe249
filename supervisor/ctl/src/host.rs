//! What the host at hand has of wbd: settings, playbooks, and who asks. Judges nothing.
use std::path::{Path, PathBuf};
use std::time::Duration;

use wbd_engine::playbook::{self, Library, settings};
use wbd_model::problem::{Problem, Source};
use wbd_model::settings::Settings;
use wbd_model::text::named;
use wbd_probes::files;
use wbd_probes::programs::{self, Finding};

/// Settings and playbooks are no longer than this, in bytes.
const MAX_FILE_BYTES: u64 = files::MAX_FILE_BYTES;

/// Looking where programs lie takes milliseconds, unless a mount is dead.
const PROGRAMS: Duration = Duration::from_secs(1);

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
pub(crate) fn settings(root: &Path, chosen: Option<&Path>) -> Result<Settings, Vec<Problem>> {
    let source = match chosen {
        Some(path) => Some(source(path).map_err(|problem| vec![problem])?),
        None => files::settings(root).map_err(|problem| vec![problem])?,
    };
    source.map_or_else(|| Ok(Settings::default()), |source| settings::parse(&source))
}

/// The text of the same settings, where it can be read.
pub(crate) fn settings_source(root: &Path, chosen: Option<&Path>) -> Option<Source> {
    match chosen {
        Some(path) => source(path).ok(),
        None => files::settings(root).ok().flatten(),
    }
}

/// The playbooks and profiles under a root, and what is wrong with their files.
pub(crate) fn library(root: &Path) -> (Library, Vec<Problem>) {
    let (library, problems, _) = advised_library(root);
    (library, problems)
}

/// The same, and what in files that load does not count.
pub(crate) fn advised_library(root: &Path) -> (Library, Vec<Problem>, Vec<Problem>) {
    let (sources, mut problems) = files::playbooks(root);
    let (library, broken) = playbook::load(&sources);
    problems.extend(broken);
    let mut warnings = playbook::advice(&sources, &library);
    // A file that is not loaded at all is told for that.
    warnings.retain(|warning| !problems.iter().any(|problem| problem.file == warning.file));
    (library, problems, warnings)
}

/// What in these settings does not count.
pub(crate) fn advised_settings(source: Option<&Source>, settings: &Settings, library: &Library) -> Vec<Problem> {
    source.map(|source| settings::advice(source, settings, library)).unwrap_or_default()
}

/// A problem of a file or folder as a whole.
pub(crate) fn about(path: &Path, message: String) -> Problem {
    Problem { file: named(path), line: 0, column: 0, message, text: String::new(), hint: None }
}

/// Programs that profiles and settings name, and that are not run as they are.
pub(crate) fn unfit(root: &Path, library: &Library, settings: &Settings) -> Vec<Finding> {
    let of_profiles =
        library.profiles.values().flat_map(|profile| programs::of_profile(profile.name.as_str(), &profile.spec));
    let mut found = programs::findings(root, of_profiles.collect(), PROGRAMS);
    found.extend(site_program(settings));
    found
}

/// The site's own program, which is the machine's under any root.
pub(crate) fn site_program(settings: &Settings) -> Vec<Finding> {
    programs::findings(Path::new("/"), programs::of_site(settings).into_iter().collect(), PROGRAMS)
}

/// Whether this file names the program of a finding, as far as text tells.
pub(crate) fn names(source: &Source, finding: &Finding) -> bool {
    let by = finding.named.by.strip_prefix("profile ").unwrap_or_default();
    source.text.contains(by) && source.text.contains(&named(&finding.named.program))
}

/// Findings as problems of the files that name the programs.
pub(crate) fn as_problems(findings: &[Finding], sources: &[Source]) -> Vec<Problem> {
    let place = |finding: &Finding| {
        let program = named(&finding.named.program);
        let found = sources.iter().filter(|source| names(source, finding)).find_map(|source| {
            let mut lines = (1..).zip(source.text.lines());
            lines.find_map(|(number, line)| Some((source, number, line, line.find(&program)?)))
        });
        let column = found.map_or(0, |(_, _, line, at)| line.get(..at).map_or(0, |before| before.chars().count() + 1));
        Problem {
            file: found.map_or_else(|| finding.named.by.clone(), |(source, ..)| source.path.clone()),
            line: found.map_or(0, |(_, number, ..)| number),
            column: u64::try_from(column).unwrap_or(0),
            message: format!("{program} is not run: {}", finding.why),
            text: found.map_or_else(String::new, |(_, _, line, _)| line.to_owned()),
            hint: None,
        }
    };
    findings.iter().map(place).collect()
}

/// A file that was named on the command line: whoever names it answers for its owner and mode.
///
/// # Errors
/// It cannot be read, is too long, or holds no text.
pub(crate) fn source(path: &Path) -> Result<Source, Problem> {
    use std::io::Read;
    let refuse = |message: String| about(path, message);
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
    Ok(Source { path: named(path), text })
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
