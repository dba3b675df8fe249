//! `package.lock`: which process holds a package manager's lock, as the kernel has it. It takes no lock and waits for
//! none.
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;

use crate::procs::{self, Process};
use crate::runner::ProbeContext;
use crate::under::{self, absent, under, why};

/// How a lock is taken.
enum Way {
    /// A lock of the kernel on the file; it ends with its process.
    Kernel,
    /// The process id stands in the file, which may outlive its process.
    Number,
}

/// Every lock: whose, its file and how it is taken. What is asked for first is told first.
const LOCKS: [(&str, &str, Way); 10] = [
    ("dpkg", "/var/lib/dpkg/lock-frontend", Way::Kernel),
    ("dpkg", "/var/lib/dpkg/lock", Way::Kernel),
    ("apt", "/var/lib/apt/lists/lock", Way::Kernel),
    ("apt", "/var/cache/apt/archives/lock", Way::Kernel),
    // Where rpm keeps its database: as it was, and as it is since Fedora 36 and RHEL 10.
    ("rpm", "/var/lib/rpm/.rpm.lock", Way::Kernel),
    ("rpm", "/usr/lib/sysimage/rpm/.rpm.lock", Way::Kernel),
    ("dnf", "/var/lib/dnf/rpmdb_lock.pid", Way::Number),
    ("dnf", "/var/cache/dnf/metadata_lock.pid", Way::Number),
    ("dnf", "/var/cache/dnf/download_lock.pid", Way::Number),
    ("yum", "/var/run/yum.pid", Way::Number),
];
/// The locks that are held while packages are changed.
const CHANGING: [&str; 6] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/var/lib/dnf/rpmdb_lock.pid",
    "/var/run/yum.pid",
];
/// Programs that write their number into dnf's and yum's files, by the beginning of their names.
const NUMBERED: [&str; 4] = ["dnf", "yum", "microdnf", "packagekitd"];

/// One lock that is held.
struct Held {
    manager: &'static str,
    file: &'static str,
    /// Or why it cannot be seen.
    holder: Result<Process, String>,
}

pub(crate) fn look(context: &ProbeContext, manager: Option<&str>) -> Observation {
    let (held, unseen) = held(context, |whose, _| manager.is_none_or(|manager| manager == whose));
    match (held.first(), unseen) {
        (Some(first), _) => told(context, first, &held),
        (None, Some(reason)) => Observation::unseen(ProbeName::PackageLock.fields(), &reason),
        (None, None) => {
            let mut seen = Observation::unseen(ProbeName::PackageLock.fields(), "no lock is held");
            seen.know("held", false).know("manager", "none").know("lock", "").know("program", "").know("detail", "");
            seen
        }
    }
}

/// Who works on packages now, in words, as the locks show it that are held while packages are changed: not those of lists
/// and downloads.
pub(crate) fn at_work(context: &ProbeContext) -> Result<Option<(String, &'static str)>, String> {
    let (held, unseen) = held(context, |_, file| CHANGING.contains(&file));
    match (held.first(), unseen) {
        (Some(first), _) => {
            let who = match &first.holder {
                Ok(process) => format!("{} (process {})", name(process), process.pid),
                Err(_) => first.manager.to_owned(),
            };
            Ok(Some((who, first.file)))
        }
        (None, Some(reason)) => Err(reason),
        (None, None) => Ok(None),
    }
}

/// The wanted locks that are held, and why one could not be looked at.
fn held(context: &ProbeContext, wanted: impl Fn(&str, &str) -> bool) -> (Vec<Held>, Option<String>) {
    let mut unseen = None;
    let mut held = Vec::new();
    for (whose, file, way) in LOCKS.iter().filter(|(whose, file, _)| wanted(whose, file)) {
        let path = under(context.root(), Path::new(file));
        let holder = match way {
            Way::Kernel => of_kernel(context, &path),
            Way::Number => of_number(context, &path),
        };
        match holder {
            Ok(None) => {}
            Ok(Some(holder)) => held.push(Held { manager: whose, file, holder }),
            Err(reason) => unseen = unseen.or(Some(reason)),
        }
    }
    (held, unseen)
}

