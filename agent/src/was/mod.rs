//! Which web application servers run on this host, a master with its workers once; what that means for a command is not decided here.

mod access_log;
mod kind;
mod known;
#[cfg(test)]
pub(crate) mod made_up;
mod ours;
mod process;

pub(crate) use access_log::check_access_log;
pub(crate) use known::Known;

use kind::{Kind, kind_of};
use ours::Standing;
use process::Process;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wbd_agent_api::standing::Measure;
use wbd_agent_api::{BytesPath, Language, WasKind, WasProcess, WasReport, WasRequirement};

/// Exactly one server is allowed for each language.
const ALLOWED: u32 = 1;
/// A host with more servers than this has them counted, but no more of them named.
const MAX_NAMED: usize = 32;
/// Of those that do not count, so many are named.
const MAX_OTHERS: usize = 8;

/// Looks through `/proc` (or a tree like it) for servers, and counts those that `languages` ask for. Where none is asked
/// for, nobody looks. Servers that are known are looked at each time; all others are while the count is wrong, and now
/// and then.
pub(crate) fn find_was(proc_root: &Path, languages: &BTreeSet<Language>, known: &mut Known) -> WasReport {
    if languages.is_empty() {
        *known = Known::default();
        return WasReport::default();
    }
    let is_server = |process: &Process| kind_of(process).is_some();
    known.read_servers(proc_root, is_server);
    if !known.is_list_due() {
        let report = report(proc_root, languages, known);
        if report.counts_right() == Some(true) {
            return report;
        }
    }
    known.list(proc_root, is_server);
    report(proc_root, languages, known)
}

fn report(proc_root: &Path, languages: &BTreeSet<Language>, known: &Known) -> WasReport {
    let Sorted { servers, others, unreadable } = sort(proc_root, known.servers());
    let mut found = Vec::new();
    let mut unsupported = BTreeSet::new();
    for (process, kind) in servers.values() {
        match kind {
            Kind::Supported(kind) if is_master(process, *kind, &servers) => {
                let exe = BytesPath::new(process.exe.clone().unwrap_or_else(|| process.name().into()));
                found.push(WasProcess { kind: *kind, pid: process.pid, exe });
            }
            Kind::Supported(_) => {}
            Kind::Unsupported(name) => {
                unsupported.insert((*name).to_string());
            }
        }
    }
    let required = languages
        .iter()
        .map(|language| WasRequirement { language: *language, running: count(&found, *language), allowed: ALLOWED })
        .collect();
    found.truncate(MAX_NAMED);
    let unreadable = known.unreadable() + unreadable;
    WasReport { required, found, unsupported: unsupported.into_iter().collect(), others, unreadable }
}

/// What looks like a server, by whose it is.
#[derive(Debug, Default)]
struct Sorted<'a> {
    servers: BTreeMap<u32, (&'a Process, Kind)>,
    /// Somebody's own and containers', each in words.
    others: Vec<String>,
    unreadable: u64,
}

fn sort<'a>(proc_root: &Path, processes: impl Iterator<Item = &'a Process>) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    let mut others = BTreeMap::new();
    let measure = Measure::take(proc_root, nix::unistd::geteuid().as_raw());
    for process in processes {
        let Some(kind) = kind_of(process) else { continue };
        let standing = measure.as_ref().map(|measure| ours::standing(proc_root, measure, process));
        match standing {
            Ok(Standing::Ours) => {
                sorted.servers.insert(process.pid, (process, kind));
            }
            Ok(Standing::Other(why)) => {
                others.insert(process.pid, (process, why));
            }
            Ok(Standing::Gone) => {}
            Ok(Standing::Unreadable) | Err(_) => sorted.unreadable += 1,
        }
    }
    // A master speaks for its workers here too.
    let masters =
        others.values().filter(|(process, _)| !process.says_worker() && !others.contains_key(&process.parent));
    sorted.others = masters.map(|(_, why)| why.clone()).take(MAX_OTHERS).collect();
    sorted
}

fn count(found: &[WasProcess], language: Language) -> u32 {
    u32::try_from(found.iter().filter(|was| serves(was.kind) == Some(language)).count()).unwrap_or(u32::MAX)
}

/// The language whose servers such a one counts among.
pub(crate) const fn serves(kind: WasKind) -> Option<Language> {
    match kind {
        WasKind::Apache | WasKind::Nginx => Some(Language::Php),
        WasKind::Tomcat => Some(Language::Jsp),
        // A php-fpm belongs to its nginx; alone it serves nobody.
        WasKind::PhpFpm | WasKind::Unknown => None,
    }
}

/// A worker is the child of a process of the same kind and program. A program that is being replaced on the fly
/// (nginx starts its new binary as a child of the old master) is thereby one server too.
fn is_master(process: &Process, kind: WasKind, servers: &BTreeMap<u32, (&Process, Kind)>) -> bool {
    if process.says_worker() {
        return false;
    }
    let Some((parent, parent_kind)) = servers.get(&process.parent) else {
        return true;
    };
    let same_program = match (&process.exe, &parent.exe) {
        (Some(own), Some(theirs)) => own == theirs,
        (None, _) | (_, None) => true,
    };
    !(same_program && *parent_kind == Kind::Supported(kind))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
