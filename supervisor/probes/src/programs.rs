//! Whether programs that profiles and settings name may be run: they lie where nobody else could exchange them, and are no
//! shell or the like behind their links. Runs none of them.
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use wbd_model::forbidden::{self, Purpose};
use wbd_model::place::{self, Entry, Misplaced};
use wbd_model::profile::{ProfileSpec, Sign, VersionSource};
use wbd_model::settings::Settings;
use wbd_model::text::named;

use crate::under::{absent, under};

/// What is wrong with a program below `root`, with the remedy: its place, or what it is behind its links. One that is not
/// there is fine: its product may not be installed. Nor is one whose way cannot be looked at wrong: whoever runs it looks
/// again.
#[must_use]
pub fn unfit(root: &Path, named: &Named) -> Option<String> {
    if !named.program.is_absolute() {
        return None;
    }
    let path = std::path::absolute(under(root, &named.program)).ok()?;
    if let Err(error) = fs::metadata(&path) {
        // Whom to notify belongs to no product that may not be installed.
        let is_missing = error.kind() == io::ErrorKind::NotFound && named.is_for(Purpose::Notify);
        return is_missing.then(|| "it is not there, and nobody would be notified; correct its path".to_owned());
    }
    let real = match place::runnable(&path, nix::unistd::geteuid().as_raw(), &look) {
        Ok(real) => real,
        Err(Misplaced::Lost(_)) => return None,
        Err(open @ Misplaced::Open { .. }) => return Some(open.to_string()),
    };
    let (purpose, arguments) = named.run.as_ref()?;
    let within = fs::canonicalize(root).ok()?;
    let below = Path::new("/").join(real.strip_prefix(&within).ok()?);
    forbidden::why(*purpose, [named.program.as_path(), &below], arguments)
}

/// A program and who names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// `profile iwss-ftp`, `on_escalation`.
    pub by: String,
    /// Its absolute path, as it is written there.
    pub program: PathBuf,
    /// What it is run for, and with which arguments; `None`: it is not run.
    pub run: Option<(Purpose, Vec<String>)>,
}

impl Named {
    fn is_for(&self, wanted: Purpose) -> bool {
        self.run.as_ref().is_some_and(|(purpose, _)| *purpose == wanted)
    }

    fn argv(by: &str, argv: &[String], purpose: Purpose) -> Option<Self> {
        let (program, arguments) = argv.split_first()?;
        Some(Self { by: by.to_owned(), program: program.into(), run: Some((purpose, arguments.to_vec())) })
    }
}

/// One that is not run as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The program.
    pub named: Named,
    /// What is wrong with it, and what to do.
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
    let by = format!("profile {name}");
    let run = spec.commands.values().filter_map(|command| Named::argv(&by, &command.argv, Purpose::Act));
    let versions = spec.version.values().filter_map(|source| match source {
        // What tells a version is lint's to judge: it only answers.
        VersionSource::Program(argv) => argv.first().map(PathBuf::from),
        VersionSource::Health {} | VersionSource::Package(_) | VersionSource::File(_) | VersionSource::Setting(_) => {
            None
        }
    });
    let signs = spec.present.any.iter().filter_map(|sign| match sign {
        Sign::Process(selector) => Some(selector),
        Sign::File(_) | Sign::Package(_) => None,
    });
    let processes = spec.process.values().chain(signs).filter_map(|selector| selector.exe.clone());
    let looked_at = versions.chain(processes).map(|program| Named { by: by.clone(), program, run: None });
    let mut all: Vec<Named> = run.chain(looked_at).collect();
    all.sort();
    all.dedup();
    all
}

/// The site's own program of `on_escalation`.
#[must_use]
pub fn of_site(settings: &Settings) -> Option<Named> {
    Named::argv("on_escalation", &settings.on_escalation, Purpose::Notify)
}

/// Those that are not run as they are. What does not answer in time (a dead mount) is left to whoever runs it.
#[must_use]
pub fn findings(root: &Path, programs: Vec<Named>, within: Duration) -> Vec<Finding> {
    let (sender, receiver) = sync_channel(programs.len());
    let (root, most) = (root.to_path_buf(), std::time::Instant::now() + within);
    thread::spawn(move || {
        for named in programs {
            if let Some(why) = unfit(&root, &named)
                && sender.send(Finding { named, why }).is_err()
            {
                return;
            }
        }
    });
    let left = || most.saturating_duration_since(std::time::Instant::now());
    std::iter::from_fn(|| receiver.recv_timeout(left()).ok()).collect()
}

