//! Which version of a package is installed, by dpkg's list or by rpm's word. It asks nobody for newer ones.
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use wbd_agent_api::program::{Output, Program, run};

use crate::memo::Print;
use crate::program_file::is_there;
use crate::runner::ProbeContext;
use crate::under::{absent, why};

const DPKG: &str = "var/lib/dpkg/status";
const RPM: &str = "usr/bin/rpm";
/// The package database of a full desktop has 10 MB.
const MAX_DPKG_STATUS: u64 = 256 * 1024 * 1024;
/// rpm's list lies in one of several databases, so its word is taken again after this time.
const RPM_AGAIN: Duration = Duration::from_secs(60);
/// While dpkg's list is the same file, its word holds; a day only bounds what is kept.
const DPKG_AGAIN: Duration = Duration::from_secs(86_400);
const RPM_DEADLINE: Duration = Duration::from_secs(5);
const RPM_OUTPUT: usize = 64 << 10;
/// How rpm says that it has no such package; its exit status says the same of any trouble.
const NOT_INSTALLED: &str = "is not installed";

/// Whether it is installed. On a host without a list of packages none is.
pub(crate) fn is_installed(context: &ProbeContext, name: &str) -> Result<bool, String> {
    let lists = [DPKG, RPM].map(|list| is_there(&context.root().join(list)));
    if lists == [Ok(false), Ok(false)] {
        return Ok(false);
    }
    version(context, name).map(|version| version.is_some())
}

/// Its version; `None`: it is not installed.
pub(crate) fn version(context: &ProbeContext, name: &str) -> Result<Option<String>, String> {
    let dpkg = context.root().join(DPKG);
    let about = match fs::metadata(&dpkg) {
        Ok(about) => Some(about),
        Err(error) if absent(&error) => None,
        Err(error) => return Err(why("look at", &dpkg, &error)),
    };
    match about {
        Some(about) => {
            let (written, changed) = ((about.mtime(), about.mtime_nsec()), (about.ctime(), about.ctime_nsec()));
            let print = (about.dev(), about.ino(), about.size(), written, changed);
            lately(context, &dpkg, name, print, DPKG_AGAIN, || {
                let file = File::open(&dpkg).map_err(|error| why("read", &dpkg, &error))?;
                let reader = BufReader::new(file.take(MAX_DPKG_STATUS));
                in_dpkg(reader, name).map_err(|error| why("read", &dpkg, &error))
            })
        }
        None => {
            let rpm = context.root().join(RPM);
            if !rpm.is_file() {
                return Err("this host has neither dpkg's nor rpm's package list".to_owned());
            }
            let print = (0, 0, 0, (0, 0), (0, 0));
            lately(context, &rpm, name, print, RPM_AGAIN, || by_rpm(context, &rpm, name))
        }
    }
}

/// What was said of this package a while ago, if that still holds; else what is said now.
fn lately(
    context: &ProbeContext,
    list: &Path,
    name: &str,
    print: Print,
    age: Duration,
    ask: impl FnOnce() -> Result<Option<String>, String>,
) -> Result<Option<String>, String> {
    let (memo, key) = (&context.runner.memo, [name.to_owned()]);
    let said = match memo.word(list, &key, print, age) {
        Some(said) => said,
        None => {
            let said = ask()?.unwrap_or_default();
            memo.keep_word(list, &key, print, said.clone());
            said
        }
    };
    Ok(Some(said).filter(|said| !said.is_empty()))
}

fn by_rpm(context: &ProbeContext, rpm: &Path, name: &str) -> Result<Option<String>, String> {
    let program = Program {
        path: rpm.to_path_buf(),
        args: ["-q", "--qf", "%{VERSION}\\n", "--", name].map(Into::into).to_vec(),
        env: vec![("LC_ALL".to_owned(), "C".to_owned())],
        deadline: context.left(RPM_DEADLINE),
        output: Output::Whole { most: RPM_OUTPUT },
    };
    let said = run(&program).map_err(|error| format!("package {name}: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    if !said.status.success() {
        let is_absent = text.trim_end().ends_with(NOT_INSTALLED);
        return if is_absent { Ok(None) } else { Err(format!("package {name}: {} {}", rpm.display(), said.status)) };
    }
    let mut versions: Vec<&str> = text.lines().collect();
    versions.dedup();
    match versions.as_slice() {
        [version] => Ok(Some((*version).to_owned())),
        _ => Err(format!("package {name} is installed in several versions: {}", versions.join(", "))),
    }
}

fn in_dpkg(reader: impl BufRead, name: &str) -> std::io::Result<Option<String>> {
    let (mut package, mut installed, mut version) = (false, false, None);
    let mut lines = reader.split(b'\n');
    loop {
        let line = lines.next().transpose()?;
        let text = line.as_deref().map(String::from_utf8_lossy);
        match text.as_deref() {
            None | Some("") => {
                if package && installed && version.is_some() {
                    return Ok(version);
                }
                if text.is_none() {
                    return Ok(None);
                }
                (package, installed, version) = (false, false, None);
            }
            Some(text) => match text.split_once(": ") {
                Some(("Package", value)) => package = value == name,
                Some(("Status", value)) => installed = value.ends_with(" installed"),
                Some(("Version", value)) => version = Some(value.to_owned()),
                _ => {}
            },
        }
    }
}