fn told(context: &ProbeContext, first: &Held, all: &[Held]) -> Observation {
    let number = |held: &Held| held.holder.as_ref().map_or_else(|_| "?".to_owned(), |it| it.pid.to_string());
    let detail: Vec<String> = all.iter().map(|held| format!("{}={}", held.file, number(held))).collect();
    let mut seen = Observation::default();
    seen.know("held", true).know("manager", first.manager).know("lock", first.file).know("detail", detail.join(" "));
    match &first.holder {
        Ok(process) => {
            seen.know("pid", i64::from(process.pid)).know("program", name(process));
            match procs::age_s(context.proc(), process.start_ticks) {
                Ok(age) => seen.know("running_s", age),
                Err(reason) => seen.miss("running_s", reason),
            };
        }
        Err(reason) => {
            for field in ["pid", "program", "running_s"] {
                seen.miss(field, reason.clone());
            }
        }
    }
    seen
}

/// Asks the kernel who would keep a writer out. Only the right to read is needed, and nothing is taken.
fn of_kernel(context: &ProbeContext, path: &Path) -> Result<Option<Result<Process, String>>, String> {
    let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) => file,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(why("look at the lock", path, &error)),
    };
    let mut asked = whole_file()?;
    let answer = fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked));
    answer.map_err(|error: Errno| why("look at the lock", path, &error.into()))?;
    if i32::from(asked.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    let Some(pid) = u32::try_from(asked.l_pid).ok().filter(|pid| *pid > 0) else {
        return Ok(Some(Err(
            "the kernel does not name its holder here: it may run in another pid namespace".to_owned()
        )));
    };
    let process = procs::read(context.proc(), pid)?;
    Ok(Some(process.ok_or_else(|| format!("its holder, process {pid}, has ended"))))
}

/// A number counts only while a process of it lives whose name fits: the file stays when its writer is killed.
fn of_number(context: &ProbeContext, path: &Path) -> Result<Option<Result<Process, String>>, String> {
    let Some(text) = under::text_if_there(path)? else { return Ok(None) };
    let Ok(pid) = text.trim().parse::<u32>() else {
        // Just made and not yet written, or damaged: dnf itself refuses to work beside such a file.
        return Err(format!("{} names no process", path.display()));
    };
    let Some(process) = procs::read(context.proc(), pid)? else { return Ok(None) };
    let lives = procs::still_runs(context.proc(), pid, process.start_ticks)?;
    Ok((lives && fits(context, &process)?).then_some(Ok(process)))
}

/// Its own name, or that of the script that it runs: dnf and yum are Python's.
fn fits(context: &ProbeContext, process: &Process) -> Result<bool, String> {
    let numbered = |name: &OsStr| NUMBERED.iter().any(|known| name.as_bytes().starts_with(known.as_bytes()));
    if numbered(OsStr::from_bytes(&process.comm)) {
        return Ok(true);
    }
    let path = context.proc().join(process.pid.to_string()).join("cmdline");
    let line = match under::read(&path, under::SMALL) {
        Ok(line) => line,
        Err(error) if absent(&error) => return Ok(false),
        Err(error) => return Err(why("read", &path, &error)),
    };
    let script = line.split(|byte| *byte == 0).nth(1).map(|word| Path::new(OsStr::from_bytes(word)));
    Ok(script.and_then(Path::file_name).is_some_and(numbered))
}

/// As a writer would ask; the number must be 0.
fn whole_file() -> Result<libc::flock, String> {
    let word = |word: i32| libc::c_short::try_from(word).map_err(|error| error.to_string());
    let (l_type, l_whence) = (word(libc::F_WRLCK)?, word(libc::SEEK_SET)?);
    Ok(libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 })
}

