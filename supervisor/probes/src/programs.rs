//! Whether programs that profiles and settings name lie where nobody else could exchange them. Runs none of them.
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use wbd_model::place::{self, Entry, Misplaced};
use wbd_model::profile::{ProfileSpec, Sign, VersionSource};
use wbd_model::text::named;

use crate::under::under;

/// What is wrong with the place of a program below `root`, with the remedy. One that is not there is fine: its product
/// may not be installed. Nor is one whose way cannot be looked at wrong: whoever runs it looks again.
#[must_use]
pub fn misplaced(root: &Path, program: &Path) -> Option<String> {
    if !program.is_absolute() {
        return None;
    }
    let path = std::path::absolute(under(root, program)).ok()?;
    fs::metadata(&path).ok()?;
    match place::runnable(&path, nix::unistd::geteuid().as_raw(), &look) {
        Ok(_) | Err(Misplaced::Lost(_)) => None,
        Err(open @ Misplaced::Open { .. }) => Some(open.to_string()),
    }
}

/// A program and who names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// `profile iwss-ftp`, `on_escalation`.
    pub by: String,
    /// Its absolute path, as it is written there.
    pub program: PathBuf,
}

/// One whose place is open to others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The program.
    pub named: Named,
    /// What is wrong with its place, and what to do.
    pub why: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} names {}: {}", self.named.by, named(&self.named.program), self.why)
    }
}

/// All programs that a profile names: what it has run, what tells a version, and those that it takes for the product's.
#[must_use]
pub fn of_profile(name: &str, spec: &ProfileSpec) -> Vec<Named> {
    let run = spec.commands.values().filter_map(|command| command.argv.first()).map(PathBuf::from);
    let versions = spec.version.values().filter_map(|source| match source {
        VersionSource::Program(argv) => argv.first().map(PathBuf::from),
        VersionSource::Health {} | VersionSource::Package(_) | VersionSource::File(_) | VersionSource::Setting(_) => {
            None
        }
    });
    let signs = spec.present.any.iter().filter_map(|sign| match sign {
        Sign::Process(selector) => Some(selector),
        Sign::File(_) => None,
    });
    let processes = spec.process.values().chain(signs).filter_map(|selector| selector.exe.clone());
    let mut all: Vec<Named> =
        run.chain(versions).chain(processes).map(|program| Named { by: format!("profile {name}"), program }).collect();
    all.sort();
    all.dedup();
    all
}

/// Those of which the place is open to others. What does not answer in time (a dead mount) is left to whoever runs it.
#[must_use]
pub fn findings(root: &Path, programs: Vec<Named>, within: Duration) -> Vec<Finding> {
    let (sender, receiver) = sync_channel(programs.len());
    let (root, most) = (root.to_path_buf(), std::time::Instant::now() + within);
    thread::spawn(move || {
        for named in programs {
            if let Some(why) = misplaced(&root, &named.program)
                && sender.send(Finding { named, why }).is_err()
            {
                return;
            }
        }
    });
    let left = || most.saturating_duration_since(std::time::Instant::now());
    std::iter::from_fn(|| receiver.recv_timeout(left()).ok()).collect()
}

fn look(path: &Path) -> io::Result<Entry> {
    let about = fs::symlink_metadata(path)?;
    let link = if about.is_symlink() { Some(fs::read_link(path)?) } else { None };
    Ok(Entry { uid: about.uid(), mode: about.mode(), is_file: about.is_file(), link })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_open_folder_is_named_with_its_remedy_and_what_is_not_there_is_fine() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("opt/toy");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("fix"), "").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for folder in [root.path().join("opt"), folder.clone()] {
            mode(&folder, 0o755);
        }
        mode(&folder.join("fix"), 0o755);
        let of = |name: &str| misplaced(root.path(), Path::new(name));
        assert_eq!((of("/opt/toy/fix"), of("/opt/toy/none"), of("fix")), (None, None, None));
        mode(&folder, 0o777);
        let said = of("/opt/toy/fix").unwrap();
        assert!(
            said.contains(&format!("{} may be written by others (mode 0777); chmod go-w it", folder.display())),
            "{said}"
        );
        let programs =
            ["/opt/toy/fix", "/opt/toy/none"].map(|name| Named { by: "profile toy".into(), program: name.into() });
        let found = findings(root.path(), programs.into(), Duration::from_secs(20));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().starts_with("profile toy names /opt/toy/fix: "), "{}", found[0]);
        mode(&folder, 0o755);
        mode(&folder.join("fix"), 0o757);
        assert!(of("/opt/toy/fix").unwrap().contains("correct its owner and mode"));
    }

    #[test]
    fn every_program_that_a_profile_names_is_looked_at_once() {
        let spec = serde_json::json!({
            "present": {"any": [
                {"file": "/etc/v"},
                {"process": {"exe": "/opt/v/sign"}},
                {"process": {"comm": "v"}},
            ]},
            "process": {"main": {"exe": "/opt/v/x"}, "other": {"comm": "y"}, "again": {"exe": "/opt/v/sign"}},
            "commands": {"restart": {"argv": ["/opt/v/ctl", "restart"], "timeout": "9s", "class": "A3"}},
            "version": {
                "build": {"program": ["/opt/v/version", "-v"]},
                "installed": {"package": "v"},
                "running": {"health": {}},
                "file": {"file": "/opt/v/VERSION"},
            },
        });
        let named = of_profile("v", &serde_json::from_value(spec).unwrap());
        let wanted = ["/opt/v/ctl", "/opt/v/sign", "/opt/v/version", "/opt/v/x"];
        assert_eq!(named, wanted.map(|program| Named { by: "profile v".to_owned(), program: program.into() }));
    }
}
