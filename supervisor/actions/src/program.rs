//! Runs a program that a vendor documents: by absolute path, without a shell, to a deadline. Reads no meaning into its
//! output.
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use wbd_agent_api::program::{Output, Program, RunError, Said, run as run_program};
use wbd_model::entry::Outcome;
use wbd_model::forbidden::{self, Purpose};
use wbd_model::profile::{Command, names_ourselves};
use wbd_model::text::chain;

use crate::done::Done;
use crate::error::ActionError;
use crate::place;

/// Programs of old products look for their helpers by name; nothing else of our environment is theirs.
pub(crate) const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";
const LONGEST: Duration = Duration::from_secs(600);
const OUTPUT_BYTES: u32 = 64 << 10;
const DETAIL_BYTES: u32 = 2 << 10;

/// Whose child the program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// Ours: it shares our sandbox, and what it leaves running ends with our unit.
    Us,
    /// The service manager's, through systemd-run: a service that it starts again must outlive us.
    Systemd,
}

/// Who chose the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// We did.
    Ours,
    /// A profile or the settings, for this.
    For(Purpose),
}

/// Runs it whenever it is found, with a few variables of ours.
pub(crate) async fn run_with(
    root: &Path,
    command: &Command,
    parent: Parent,
    env: &[(String, String)],
    rule: Rule,
) -> Result<Done, ActionError> {
    start(&checked(root, command, rule)?, command, parent, env).await
}

/// Runs the program that [`checked`] found, and says what became of it.
pub(crate) async fn start(
    program: &Path,
    command: &Command,
    parent: Parent,
    env: &[(String, String)],
) -> Result<Done, ActionError> {
    let (starter, args) = arguments(program, command, parent, env);
    let deadline = Duration::from_millis(command.timeout.as_ms()).min(LONGEST);
    let own = [("PATH", SEARCH_PATH), ("LC_ALL", "C")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let env = own.into_iter().chain(env.iter().cloned()).collect();
    let output = Output::End { most: OUTPUT_BYTES, end: DETAIL_BYTES };
    let ended = beside(Program { path: starter, args, env, deadline, output }).await;
    let ended = ended.map_err(|source| ActionError::file("run", program, source))?;
    Ok(match ended {
        Some(Ok(said)) if said.status.success() => Done::new(Outcome::Done, with("it ended with 0", &said.stdout)),
        // std words it "exit status: 3" or "signal: 9 (SIGKILL)".
        Some(Ok(said)) => Done::new(Outcome::Failed, with(&format!("it ended with {}", said.status), &said.stdout)),
        Some(Err(RunError::Start { source, .. })) => return Err(ActionError::file("run", program, source)),
        Some(Err(RunError::TooSlow { gone, said, .. })) => {
            let killed = if gone { "was killed" } else { "could not be killed" };
            let text = format!("it did not end in {} ms and {killed}", deadline.as_millis());
            Done::new(Outcome::Unknown, with(&text, &said))
        }
        Some(Err(error @ RunError::NotAbsolute(_))) => Done::new(Outcome::Failed, error.to_string()),
        Some(Err(error @ (RunError::Watch { .. } | RunError::TooLoud { .. }))) => {
            Done::new(Outcome::Unknown, format!("its end could not be seen: {}", chain(&error)))
        }
        None => Done::new(Outcome::Unknown, "its end could not be seen"),
    })
}

/// Runs it on a thread of its own, never on one of those that looks may hold for as long as a mount hangs. `None` if
/// the thread is lost.
async fn beside(program: Program) -> io::Result<Option<Result<Said, RunError>>> {
    let (tell, told) = oneshot::channel();
    // Nobody listens any more where the action was given up.
    std::thread::Builder::new().name("wbd-program".to_owned()).spawn(move || drop(tell.send(run_program(&program))))?;
    Ok(told.await.ok())
}

/// What became of it, and its last words for people.
fn with(text: &str, said: &[u8]) -> String {
    if said.is_empty() { text.to_owned() } else { format!("{text}; it said: {}", String::from_utf8_lossy(said).trim()) }
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

/// The program under the root, if it may be run at all.
pub(crate) fn checked(root: &Path, command: &Command, rule: Rule) -> Result<PathBuf, ActionError> {
    let what = command.argv.join(" ");
    let refuse = |rule: &str| ActionError::NotAllowed { verb: "run", what: what.clone(), rule: rule.to_owned() };
    let Some((name, arguments)) = command.argv.split_first() else {
        return Err(refuse("a command needs a program"));
    };
    let Some(inside) = name.strip_prefix('/') else { return Err(refuse("a program is named by its absolute path")) };
    if names_ourselves(&command.argv) {
        return Err(refuse("no playbook may touch the supervisor"));
    }
    let path = root.join(inside);
    let real = place::runnable(&path)?;
    // Under a root of its own a name, a link or a `..` must not lead to the machine's programs.
    let within = fs::canonicalize(root).map_err(|source| ActionError::file("find", root, source))?;
    let Ok(below) = real.strip_prefix(&within) else {
        return Err(ActionError::content(
            &path,
            "it leads out of the root that wbd works on; put the program below it",
        ));
    };
    let forbidden = match rule {
        Rule::Ours => None,
        Rule::For(purpose) => forbidden::why(purpose, [Path::new(name), &Path::new("/").join(below)], arguments),
    };
    forbidden.map_or(Ok(path), |why| Err(refuse(&why)))
}