/// Where programs lie that are typed by their name.
const SEARCHED: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Those of these programs, by name or absolute path, that are nowhere below `root`. One that cannot be looked for in
/// time, or at all, is not said to be missing.
#[must_use]
pub fn lacking(root: &Path, programs: BTreeSet<String>, within: Duration) -> BTreeSet<String> {
    let (sender, receiver) = sync_channel(programs.len());
    let (root, most) = (root.to_path_buf(), std::time::Instant::now() + within);
    thread::spawn(move || {
        for program in programs {
            if is_nowhere(&root, &program) && sender.send(program).is_err() {
                return;
            }
        }
    });
    let left = || Some(most.saturating_duration_since(std::time::Instant::now())).filter(|left| !left.is_zero());
    std::iter::from_fn(|| receiver.recv_timeout(left()?).ok()).collect()
}

fn is_nowhere(root: &Path, program: &str) -> bool {
    // A link counts as what it leads to, which below another root is not to be followed from here.
    let is_missing = |path: &Path| fs::symlink_metadata(under(root, path)).is_err_and(|error| absent(&error));
    if program.starts_with('/') {
        return is_missing(Path::new(program));
    }
    SEARCHED.iter().all(|folder| is_missing(&Path::new(folder).join(program)))
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
    fn a_program_is_looked_for_below_the_root_where_programs_lie_and_one_that_cannot_be_seen_is_not_missing() {
        let root = tempfile::tempdir().unwrap();
        for file in ["usr/sbin/nft", "usr/local/bin/dig", "opt/p/bin/fix", "opt/other"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("/etc/alternatives/nc", root.path().join("usr/local/bin/nc")).unwrap();
        // A file in the place of a folder holds nothing.
        fs::write(root.path().join("bin"), "").unwrap();
        let lacking = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            super::lacking(root.path(), names, Duration::from_secs(20)).into_iter().collect::<Vec<String>>()
        };
        assert_eq!(lacking(&["nft", "dig", "nc", "/opt/p/bin/fix"]), Vec::<String>::new());
        assert_eq!(lacking(&["other", "sh", "/opt/p/bin/other", "nft"]), ["/opt/p/bin/other", "other", "sh"]);
        let names = BTreeSet::from(["sh".to_owned()]);
        assert_eq!(super::lacking(root.path(), names, Duration::ZERO), BTreeSet::new(), "no time to look");
    }

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
        let by = |name: &str| Named { by: "profile toy".into(), program: name.into(), run: None };
        let of = |name: &str| unfit(root.path(), &by(name));
        assert_eq!((of("/opt/toy/fix"), of("/opt/toy/none"), of("fix")), (None, None, None));
        mode(&folder, 0o777);
        let said = of("/opt/toy/fix").unwrap();
        assert!(
            said.contains(&format!("{} may be written by others (mode 0777); chmod go-w it", folder.display())),
            "{said}"
        );
        let found = findings(root.path(), ["/opt/toy/fix", "/opt/toy/none"].map(by).into(), Duration::from_secs(20));
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
        let run = Some((Purpose::Act, vec!["restart".to_owned()]));
        let wanted = [("/opt/v/ctl", run), ("/opt/v/sign", None), ("/opt/v/version", None), ("/opt/v/x", None)];
        assert_eq!(
            named,
            wanted.map(|(program, run)| Named { by: "profile v".to_owned(), program: program.into(), run })
        );
    }

    #[test]
    fn a_link_to_what_no_playbook_runs_is_named_and_one_to_the_vendors_own_program_is_not() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.path().join(at)).unwrap();
        let folder =
            |path: &str| fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
        put("usr/bin/dash");
        put("usr/bin/systemctl");
        put("opt/toy/real");
        for path in ["usr", "usr/bin", "opt", "opt/toy"] {
            folder(path);
        }
        link("usr/bin", "bin");
        link("../../bin/dash", "opt/toy/fix");
        link("../../bin/systemctl", "opt/toy/restart");
        link("real", "opt/toy/link");
        let said = |name: &str, purpose: Purpose, arguments: &[&str]| {
            let arguments = arguments.iter().map(|&it| it.to_owned()).collect();
            unfit(
                root.path(),
                &Named { by: "profile toy".into(), program: name.into(), run: Some((purpose, arguments)) },
            )
        };
        assert!(said("/opt/toy/fix", Purpose::Act, &["-c", "reboot"]).unwrap().starts_with("dash is a shell"));
        assert!(said("/opt/toy/restart", Purpose::Act, &["restart", "x"]).unwrap().contains("unit.restart"));
        assert_eq!(said("/opt/toy/link", Purpose::Act, &["-c"]), None);
        assert_eq!(said("/opt/toy/restart", Purpose::Notify, &["start", "page.service"]), None);
        assert!(said("/opt/toy/fix", Purpose::Notify, &["-c", "mail root"]).is_some());
        assert_eq!(said("/opt/toy/none", Purpose::Act, &[]), None, "its product may not be installed");
        assert!(said("/opt/toy/none", Purpose::Notify, &[]).unwrap().contains("it is not there"));
    }
}
