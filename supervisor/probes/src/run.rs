//! Runs one program and hands back what it said, in bounds: path, time, output, environment. It never uses a shell.
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// How often the end of the program is looked for while it says nothing.
const TICK: Duration = Duration::from_millis(20);

/// A program to run: all of it values, nothing taken from this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute path of the program.
    pub path: PathBuf,
    /// Arguments, without the program's own name.
    pub args: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// It is killed after this time.
    pub deadline: Duration,
    /// It is killed when it says more than so many bytes, on standard output and error together.
    pub max_output: usize,
}

/// What an ended program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
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
    },
    /// It said too much and was killed.
    #[error("{path} said more than {max_output} bytes and was ended")]
    TooLoud {
        /// The program.
        path: PathBuf,
        /// The bound.
        max_output: usize,
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

/// Runs the program in a process group of its own, and ends that group in every case, so that
/// nothing of it is left behind.
///
/// # Errors
/// [`RunError`]. A program that ends with a failure is not an error: see [`Said::status`].
pub fn run(program: &Program) -> Result<Said, RunError> {
    let path = || program.path.clone();
    if !program.path.is_absolute() {
        return Err(RunError::NotAbsolute(path()));
    }
    let mut child = Command::new(&program.path)
        .args(&program.args)
        .env_clear()
        .envs(program.env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| RunError::Start { path: path(), source })?;
    let listened = listen(&mut child, program);
    // Until it is reaped, its id is nobody else's: the group can be ended without hitting a stranger.
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let status = child.wait().map_err(|source| RunError::Watch { path: path(), source })?;
    match listened {
        Ok(Heard::All { stdout, stderr }) => Ok(Said { status, stdout, stderr }),
        Ok(Heard::TooSlow) => Err(RunError::TooSlow { path: path(), deadline: program.deadline }),
        Ok(Heard::TooLoud) => Err(RunError::TooLoud { path: path(), max_output: program.max_output }),
        Err(source) => Err(RunError::Watch { path: path(), source }),
    }
}

enum Heard {
    All { stdout: Vec<u8>, stderr: Vec<u8> },
    TooSlow,
    TooLoud,
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
    let mut stdout = Pipe::new(child.stdout.take())?;
    let mut stderr = Pipe::new(child.stderr.take())?;
    loop {
        let ended = ended(child)?;
        stdout.drain(program.max_output)?;
        stderr.drain(program.max_output)?;
        if stdout.bytes.len() + stderr.bytes.len() > program.max_output {
            return Ok(Heard::TooLoud);
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
            max_output: 1000,
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
        crate::testing::deadline_passes("the grandchild ends", || {
            std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z"))
        });
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
