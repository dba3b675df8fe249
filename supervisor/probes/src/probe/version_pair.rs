//! `version.pair`: reads two versions where the profile says they stand, and compares them. Which side to upgrade is
//! not its word.
use std::cmp::Ordering;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use wbd_agent_api::program::{Output, Program, run};
use wbd_agent_api::{ThisBoot, paths};
use wbd_model::observation::Observation;
use wbd_model::profile::VersionSource;

use crate::memo::Print;
use crate::packages;
use crate::procs;
use crate::runner::ProbeContext;
use crate::under::{self, under, why};

/// A program that has not said its version by then will not.
const PROGRAM_DEADLINE: Duration = Duration::from_secs(3);
/// The word of a program whose file is still the same is believed this long.
const SAME_WORD: Duration = Duration::from_secs(600);
const PROGRAM_OUTPUT: usize = 64 * 1024;
/// Only these parts must be equal, as the vendors write.
const LEADING: usize = 3;

pub(crate) fn look(context: &ProbeContext, left: &VersionSource, right: &VersionSource) -> Observation {
    let mut seen = Observation::default();
    let (left, right) = (version(context, left), version(context, right));
    for (field, side) in [("left", &left), ("right", &right)] {
        match side {
            Ok(version) => seen.know(field, version.to_string()),
            Err(reason) => seen.miss(field, reason.clone()),
        };
    }
    match (&left, &right) {
        (Ok(left), Ok(right)) => {
            let leading = left.compare(right, LEADING);
            let older = match leading {
                Ordering::Less => "left",
                Ordering::Equal => "none",
                Ordering::Greater => "right",
            };
            seen.know("same3", leading == Ordering::Equal)
                .know("equal", left.compare(right, usize::MAX) == Ordering::Equal)
                .know("older", older);
        }
        (Err(reason), _) | (_, Err(reason)) => {
            for field in ["same3", "equal", "older"] {
                seen.miss(field, reason.clone());
            }
        }
    }
    seen
}

/// A version by its parts; `None` is the `x` that stands for any number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    parts: Vec<Option<u64>>,
}

impl Version {
    /// Takes Debian's epoch and any revision or build mark off, and wants numbers between dots.
    fn parse(word: &str) -> Option<Self> {
        let word = word.trim_start_matches(['v', 'V']);
        let word = match word.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => word,
        };
        let end = word.find(['-', '+', '~', ',', ';', ')']).unwrap_or(word.len());
        let parts: Option<Vec<Option<u64>>> = word
            .get(..end)?
            .split('.')
            .map(|part| match part {
                "x" | "X" => Some(None),
                number => number.parse().ok().map(Some),
            })
            .collect();
        let parts = parts?;
        // A lone x would be equal to everything.
        parts.first()?.is_some().then_some(Self { parts })
    }

    /// Compares the first `count` parts; a part that is not written is 0.
    fn compare(&self, other: &Self, count: usize) -> Ordering {
        let longest = self.parts.len().max(other.parts.len());
        for index in 0..longest.min(count) {
            let part = |version: &Self| version.parts.get(index).copied().unwrap_or(Some(0));
            if let (Some(mine), Some(others)) = (part(self), part(other)) {
                let order = mine.cmp(&others);
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
        Ordering::Equal
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            match part {
                Some(number) => write!(f, "{number}")?,
                None => f.write_str("x")?,
            }
        }
        Ok(())
    }
}

fn version(context: &ProbeContext, source: &VersionSource) -> Result<Version, String> {
    let (place, word) = match source {
        VersionSource::Health {} => ("the running agent".to_owned(), of_health(context)?),
        VersionSource::Package(name) => (format!("package {name}"), of_package(context, name)?),
        VersionSource::File(path) => {
            let path = under(context.root(), path);
            (path.display().to_string(), of_file(&path)?)
        }
        VersionSource::Program(argv) => return of_program(context, argv),
        VersionSource::Setting(name) => (format!("facts.{name}"), of_setting(context, name)?),
    };
    Version::parse(&word).ok_or_else(|| format!("{place} says {word:?}, which is not a version"))
}

fn of_health(context: &ProbeContext) -> Result<String, String> {
    let document = wbd_agent_api::read(&paths::health(context.root())).map_err(|it| it.to_string())?;
    let boot = ThisBoot::now(context.proc());
    let live = document.is_of(&boot) && procs::still_runs(context.proc(), document.pid, document.start_ticks)?;
    if live { Ok(document.version) } else { Err("the agent does not run".to_owned()) }
}