fn name(process: &Process) -> String {
    String::from_utf8_lossy(&process.comm).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::ProbeRunner;
    use crate::testing::{Host, known, unknown};
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};
    use wbd_model::observation::Value;

    /// Names the file to the child that is to lock it.
    const HOLDS: &str = "WBD_TEST_HOLDS_LOCK";

    /// What the child does: holds the lock until nobody listens any more.
    fn hold(path: &OsStr) {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        fcntl(&file, FcntlArg::F_SETLK(&whole_file().unwrap())).unwrap();
        writeln!(std::io::stdout(), "locked").unwrap();
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }

    /// A child that holds the lock: this test program, asked to do one test only, which sees [`HOLDS`].
    fn holder(path: &Path, test: &str) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("probe::package_lock::tests::{test}"), "--nocapture"])
            .env(HOLDS, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("locked")), "the child did not lock {path:?}");
        child
    }

    /// A made-up root with the real processes.
    fn real(host: &Host) -> ProbeContext {
        let mut context = host.context();
        context.runner.proc = ProbeRunner::new("/").proc;
        context
    }

    #[test]
    fn a_lock_is_told_with_its_holder_while_that_lives_and_not_after() {
        if let Some(path) = std::env::var_os(HOLDS) {
            return hold(&path);
        }
        let host = Host::new();
        let path = host.file("var/lib/dpkg/lock-frontend", "");
        host.file("var/lib/dpkg/lock", "");
        let seen = look(&real(&host), None);
        assert_eq!((known(&seen, "held"), known(&seen, "manager")), (false.into(), "none".into()), "a file is no lock");

        let mut child = holder(&path, "a_lock_is_told_with_its_holder_while_that_lives_and_not_after");
        let seen = look(&real(&host), None);
        let pid = i64::from(child.id());
        assert_eq!((known(&seen, "held"), known(&seen, "manager")), (true.into(), "dpkg".into()));
        assert_eq!((known(&seen, "pid"), known(&seen, "lock")), (pid.into(), "/var/lib/dpkg/lock-frontend".into()));
        assert_eq!(known(&seen, "detail"), Value::from(format!("/var/lib/dpkg/lock-frontend={pid}")));
        let Value::Text(program) = known(&seen, "program") else { panic!("no text") };
        assert!(program.starts_with("wbd_probes"), "{program}");
        assert!(matches!(known(&seen, "running_s"), Value::Int(0..600)));
        assert_eq!(known(&look(&real(&host), Some("apt")), "held"), false.into(), "another one's lock");

        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        child.wait().unwrap();
        assert_eq!(known(&look(&real(&host), None), "held"), false.into());
    }

    #[test]
    fn a_number_in_a_file_counts_only_while_its_own_program_runs() {
        let host = Host::new();
        host.process(1, "init").write();
        let dnf = || look(&host.context(), Some("dnf"));
        host.file("var/lib/dnf/rpmdb_lock.pid", "77");
        assert_eq!(known(&dnf(), "held"), false.into(), "its process is gone");
        host.process(77, "sshd").write();
        assert_eq!(known(&dnf(), "held"), false.into(), "the number is another program's now");
        host.process(77, "dnf").write();
        let seen = dnf();
        assert_eq!((known(&seen, "held"), known(&seen, "pid")), (true.into(), 77.into()));
        assert_eq!((known(&seen, "program"), known(&seen, "running_s")), ("dnf".into(), 900.into()));
        let mut zombie = host.process(77, "dnf");
        zombie.state = 'Z';
        zombie.write();
        assert_eq!(known(&dnf(), "held"), false.into(), "it has ended");
        host.process(77, "python3").write();
        host.file("proc/77/cmdline", "/usr/bin/python3\0/usr/bin/dnf\0upgrade\0");
        assert_eq!(known(&dnf(), "held"), true.into(), "Python runs it");
        host.file("proc/77/cmdline", "/usr/bin/python3\0/srv/dns.py\0dnf\0");
        assert_eq!(known(&dnf(), "held"), false.into(), "an argument is no program");
        for text in ["", "no number\n"] {
            host.file("var/lib/dnf/rpmdb_lock.pid", text);
            assert!(unknown(&dnf(), "held").contains("rpmdb_lock.pid names no process"), "{text:?} says neither");
        }
    }

    #[test]
    fn a_lock_that_cannot_be_looked_at_is_unknown_unless_another_is_held() {
        let host = Host::new();
        host.process(1, "init").write();
        // Nobody opens a link to itself, root no more than another.
        host.link("var/lib/dpkg/lock", "lock");
        let seen = look(&host.context(), None);
        assert!(unknown(&seen, "held").contains("var/lib/dpkg/lock"));
        host.process(5, "yum").write();
        host.file("var/run/yum.pid", "5\n");
        let seen = look(&host.context(), None);
        assert_eq!((known(&seen, "held"), known(&seen, "manager")), (true.into(), "yum".into()));
        assert_eq!(known(&look(&host.context(), Some("rpm")), "held"), false.into());
    }
}
