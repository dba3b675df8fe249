//! Tests of whose a process is, with real processes; those that need root say so where it is missing.

use super::*;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROC: &str = "/proc";
const USER: u32 = 12_345;

/// A process that waits for the end of its input; it ends with the test.
struct Waiting {
    child: Child,
    pid: u32,
}

impl Waiting {
    /// `cat`, or a copy of it, started by this command line; with all its wrappers it may be a grandchild.
    fn start(line: &[&str]) -> Self {
        let mut command = Command::new(line[0]);
        let child = command.args(&line[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut waiting = Self { pid: child.id(), child };
        let program = Path::new(line[line.len() - 1]);
        let wanted = fs::canonicalize(program).unwrap();
        let is_there = |pid: u32| {
            let link = fs::read_link(format!("{PROC}/{pid}/exe")).ok();
            link.is_some_and(|link| link == wanted || link.file_name() == wanted.file_name())
        };
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(pid) = family(waiting.pid).into_iter().find(|pid| is_there(*pid)) {
                waiting.pid = pid;
                return waiting;
            }
            assert!(Instant::now() < until, "{line:?} does not run");
            std::thread::yield_now();
        }
    }

    fn folder(&self) -> PathBuf {
        Path::new(PROC).join(self.pid.to_string())
    }

    fn elsewhere(&self) -> Option<String> {
        measure().elsewhere(&self.folder()).unwrap()
    }

    fn exchangeable(&self) -> Option<String> {
        measure().exchangeable(&self.folder(), users(&self.folder()).unwrap(), Path::new("/")).unwrap()
    }
}

/// A process and its first descendants, each the only child of the one before it.
fn family(first: u32) -> Vec<u32> {
    let child = |pid: &u32| {
        let children = fs::read_to_string(format!("{PROC}/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    };
    std::iter::successors(Some(first), child).collect()
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

fn uid() -> u32 {
    fs::metadata("/proc/self/task").unwrap().uid()
}

fn measure() -> Measure {
    Measure::take(Path::new(PROC), uid()).unwrap()
}

/// Whether this runs as root; the package's suite does.
fn is_root() -> bool {
    let is_root = uid() == 0;
    if !is_root {
        eprintln!("skipped in part: not root");
    }
    is_root
}

/// A folder of ours with a copy of `cat` in it. The copy is made by a process of its own: a file that is open for writing
/// cannot be run.
fn with_program(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("bin");
    fs::create_dir(&folder).unwrap();
    mode(&folder, 0o755);
    let program = folder.join(name);
    assert!(Command::new("/bin/cp").arg("/bin/cat").arg(&program).status().unwrap().success());
    mode(&program, 0o755);
    (dir, program)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn said(why: Option<String>, words: &str) {
    let why = why.unwrap_or_else(|| panic!("it counts, and should not: {words}"));
    assert!(why.contains(words), "{why}");
}

#[test]
fn our_own_child_is_here_and_a_system_program_is_nobody_elses() {
    let plain = Waiting::start(&["/bin/cat"]);
    assert_eq!((plain.elsewhere(), plain.exchangeable()), (None, None));
    assert_eq!(users(&plain.folder()).unwrap(), Users([uid(); 4]));
    assert!(!borrows_rights(&plain.folder()).unwrap());
}

#[test]
fn a_mount_namespace_of_its_own_is_here_and_a_pid_namespace_or_another_root_is_not() {
    if !is_root() {
        return;
    }
    let sandboxed = Waiting::start(&["/usr/bin/unshare", "--mount", "/bin/cat"]);
    let mounts = |folder: &Path| fs::read_link(folder.join("ns/mnt")).unwrap();
    assert_ne!(mounts(&sandboxed.folder()), mounts(Path::new("/proc/self")), "it has one of its own");
    assert_eq!((sandboxed.elsewhere(), sandboxed.exchangeable()), (None, None));

    let nested = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--mount", "/bin/cat"];
    said(Waiting::start(&nested).elsewhere(), "another pid namespace");

    said(Waiting::start(&["/usr/sbin/chroot", "/usr", "/bin/cat"]).elsewhere(), "runs with /usr as its root");
    // A container's root is "/" to itself.
    let dir = tempfile::tempdir().unwrap();
    let bound = dir.path().to_str().unwrap();
    let pivot = format!("mount --rbind /usr {bound} && cd {bound} && pivot_root . share && exec /bin/cat");
    let container = Waiting::start(&["/usr/bin/unshare", "--mount", "/bin/sh", "-c", &pivot, "/bin/cat"]);
    assert_eq!(fs::read_link(container.folder().join("root")).unwrap(), Path::new("/"));
    said(container.elsewhere(), "runs with another root");
}

#[test]
fn a_user_is_told_from_root_and_all_four_ids_count() {
    if !is_root() {
        return;
    }
    let user = USER.to_string();
    let line = ["/usr/bin/setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "/bin/cat"];
    let theirs = Waiting::start(&line);
    let seen = users(&theirs.folder()).unwrap();
    assert!(seen.are_all(&[USER]) && !seen.are_all(&[0]) && seen.real() == USER);
    let borrowed = Waiting::start(&["/usr/bin/setpriv", "--ruid", &user, "/bin/cat"]);
    let seen = users(&borrowed.folder()).unwrap();
    assert!(!seen.are_all(&[0]) && !seen.are_all(&[USER]) && seen.are_all(&[0, USER]), "{seen:?}");
}

#[test]
fn a_program_that_others_may_write_or_exchange_is_named_with_the_place() {
    let (dir, program) = with_program("cat");
    let run = |program: &Path| Waiting::start(&[program.to_str().unwrap()]);
    let folder = program.parent().unwrap();
    let running = run(&program);
    assert_eq!(running.exchangeable(), None);
    mode(folder, 0o777);
    said(running.exchangeable(), &format!("and {} may be written by others (mode 0777)", folder.display()));
    mode(folder, 0o1777);
    assert_eq!(running.exchangeable(), None, "sticky: a name of ours cannot be exchanged");
    mode(folder, 0o755);
    drop(running);
    mode(&program, 0o775);
    said(run(&program).exchangeable(), "cat may be written by others (mode 0775)");
    mode(&program, 0o755);
    if is_root() {
        // Not the folder itself but one above it.
        chown(dir.path(), Some(USER), None).unwrap();
        said(run(&program).exchangeable(), &format!("and {} is uid {USER}'s", dir.path().display()));
        chown(dir.path(), Some(0), None).unwrap();
        chown(&program, Some(USER), None).unwrap();
        said(run(&program).exchangeable(), &format!("cat is uid {USER}'s"));
    }
}

#[test]
fn a_program_that_was_removed_or_replaced_is_still_whose_it_was() {
    let (_dir, program) = with_program("cat");
    let running = Waiting::start(&[program.to_str().unwrap()]);
    fs::remove_file(&program).unwrap();
    assert!(fs::read_link(running.folder().join("exe")).unwrap().to_string_lossy().ends_with(" (deleted)"));
    assert_eq!(running.exchangeable(), None);
    fs::remove_dir(program.parent().unwrap()).unwrap();
    assert_eq!(running.exchangeable(), None);
}

#[test]
fn a_file_that_a_user_mounts_under_a_vendors_name_is_not_the_vendors() {
    if !is_root() {
        return;
    }
    let (dir, program) = with_program("cat");
    mode(dir.path(), 0o755);
    let (user, path) = (USER.to_string(), program.to_str().unwrap());
    // Root's own file, under the name of another one of root's.
    let mount = format!("mount --bind /bin/dd {path} && exec {path}");
    let user_space = ["/usr/bin/setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
    let unshare = ["/usr/bin/unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", &mount, path];
    let forged = Waiting::start(&user_space.into_iter().chain(unshare).collect::<Vec<_>>());
    assert_eq!(fs::read_link(forged.folder().join("exe")).unwrap(), program, "the kernel names it so");
    said(forged.exchangeable(), &format!("its program is not the host's {path}"));
    // Twin: the real one, in a user namespace too.
    let plain = ["/usr/bin/unshare", "--user", "--map-root-user", "--mount", path];
    let real = Waiting::start(&user_space.into_iter().chain(plain).collect::<Vec<_>>());
    assert_eq!(real.exchangeable(), None);
}

#[test]
fn a_process_that_has_ended_is_absent_and_not_somebody_elses() {
    let ended = Path::new("/proc/4194304000");
    assert_eq!(measure().elsewhere(ended).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(users(ended).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(Measure::take(Path::new("/nonexistent"), 0).unwrap_err().contains("wbd's own namespaces"));
}
