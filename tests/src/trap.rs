//! Ends a process at one exact place of its work: it is traced, and killed where one of its threads makes a call on a named file; it judges nothing.
//!
//! A killed thread does not finish the call that it was about to make and returns from none that it has made, so what was
//! done then is certain, on slow machines and fast ones. Nothing else of the process is held up but by being traced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::deadline::wait_until;

/// A call on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It is opened by this very name, to write or to make it.
    OpenToWrite(&'static str),
    /// It, or the folder, is put on disk; its name ends so.
    Sync(&'static str),
}

/// Where in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It is about to be made, and never will be.
    Before,
    /// It was made, and the caller never hears of it.
    After,
}

/// What the kernel needs for a process that was killed.
const ENDS: Duration = Duration::from_secs(10);

/// A trap under a process. Dropping it before it has sprung kills the process too.
#[derive(Debug)]
pub struct Trap {
    process: Pid,
    handle: OwnedFd,
    sprung: Receiver<Result<(), String>>,
    tracer: Option<JoinHandle<()>>,
}

impl Trap {
    /// Under the process that the machine numbers so; it is set when this returns.
    ///
    /// # Panics
    /// When the process cannot be traced (it needs root, and that nobody else traces it).
    #[must_use]
    #[track_caller]
    pub fn set(process: Pid, call: Call, side: Side) -> Self {
        let handle = rustix::process::Pid::from_raw(process.as_raw()).expect("a process's number");
        let handle = pidfd_open(handle, PidfdFlags::empty()).expect("a process that runs");
        let (set, is_set) = mpsc::channel();
        let (end, sprung) = mpsc::channel();
        // A process is traced by one thread, and waited for by that one only.
        let tracer = thread::spawn(move || {
            let ended = trace(process, call, side, &set);
            // Nobody listens to a trap that was given up.
            end.send(ended).ok();
        });
        let trap = Self { process, handle, sprung, tracer: Some(tracer) };
        if is_set.recv().is_err() {
            panic!("no trap under process {process}: {:?}", trap.sprung.recv());
        }
        trap
    }

    /// Waits until the process was killed at its mark and has ended; its parent may wait for it.
    ///
    /// # Panics
    /// When it does not come there in time, or ends otherwise.
    #[track_caller]
    pub fn sprung(self, deadline: Duration) {
        match self.sprung.recv_timeout(deadline) {
            Ok(Ok(())) => wait_until("the end of the killed process", ENDS, || {
                let mut ends = [PollFd::new(&self.handle, PollFlags::IN)];
                let ready =
                    rustix::event::poll(&mut ends, Some(&Timespec::default())).map_err(|why| why.to_string())?;
                if ready == 1 { Ok(()) } else { Err("it is still there".to_owned()) }
            }),
            Ok(Err(why)) => panic!("process {}: {why}", self.process),
            Err(why) => panic!("process {} did not come to its mark within {deadline:?}: {why}", self.process),
        }
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        let Some(tracer) = self.tracer.take() else { return };
        if !tracer.is_finished() {
            // Traced and not yet waited for, so the number is still its own; its end is the tracer's end.
            kill(self.process, Signal::SIGKILL).ok();
        }
        tracer.join().ok();
    }
}

fn trace(process: Pid, call: Call, side: Side, set: &Sender<()>) -> Result<(), String> {
    seize(process).map_err(|why| format!("cannot be traced: {why}"))?;
    set.send(()).map_err(|_| "given up".to_owned())?;
    let mut at_mark = BTreeMap::new();
    loop {
        // Of this thread only: other children of the test process are not ours to wait for.
        match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                let entering = ptrace::syscall_info(thread).map(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY);
                let marked = match entering {
                    Ok(true) => {
                        let is_it = is_call(thread, call);
                        at_mark.insert(thread, is_it);
                        is_it && side == Side::Before
                    }
                    Ok(false) => at_mark.remove(&thread) == Some(true) && side == Side::After,
                    // Somebody else killed it.
                    Err(_) => false,
                };
                if marked {
                    // Killed first and let go of after: no thread gets as far as another step, and the parent is told.
                    return kill(process, Signal::SIGKILL).map_err(|why| format!("cannot be killed: {why}"));
                }
                ptrace::syscall(thread, None).ok();
            }
            // Its new threads are traced from their first step on.
            Ok(WaitStatus::PtraceEvent(thread, ..)) => drop(ptrace::syscall(thread, None)),
            Ok(WaitStatus::Stopped(thread, signal)) => drop(ptrace::syscall(thread, signal)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Err("ended before it came to its mark".to_owned()),
            Err(why) => return Err(format!("cannot be waited for: {why}")),
        }
    }
}

