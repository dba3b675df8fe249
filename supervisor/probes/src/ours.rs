//! Whether a process that looks like the one meant is that one: its place, user, program file and unit. It finds none.
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use wbd_agent_api::standing::{self, Measure, Users};
use wbd_model::profile::ProcessSelector;

use crate::cgroup;
use crate::runner::ProbeContext;
use crate::stat::{self, Process};
use crate::under::{self, absent, under};

/// Others of the name are told with their reason up to this many; the rest is counted.
const MOST_TOLD: usize = 3;
/// The kernel takes at most this much for a program's arguments, as shipped.
const MAX_ARGUMENTS: u64 = 2 << 20;
/// A reason names a path of somebody else's choice.
const MOST_CHARS: usize = 200;

/// What a process turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is meant.
    Ours,
    /// It is not, though it has the name; why.
    Other(String),
    /// It is not, and nothing made it look so.
    Unlike,
    /// It has ended.
    Gone,
    /// It cannot be told.
    Unreadable,
}

/// Processes that have the name and do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Others {
    pub(crate) count: usize,
    told: Vec<String>,
}

impl Others {
    /// One more.
    pub(crate) fn add(&mut self, process: &Process, why: &str) {
        self.count += 1;
        if self.told.len() < MOST_TOLD {
            let name = String::from_utf8_lossy(&process.comm);
            let why: String = why.chars().take(MOST_CHARS).collect();
            self.told.push(format!("{name} (pid {}) {why}", process.pid));
        }
    }

    /// All of them in words; empty for none.
    pub(crate) fn words(&self) -> String {
        if self.count == 0 {
            return String::new();
        }
        let more = self.count - self.told.len();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!("not counted: {}{more}", self.told.join("; "))
    }
}

/// Whether this process is meant. Its name has been looked at.
pub(crate) fn standing(context: &ProbeContext, selector: &ProcessSelector, process: &Process) -> Standing {
    let found = Candidate::new(context, selector, process).and_then(|candidate| candidate.standing());
    match found {
        Ok(standing) => standing,
        Err(error) if absent(&error) => Standing::Gone,
        Err(_) => Standing::Unreadable,
    }
}

/// Whether a process of this name that has ended and was not reaped may have been the one meant: nothing but its users and
/// its control group is left of it.
pub(crate) fn may_have_been(context: &ProbeContext, selector: &ProcessSelector, process: &Process) -> bool {
    let users = standing::users(&context.proc().join(process.pid.to_string()));
    let unit_fits =
        |unit: &String| cgroup::unit(context.proc(), process.pid).is_ok_and(|own| own.as_ref() == Some(unit));
    users.is_ok_and(|users| users.are_all(&wanted_users(context, selector)))
        && selector.unit.as_ref().is_none_or(unit_fits)
}

struct Candidate<'a> {
    context: &'a ProbeContext,
    selector: &'a ProcessSelector,
    process: &'a Process,
    folder: PathBuf,
    users: Users,
}

impl<'a> Candidate<'a> {
    fn new(context: &'a ProbeContext, selector: &'a ProcessSelector, process: &'a Process) -> io::Result<Self> {
        let folder = context.proc().join(process.pid.to_string());
        let users = standing::users(&folder)?;
        Ok(Self { context, selector, process, folder, users })
    }

    /// The cheap questions first; most processes of a host end at the first one.
    fn standing(&self) -> io::Result<Standing> {
        let other = self.other_program();
        if let Ok(Some(program)) = &other {
            return Ok(self.unlike(format!("runs {}", program.display())));
        }
        // Said by /proc/PID/status, which everybody may read.
        if let Some(why) = self.wrong_user() {
            return Ok(Standing::Other(why));
        }
        other?;
        if let Some(unit) = &self.selector.unit {
            let own = cgroup::unit(self.context.proc(), self.process.pid).map_err(io::Error::other)?;
            if own.as_ref() != Some(unit) {
                return Ok(self.unlike(own.map_or("belongs to no unit".to_owned(), |own| format!("belongs to {own}"))));
            }
        }
        if let Some(why) = self.foreign()? {
            return Ok(Standing::Other(why));
        }
        if let Some(word) = self.lacks_word()? {
            return Ok(self.unlike(format!("has no argument {word:?}")));
        }
        // The list may be a moment old, and the kernel gives numbers again.
        let now = stat::read(self.context.proc(), self.process.pid).map_err(io::Error::other)?;
        let is_same = now.is_some_and(|now| now.start_ticks == self.process.start_ticks);
        Ok(if is_same { Standing::Ours } else { Standing::Gone })
    }

    /// Without a name to look like, it looks like nothing.
    fn unlike(&self, why: String) -> Standing {
        if self.selector.comm.is_some() { Standing::Other(why) } else { Standing::Unlike }
    }