fn of_setting(context: &ProbeContext, name: &str) -> Result<String, String> {
    context
        .runner
        .facts
        .get(name)
        .cloned()
        .ok_or_else(|| format!("no document names a place to read it; state it as `{name}` under facts: in wbd.yaml"))
}

fn of_file(path: &Path) -> Result<String, String> {
    let text = under::text(path).map_err(|error| why("read", path, &error))?;
    let first = text.lines().next().and_then(|line| line.split_whitespace().next());
    first.map(str::to_owned).ok_or_else(|| format!("the first line of {} is empty", path.display()))
}

/// The first word of the answer that looks like a version: digits, and a dot.
fn of_program(context: &ProbeContext, argv: &[String]) -> Result<Version, String> {
    let Some((path, args)) = argv.split_first() else {
        return Err("the profile names no program".to_owned());
    };
    if !Path::new(path).is_absolute() {
        return Err(format!("program {path} is not named by an absolute path; correct the profile"));
    }
    let said = said_lately(context, under(context.root(), Path::new(path)).as_path(), args)?;
    let words = said.split_whitespace();
    let mut versions = words.filter(|word| word.contains('.')).filter_map(Version::parse);
    versions.next().ok_or_else(|| format!("{path} says nothing that looks like a version"))
}

/// What it says, or said lately while its file was the same. Only of compiled programs: a script may read its version
/// anywhere.
fn said_lately(context: &ProbeContext, path: &Path, args: &[String]) -> Result<String, String> {
    let Some(print) = print(path) else { return said(context, path, args) };
    if let Some(word) = context.runner.memo.word(path, args, print, SAME_WORD) {
        return Ok(word);
    }
    let word = said(context, path, args)?;
    // A file that was changed meanwhile may have said either.
    if self::print(path) == Some(print) {
        context.runner.memo.keep_word(path, args, print, word.clone());
    }
    Ok(word)
}

/// The state of a compiled program's file; `None` for anything else.
fn print(path: &Path) -> Option<Print> {
    let mut file = File::open(path).ok()?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).ok()?;
    let it = file.metadata().ok().filter(|_| magic == *b"\x7fELF")?;
    let (written, changed) = ((it.mtime(), it.mtime_nsec()), (it.ctime(), it.ctime_nsec()));
    Some((it.dev(), it.ino(), it.size(), written, changed))
}