/// All threads, also those that begin meanwhile.
fn seize(process: Pid) -> Result<(), Errno> {
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE;
    let begin = |thread| ptrace::seize(thread, options).and_then(|()| ptrace::interrupt(thread));
    begin(process)?;
    let mut known = BTreeSet::from([process]);
    loop {
        let fresh: Vec<Pid> = threads(process).into_iter().filter(|thread| known.insert(*thread)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        for thread in fresh {
            match begin(thread) {
                // Begun by a thread that is traced already, or ended.
                Ok(()) | Err(Errno::EPERM | Errno::ESRCH) => {}
                Err(why) => return Err(why),
            }
        }
    }
}

fn threads(process: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).map(Pid::from_raw).collect()
}

/// Whether the call that a stopped thread is about to make is this one.
fn is_call(thread: Pid, call: Call) -> bool {
    let text = fs::read_to_string(format!("/proc/{thread}/syscall")).unwrap_or_default();
    let mut words = text.split_whitespace();
    let number = words.next().and_then(|number| number.parse().ok());
    let arguments: Vec<u64> =
        words.map_while(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()).collect();
    match (call, arguments.as_slice()) {
        (Call::OpenToWrite(path), [_, name, flags, ..]) if number == Some(libc::SYS_openat) => {
            let to_read = u64::try_from(libc::O_ACCMODE).is_ok_and(|mode| flags & mode == 0);
            !to_read && is_text(thread, *name, path)
        }
        (Call::Sync(path), [file, ..]) if number == Some(libc::SYS_fsync) => {
            fs::read_link(format!("/proc/{thread}/fd/{file}")).is_ok_and(|name| name.to_string_lossy().ends_with(path))
        }
        (Call::OpenToWrite(_) | Call::Sync(_), _) => false,
    }
}

/// Whether these bytes, with the zero at their end, stand at an address of a process.
fn is_text(thread: Pid, address: u64, wanted: &str) -> bool {
    let mut bytes = vec![1; wanted.len() + 1];
    let read = File::open(format!("/proc/{thread}/mem")).and_then(|memory| memory.read_exact_at(&mut bytes, address));
    read.is_ok() && bytes.strip_suffix(&[0]) == Some(wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// Writes two files and syncs the second, once it is told to.
    fn writer(dir: &Path) -> (Child, [PathBuf; 2]) {
        let [one, two] = ["one", "two"].map(|name| dir.join(name));
        let script = "read go; echo 1 >\"$0\"; echo 2 >\"$1\"; sync \"$1\"; rm \"$0\"";
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).args([&one, &two]).stdin(Stdio::piped());
        (shell.spawn().unwrap(), [one, two])
    }

    fn name(path: &Path) -> &'static str {
        path.to_str().unwrap().to_owned().leak()
    }

    fn goes(child: &mut Child) {
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"go\n").unwrap();
    }

    /// Its parent is told as of any other end.
    fn was_killed(mut child: Child) {
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
    }

    #[test]
    fn the_call_at_the_mark_is_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, [one, two]) = writer(dir.path());
        let trap = Trap::set(pid(&child), Call::OpenToWrite(name(&two)), Side::Before);
        goes(&mut child);
        trap.sprung(SOON);
        was_killed(child);
        assert!(one.exists() && !two.exists());
    }

    #[test]
    fn the_call_at_the_mark_is_made_and_nothing_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, [one, two]) = writer(dir.path());
        let trap = Trap::set(pid(&child), Call::OpenToWrite(name(&two)), Side::After);
        goes(&mut child);
        trap.sprung(SOON);
        was_killed(child);
        assert_eq!((one.exists(), fs::read_to_string(two).unwrap().as_str()), (true, ""));
    }

    #[test]
    fn a_process_that_does_not_come_to_its_mark_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, [one, two]) = writer(dir.path());
        // The shell itself syncs nothing, its child does.
        let trap = Trap::set(pid(&child), Call::Sync(name(&two)), Side::Before);
        goes(&mut child);
        let missed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trap.sprung(SOON))).unwrap_err();
        let text = missed.downcast_ref::<String>().unwrap();
        assert!(text.contains("ended before"), "{text}");
        assert!(!one.exists() && two.exists(), "it ran to its end");
    }

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(child.id().try_into().unwrap())
    }
}