    /// Why its user is none that the selector means.
    fn wrong_user(&self) -> Option<String> {
        let selector = self.selector;
        let matters = selector.is_by_name_alone() || selector.health || !selector.user.is_empty();
        let wrong = matters && !self.users.are_all(&wanted_users(self.context, selector));
        wrong.then(|| format!("is uid {}'s", self.users.real()))
    }

    /// Why it is not this host's, or others chose what it runs.
    fn foreign(&self) -> io::Result<Option<String>> {
        let measure = Measure::take(self.context.proc(), geteuid().as_raw()).map_err(io::Error::other)?;
        match measure.elsewhere(&self.folder) {
            Ok(None) => {}
            // Root's own document in this root names it by process id and start: that is as good.
            Err(error) if self.selector.health && error.kind() == io::ErrorKind::PermissionDenied => {}
            found => return found,
        }
        if self.selector.exe.is_some() || self.selector.folder.is_some() {
            return measure.exchangeable(&self.folder, self.users, self.context.root());
        }
        let by_user = self.selector.unit.is_none() && !self.selector.health;
        let borrows = by_user && standing::borrows_rights(&self.folder)?;
        Ok(borrows.then(|| "runs a program that gives everybody its owner's rights".to_owned()))
    }

    /// Which program it runs, if not one that is meant.
    fn other_program(&self) -> io::Result<Option<PathBuf>> {
        let (exe, folder) = (self.selector.exe.as_ref(), self.selector.folder.as_ref());
        if exe.is_none() && folder.is_none() {
            return Ok(None);
        }
        let program = standing::program_path(&fs::read_link(self.folder.join("exe"))?);
        let fits = |wanted: &PathBuf, is_like: fn(&Path, &Path) -> bool| {
            let wanted = under(self.context.root(), wanted);
            is_like(&program, &wanted) || is_like(&program, &settled(&wanted))
        };
        let is_meant = exe.is_none_or(|exe| fits(exe, is_like)) && folder.is_none_or(|folder| fits(folder, is_below));
        Ok((!is_meant).then_some(program))
    }

    /// The first of the wanted arguments that it was not started with.
    fn lacks_word(&self) -> io::Result<Option<&String>> {
        if self.selector.args.is_empty() {
            return Ok(None);
        }
        let line = under::read(&self.folder.join("cmdline"), MAX_ARGUMENTS)?;
        let has = |word: &String| line.split(|byte| *byte == 0).skip(1).any(|argument| argument == word.as_bytes());
        Ok(self.selector.args.iter().find(|word| !has(word)))
    }
}

/// The kernel names the file itself, a profile may name a link to it: the name without links, as far as it has no `*`.
fn settled(wanted: &Path) -> PathBuf {
    let has_star = |path: &Path| path.as_os_str().as_bytes().contains(&b'*');
    let plain = wanted.ancestors().find(|path| !has_star(path)).unwrap_or(wanted);
    let rest = wanted.strip_prefix(plain).unwrap_or(Path::new(""));
    match fs::canonicalize(plain) {
        Ok(real) if rest.as_os_str().is_empty() => real,
        Ok(real) => real.join(rest),
        Err(_) => wanted.to_owned(),
    }
}

/// A folder on the way to it is like this one.
fn is_below(path: &Path, pattern: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| is_like(folder, pattern))
}

/// Name by name, a `*` for any part of one.
fn is_like(path: &Path, pattern: &Path) -> bool {
    let (mut names, mut patterns) = (path.components(), pattern.components());
    loop {
        match (names.next(), patterns.next()) {
            (None, None) => return true,
            (Some(name), Some(pattern)) if is_name_like(name.as_os_str(), pattern.as_os_str()) => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

pub(crate) fn is_name_like(name: &OsStr, pattern: &OsStr) -> bool {
    let mut parts = pattern.as_bytes().split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.as_bytes().strip_prefix(first) else { return false };
    let mut parts: Vec<&[u8]> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| window == part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// Whom the selector names, root where it names nobody; and whoever looks, if that is not root: stand-alone, what he
/// runs himself is his product.
fn wanted_users(context: &ProbeContext, selector: &ProcessSelector) -> Vec<u32> {
    let mut wanted: Vec<u32> = selector.user.iter().filter_map(|name| user(context, name)).collect();
    if selector.user.is_empty() {
        wanted.push(0);
    }
    if !geteuid().is_root() {
        wanted.push(geteuid().as_raw());
    }
    wanted
}

/// The number of a user under the root; nobody runs as one that is not there.
fn user(context: &ProbeContext, name: &str) -> Option<u32> {
    if name == "root" {
        return Some(0);
    }
    let list = under::text(&context.root().join("etc/passwd")).unwrap_or_default();
    let listed = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    });
    if listed.is_some() || context.root() != Path::new("/") {
        return listed;
    }
    // One that only a directory service knows.
    nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

#[cfg(test)]
#[path = "ours_tests.rs"]
mod tests;