/// Standard output, or standard error where there is none: many a program says its version there.
fn said(context: &ProbeContext, path: &Path, args: &[String]) -> Result<String, String> {
    let program = Program {
        path: path.to_path_buf(),
        args: args.iter().map(Into::into).collect(),
        env: vec![("LC_ALL".to_owned(), "C".to_owned())],
        deadline: context.left(PROGRAM_DEADLINE),
        output: Output::Whole { most: PROGRAM_OUTPUT },
    };
    let said = run(&program).map_err(|error| error.to_string())?;
    if !said.status.success() {
        return Err(format!("{} failed: {}", path.display(), said.status));
    }
    let output = if said.stdout.is_empty() { said.stderr } else { said.stdout };
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn of_package(context: &ProbeContext, name: &str) -> Result<String, String> {
    packages::version(context, name)?.ok_or_else(|| format!("package {name} is not installed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, copy_program, document, known, unknown, write_script};
    use std::os::unix::fs::PermissionsExt;
    use wbd_model::observation::Value;

    #[test]
    fn versions_are_compared_by_number_and_x_is_any() {
        for (left, right, same3, equal, older) in [
            ("9.5.3.100", "9.5.3.200", true, false, "none"),
            ("9.5.3", "9.5.3.0", true, true, "none"),
            ("9.5.10", "9.5.9", false, false, "right"),
            ("9.5.x", "9.5.7", true, true, "none"),
            ("9.5.3.x", "9.5.3.7", true, true, "none"),
            ("9.4.9", "9.5.x", false, false, "left"),
            ("1:9.5.3-1", "v9.5.3", true, true, "none"),
            ("0.1.0+git", "0.1.0~rc1", true, true, "none"),
            ("1396", "1389", false, false, "right"),
        ] {
            let host = Host::new();
            let mut look_ = host.context();
            look_.runner.facts = [("l".to_owned(), left.to_owned()), ("r".to_owned(), right.to_owned())].into();
            let setting = |name: &str| VersionSource::Setting(name.into());
            let seen = look(&look_, &setting("l"), &setting("r"));
            assert_eq!(known(&seen, "same3"), Value::from(same3), "{left} {right}");
            assert_eq!(known(&seen, "equal"), Value::from(equal), "{left} {right}");
            assert_eq!(known(&seen, "older"), Value::from(older), "{left} {right}");
        }
        for word in ["", "x", "x.1", "abc", "9..5", "9.5.", "-1", "9.five", "99999999999999999999.1"] {
            assert_eq!(Version::parse(word), None, "{word}");
        }
    }

    #[test]
    fn one_side_unseen_leaves_the_other_known_and_the_comparison_unknown() {
        let host = Host::new();
        host.file("opt/v", "9.5.3 built today\nsecond\n");
        let file = VersionSource::File("/opt/v".into());
        let seen = look(&host.context(), &file, &VersionSource::Setting("dsva.driver".into()));
        assert_eq!(known(&seen, "left"), Value::from("9.5.3"));
        assert!(unknown(&seen, "right").contains("dsva.driver"));
        assert!(unknown(&seen, "same3").contains("dsva.driver"));
    }

    #[test]
    fn a_package_counts_only_while_it_is_installed() {
        let host = Host::new();
        host.file(
            "var/lib/dpkg/status",
            "Package: other\nStatus: install ok installed\nVersion: 1.0\n\n\
             Package: gone\nStatus: deinstall ok config-files\nVersion: 2.0\n\n\
             Package: wbd\nStatus: install ok installed\nDescription: x\n Version: 9\nVersion: 2:1.4.2-3\n",
        );
        let package = |name: &str| version(&host.context(), &VersionSource::Package(name.into()));
        assert_eq!(package("wbd").unwrap().to_string(), "1.4.2");
        assert!(package("gone").unwrap_err().contains("not installed"));
        assert!(package("absent").unwrap_err().contains("not installed"));
        let none = Host::new();
        let source = VersionSource::Package("wbd".into());
        assert!(version(&none.context(), &source).unwrap_err().contains("neither"));
    }

    #[test]
    fn a_compiled_program_is_asked_again_only_when_its_file_changed() {
        let host = Host::new();
        let path = host.root().join("opt/echo");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        copy_program("/bin/echo", &path);
        let runner = host.runner();
        let args = ["1.2.3".to_owned()];
        let until = std::time::Instant::now() + Duration::from_secs(5);
        let context = ProbeContext { runner, until };
        assert_eq!(said_lately(&context, &path, &args).unwrap().trim(), "1.2.3");
        let print = print(&path).unwrap();
        context.runner.memo.keep_word(&path, &args, print, "9.9.9".to_owned());
        assert_eq!(said_lately(&context, &path, &args).unwrap(), "9.9.9", "it was not run");
        copy_program("/bin/echo", &path);
        assert_eq!(said_lately(&context, &path, &args).unwrap().trim(), "1.2.3", "its file was written");
        assert!(super::print(&host.file("opt/script", "#!/bin/sh\n")).is_none());
    }

    #[test]
    fn a_program_is_asked_below_the_root() {
        let host = Host::new();
        let path = host.root().join("opt/agent");
        std::fs::create_dir_all(host.root().join("opt")).unwrap();
        write_script(&path, "#!/bin/sh\necho 'agent 3. version 1.2.3-beta (x)'\n");
        let ask = |argv: &[&str]| {
            let argv = argv.iter().map(|word| (*word).to_owned()).collect();
            version(&host.context(), &VersionSource::Program(argv))
        };
        assert!(ask(&["/opt/agent"]).unwrap_err().contains("cannot start"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(ask(&["/opt/agent", "--version"]).unwrap().to_string(), "1.2.3");
        write_script(&path, "#!/bin/sh\necho 1.2.3; exit 1\n");
        assert!(ask(&["/opt/agent"]).unwrap_err().contains("failed"));
        write_script(&path, "#!/bin/sh\necho none\n");
        assert!(ask(&["/opt/agent"]).unwrap_err().contains("nothing"));
        assert!(ask(&["agent"]).is_err() && ask(&[]).is_err());
    }

    #[test]
    fn the_running_agent_must_run() {
        let host = Host::new();
        host.process(1, "init").write();
        host.process(5, "wbd_agent").write();
        host.health(&document(5, 10_000));
        let health = VersionSource::Health {};
        assert_eq!(version(&host.context(), &health).unwrap().to_string(), "1.2.3");
        host.health(&document(5, 1));
        assert!(version(&host.context(), &health).unwrap_err().contains("does not run"));
    }
}
