//! Runs a program that a vendor documents: by absolute path, without a shell, to a deadline. Reads no meaning into its output.
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command as Spawn};
use wbd_model::action::Change;
use wbd_model::entry::Outcome;
use wbd_model::profile::{Command, names_ourselves};
use wbd_model::text::chain;

use crate::done::Done;
use crate::error::ActionError;
use crate::place;

/// Programs of old products look for their helpers by name; nothing else of our environment is theirs.
pub(crate) const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";
const LONGEST: Duration = Duration::from_secs(600);
const KILL_WAIT: Duration = Duration::from_secs(5);
const OUTPUT_BYTES: u64 = 64 << 10;
const DETAIL_BYTES: usize = 2 << 10;
/// What turns a list of arguments into a line of commands.
const INTERPRETERS: [&str; 14] =
    ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish", "csh", "tcsh", "busybox", "env", "xargs", "nohup"];

pub(crate) fn preview(root: &Path, command: &Command) -> Result<Change, ActionError> {
    checked(root, command)?;
    Ok(Change { what: command.argv.join(" "), before: None, after: format!("run, at most {}", command.timeout) })
}

/// Whose child the program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// Ours: it shares our sandbox, and what it leaves running ends with our unit.
    Us,
    /// The service manager's, through systemd-run: a service that it starts again must outlive us.
    Systemd,
}

/// Runs it and says what became of it, unless it is found only after `start_by`.
pub(crate) async fn run(
    root: &Path,
    command: &Command,
    parent: Parent,
    start_by: Instant,
) -> Result<Done, ActionError> {
    let program = checked(root, command)?;
    // I3: on a dead mount that look hangs until the mount is back; the window, the pause and the deeds since then are
    // not those that the guards saw.
    if Instant::now() > start_by {
        let late = "not begun: looking at its program outlasted its start deadline; look for a dead mount";
        return Ok(Done::new(Outcome::Aborted, late));
    }
    start(&program, command, parent, &[]).await
}

/// Runs it whenever it is found, with a few variables of ours.
pub(crate) async fn run_with(
    root: &Path,
    command: &Command,
    parent: Parent,
    env: &[(String, String)],
) -> Result<Done, ActionError> {
    start(&checked(root, command)?, command, parent, env).await
}

async fn start(
    program: &Path,
    command: &Command,
    parent: Parent,
    env: &[(String, String)],
) -> Result<Done, ActionError> {
    let output = Output::new().map_err(|source| ActionError::file("keep output of", program, source))?;
    let (starter, arguments) = arguments(program, command, parent, env);
    let spawned = output.streams().and_then(|(stdout, stderr)| {
        Spawn::new(&starter)
            .args(&arguments)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .env("LC_ALL", "C")
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
    });
    let mut child = spawned.map_err(|source| ActionError::file("run", program, source))?;
    let deadline = Duration::from_millis(command.timeout.as_ms()).min(LONGEST);
    let ended = tokio::time::timeout(deadline, child.wait()).await;
    let tail = |text: String| format!("{text}{}", output.tail());
    Ok(match ended {
        Ok(Ok(status)) if status.success() => Done::new(Outcome::Done, tail("it ended with 0".to_owned())),
        Ok(Ok(status)) => Done::new(Outcome::Failed, tail(how(status))),
        Ok(Err(error)) => Done::new(Outcome::Unknown, format!("its end could not be seen: {error}")),
        Err(_) => {
            let killed = kill(&mut child).await;
            Done::new(Outcome::Unknown, tail(format!("it did not end in {} ms and {killed}", deadline.as_millis())))
        }
    })
}

