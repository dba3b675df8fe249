//! Runs one program and hands back what it said, in bounds: path, time, output, environment. It never uses a shell.
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// How often the end of the program is looked for while it says nothing.
const TICK: Duration = Duration::from_millis(20);
/// A process that was killed is gone by then, unless it hangs in the kernel.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// A program to run: all of it values, nothing taken from this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute path of the program.
    pub path: PathBuf,
    /// Arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// It is killed after this time, and its process group with it.
    pub deadline: Duration,
    /// What becomes of its output and of what it leaves running.
    pub output: Output,
}

/// What is kept of a program's output. It goes with what may be left running, since whoever is has the output still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// An answer, that must be whole: a program that says more than `most` bytes, on standard output and error together,
    /// is killed. Its process group ends with it, so that nothing of it is left behind.
    Whole {
        /// The bound.
        most: usize,
    },
    /// Last words: the end of what it says is kept, `end` bytes of the first `most`, both streams in one. What it leaves
    /// running (a service) goes on; so the output is memory and never a pipe: such a service keeps it open for as long as
    /// it lives, and must neither hold us up nor die of a closed pipe. Its size is sealed, so it cannot be grown either.
    End {
        /// The bound; what is said beyond it is lost.
        most: u32,
        /// How much of that is handed back.
        end: u32,
    },
}

/// What an ended program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; with [`Output::End`] its standard error too.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The path is not absolute.
    #[error("program {0} is not named by an absolute path; correct the profile")]
    NotAbsolute(PathBuf),
    /// It could not be started.
    #[error("cannot start {path}: {source}")]
    Start {
        /// The program.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It ran past its deadline and was killed.
    #[error("{path} gave no answer within {} s and was ended", deadline.as_secs_f32())]
    TooSlow {
        /// The program.
        path: PathBuf,
        /// The deadline.
        deadline: Duration,
        /// It is gone; else it hangs in the kernel.
        gone: bool,
        /// With [`Output::End`], what it had said.
        said: Vec<u8>,
    },
    /// It said too much and was killed.
    #[error("{path} said more than {most} bytes and was ended")]
    TooLoud {
        /// The program.
        path: PathBuf,
        /// The bound.
        most: usize,
    },
    /// It could not be watched; it was killed.
    #[error("cannot watch {path}: {source}")]
    Watch {
        /// The program.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

/// Runs the program in a process group of its own, to its deadline. Blocks.
///
/// # Errors
/// [`RunError`]. A program that ends with a failure is not an error: see [`Said::status`].
pub fn run(program: &Program) -> Result<Said, RunError> {
    let path = || program.path.clone();
    if !program.path.is_absolute() {
        return Err(RunError::NotAbsolute(path()));
    }
    let start = |source| RunError::Start { path: path(), source };
    let memory = match program.output {
        Output::Whole { .. } => None,
        Output::End { most, end } => Some(Memory::new(most, end).map_err(start)?),
    };
    let streams = memory.as_ref().map_or_else(|| Ok((Stdio::piped(), Stdio::piped())), Memory::streams);
    let (stdout, stderr) = streams.map_err(start)?;
    let mut child = Command::new(&program.path)
        .args(&program.args)
        .env_clear()
        .envs(program.env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map_err(start)?;
    let listened = listen(&mut child, program);
    let stays = memory.is_some() && matches!(listened, Ok(Heard::All { .. }));
    // Until it is reaped, its id is nobody else's: the group can be ended without hitting a stranger.
    if let Some(group) = i32::try_from(child.id()).ok().filter(|_| !stays) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let reaped = reaped(&mut child);
    let end = memory.map_or_else(|| Ok(Vec::new()), |memory| memory.end());
    let watch = |source| RunError::Watch { path: path(), source };
    match (listened, program.output) {
        (Ok(Heard::All { stdout, stderr }), output) => {
            let status = reaped.and_then(|status| status.ok_or_else(|| io::ErrorKind::TimedOut.into()));
            let status = status.map_err(watch)?;
            match output {
                Output::Whole { .. } => Ok(Said { status, stdout, stderr }),
                Output::End { .. } => Ok(Said { status, stdout: end.map_err(watch)?, stderr }),
            }
        }
        (Ok(Heard::TooSlow), _) => Err(RunError::TooSlow {
            path: path(),
            deadline: program.deadline,
            gone: matches!(reaped, Ok(Some(_))),
            said: end.unwrap_or_default(),
        }),
        (Ok(Heard::TooLoud { most }), _) => Err(RunError::TooLoud { path: path(), most }),
        (Err(source), _) => Err(watch(source)),
    }
}

/// How it ended; `None` for one that even a kill does not end.
fn reaped(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + KILL_WAIT;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until {
            return Ok(None);
        }
        std::thread::sleep(TICK / 10);
    }
}

/// Output in memory of a size that nobody can change.
struct Memory {
    file: File,
    most: u64,
    end: usize,
}

impl Memory {
    fn new(most: u32, end: u32) -> io::Result<Self> {
        let file = File::from(memfd_create("wbd-output", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
        file.set_len(most.into())?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK))?;
        Ok(Self { file, most: most.into(), end: usize::try_from(end).unwrap_or(usize::MAX) })
    }

    fn streams(&self) -> io::Result<(Stdio, Stdio)> {
        Ok((self.file.try_clone()?.into(), self.file.try_clone()?.into()))
    }

    fn end(&self) -> io::Result<Vec<u8>> {
        // The position is shared with the program's own copies.
        let written = (&self.file).stream_position()?.min(self.most);
        let mut bytes = vec![0; self.end.min(usize::try_from(written).unwrap_or(self.end))];
        let start = written.saturating_sub(u64::try_from(bytes.len()).unwrap_or(0));
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }
}

enum Heard {
    All { stdout: Vec<u8>, stderr: Vec<u8> },
    TooSlow,
    TooLoud { most: usize },
}

/// One of the two pipes; `None` once it is closed.
struct Pipe<R> {
    reader: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(reader: Option<R>) -> io::Result<Self> {
        if let Some(reader) = &reader {
            fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { reader, bytes: Vec::new() })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there now, at most a little more than `room` bytes.
    fn drain(&mut self, room: usize) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        let start = self.bytes.len();
        while let Some(reader) = &mut self.reader {
            match reader.read(&mut chunk) {
                Ok(0) => self.reader = None,
                Ok(count) => self.bytes.extend(chunk.iter().take(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.bytes.len() - start > room {
                break;
            }
        }
        Ok(())
    }
}

/// Listens until the program ended; a grandchild that keeps the pipes open is not waited for.
fn listen(child: &mut Child, program: &Program) -> io::Result<Heard> {
    let until = Instant::now() + program.deadline;
    let most = match program.output {
        Output::Whole { most } => most,
        // There are no pipes.
        Output::End { .. } => 0,
    };
    let mut stdout = Pipe::new(child.stdout.take())?;
    let mut stderr = Pipe::new(child.stderr.take())?;
    loop {
        let ended = ended(child)?;
        stdout.drain(most)?;
        stderr.drain(most)?;
        if stdout.bytes.len() + stderr.bytes.len() > most {
            return Ok(Heard::TooLoud { most });
        }
        if ended {
            let (stdout, stderr) = (stdout.bytes, stderr.bytes);
            return Ok(Heard::All { stdout, stderr });
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Heard::TooSlow);
        }
        let pipes = [stdout.fd(), stderr.fd()];
        let mut polled: Vec<PollFd<'_>> =
            pipes.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(left.min(TICK)).unwrap_or(PollTimeout::ZERO);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The program ended; it is left unreaped.
fn ended(child: &Child) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    match waitid(Id::Pid(Pid::from_raw(pid)), flags) {
        Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::EINTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        Program {
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![("A".into(), "1".into())],
            deadline: Duration::from_secs(10),
            output: Output::Whole { most: 1000 },
        }
    }

    #[test]
    fn hands_back_output_and_status_and_passes_on_no_environment() {
        let said = run(&sh("echo $A$HOME; echo e >&2; exit 3")).unwrap();
        assert_eq!((said.stdout.as_slice(), said.stderr.as_slice()), (&b"1\n"[..], &b"e\n"[..]));
        assert_eq!(said.status.code(), Some(3));
    }

    #[test]
    fn ends_what_is_too_slow_or_too_loud_with_its_children() {
        let mut slow = sh("sleep 100 & echo $! ; wait");
        slow.deadline = Duration::from_millis(200);
        let before = Instant::now();
        assert!(matches!(run(&slow), Err(RunError::TooSlow { .. })));
        assert!(before.elapsed() < Duration::from_secs(5));
        assert!(matches!(run(&sh("while :; do echo yes; done")), Err(RunError::TooLoud { .. })));
    }

    #[test]
    fn does_not_wait_for_a_grandchild_and_leaves_none() {
        let before = Instant::now();
        let said = run(&sh("sleep 100 & echo $!")).unwrap();
        assert!(before.elapsed() < Duration::from_secs(5));
        let pid = String::from_utf8(said.stdout).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        wait_until(|| std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z")));
    }

    fn wait_until(holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < until, "it does not come");
            std::thread::sleep(TICK);
        }
    }

    #[test]
    fn what_a_program_leaves_running_stays_where_only_its_last_words_are_kept_until_the_deadline_ends_all() {
        let mut service = sh("echo begun; sleep 100 & echo $!");
        service.output = Output::End { most: 1000, end: 100 };
        let said = String::from_utf8(run(&service).unwrap().stdout).unwrap();
        let pid = said.strip_prefix("begun\n").unwrap().trim().to_owned();
        let is_gone =
            |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z"));
        assert!(!is_gone(&pid), "it goes on");
        nix::sys::signal::kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        // Twin: one that does not end in time is killed with all that it started, and its last words are kept.
        service.args = vec!["-c".into(), "sleep 100 & echo $!; wait".into()];
        service.deadline = Duration::from_millis(300);
        let Err(RunError::TooSlow { said, gone: true, .. }) = run(&service) else { panic!("it is too slow") };
        let pid = String::from_utf8(said).unwrap().trim().to_owned();
        assert!(!pid.is_empty());
        wait_until(|| is_gone(&pid));
    }

    #[test]
    fn last_words_are_the_end_of_what_fits_and_no_pipe_breaks() {
        let mut loud = sh("i=0; while [ $i -lt 500 ]; do echo 0123456789 2>/dev/null; i=$((i+1)); done; exit 7");
        loud.output = Output::End { most: 1100, end: 22 };
        let said = run(&loud).unwrap();
        assert_eq!((said.status.code(), said.stdout.as_slice()), (Some(7), &b"0123456789\n0123456789\n"[..]));
    }

    #[test]
    fn refuses_a_relative_path_and_names_a_missing_program() {
        let mut program = sh("");
        program.path = "sh".into();
        assert!(matches!(run(&program), Err(RunError::NotAbsolute(_))));
        program.path = "/nonexistent/x".into();
        assert!(run(&program).unwrap_err().to_string().contains("/nonexistent/x"));
    }
}