/// What is started, and with which arguments. systemd ends the program at its deadline too, in case we cannot;
/// it expands `$` in arguments, which is not ours to allow.
fn arguments(program: &Path, command: &Command, parent: Parent, env: &[(String, String)]) -> (PathBuf, Vec<OsString>) {
    let own = command.argv.iter().skip(1);
    match parent {
        Parent::Us => (program.to_owned(), own.map(OsString::from).collect()),
        Parent::Systemd => {
            let most = command.timeout.as_ms();
            let fixed =
                ["--quiet", "--wait", "--pipe", "--collect", "--setenv=LC_ALL=C", "--property=KillMode=process"];
            let mut all: Vec<OsString> = fixed.into_iter().map(OsString::from).collect();
            all.push(format!("--property=RuntimeMaxSec={most}ms").into());
            all.extend(env.iter().map(|(name, value)| format!("--setenv={name}={value}").into()));
            all.push("--".into());
            all.push(program.as_os_str().to_owned());
            all.extend(own.map(|argument| argument.replace('$', "$$").into()));
            (PathBuf::from(SYSTEMD_RUN), all)
        }
    }
}

fn how(status: ExitStatus) -> String {
    // std words it "exit status: 3" or "signal: 9 (SIGKILL)".
    format!("it ended with {status}")
}

/// Kills the whole group. The leader is not reaped yet, so its number cannot mean anybody else.
async fn kill(child: &mut Child) -> &'static str {
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let sent = group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok());
    let is_gone = tokio::time::timeout(KILL_WAIT, child.wait()).await.is_ok();
    if sent && is_gone { "was killed" } else { "could not be killed" }
}

/// The program under the root, if it may be run at all.
fn checked(root: &Path, command: &Command) -> Result<PathBuf, ActionError> {
    let what = command.argv.join(" ");
    let refuse = |rule| ActionError::NotAllowed { deed: "run", what: what.clone(), rule };
    let Some(name) = command.argv.first() else { return Err(refuse("a command needs a program")) };
    let Some(inside) = name.strip_prefix('/') else { return Err(refuse("a program is named by its absolute path")) };
    if names_ourselves(&command.argv) {
        return Err(refuse("no playbook may touch the supervisor"));
    }
    let path = root.join(inside);
    let real = place::runnable(&path)?;
    // Under a root of its own a name, a link or a `..` must not lead to the machine's programs.
    let within = fs::canonicalize(root).map_err(|source| ActionError::file("find", root, source))?;
    if !real.starts_with(&within) {
        return Err(ActionError::content(
            &path,
            "it leads out of the root that wbd works on; put the program below it",
        ));
    }
    let is_interpreter =
        |path: &Path| path.file_name().is_some_and(|name| INTERPRETERS.iter().any(|known| name == *known));
    if is_interpreter(&path) || is_interpreter(&real) {
        return Err(refuse("a shell or a program that runs other programs cannot be run"));
    }
    Ok(path)
}

/// Output in memory, never in a pipe: a service that the program leaves running keeps its standard output
/// for as long as it lives, and must neither hold us up nor die of a closed pipe. The size is sealed, so
/// such a service cannot grow it either.
struct Output {
    file: File,
}

impl Output {
    fn new() -> io::Result<Self> {
        let fd = memfd_create("wbd-output", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let file = File::from(fd);
        file.set_len(OUTPUT_BYTES)?;
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK)?;
        Ok(Self { file })
    }

    fn streams(&self) -> io::Result<(Stdio, Stdio)> {
        Ok((self.file.try_clone()?.into(), self.file.try_clone()?.into()))
    }

    /// The end of what was written, for people, with what leads up to it.
    fn tail(&self) -> String {
        // The position is shared with the program's own copies.
        let written = (&self.file).stream_position().unwrap_or(0).min(OUTPUT_BYTES);
        let mut bytes = vec![0; DETAIL_BYTES.min(usize::try_from(written).unwrap_or(DETAIL_BYTES))];
        let start = written.saturating_sub(u64::try_from(bytes.len()).unwrap_or(0));
        match self.file.read_exact_at(&mut bytes, start) {
            Ok(()) if bytes.is_empty() => String::new(),
            Ok(()) => format!("; it said: {}", String::from_utf8_lossy(&bytes).trim()),
            Err(error) => format!("; its output cannot be read: {}", chain(&error)),
        }
    }
}
