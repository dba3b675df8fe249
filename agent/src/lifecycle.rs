//! `-s start|stop|reload`: who does it, systemd or the agent itself, and the note of a wanted stop.

use crate::cli::{Cli, Verb};
use crate::failure::{Exit, Failure};
use crate::{alone, call, run_dir, unit};
use nix::unistd::getuid;
use std::future::Future;
use std::path::Path;
use wbd_agent_api::{Command, Reply, StopNote, boottime_ms, paths, stop};

/// Does the verb; fine if it is so already.
pub(crate) fn run(verb: Verb, cli: &Cli) -> Result<(), Failure> {
    let root = &cli.root;
    run_dir::make(root)?;
    let note = paths::stop_note(root);
    match verb {
        Verb::Start => {
            stop::remove(&note).map_err(|error| note_failure(&error))?;
            if drives_unit(root) { wait(unit::drive(verb)) } else { alone::start(root, &extra(cli)) }
        }
        Verb::Stop => {
            // The note comes first: a supervisor that sees the agent go must already know that it was wanted.
            stop::write(&note, &new_note()).map_err(|error| note_failure(&error))?;
            let stopped = if drives_unit(root) { wait(unit::drive(verb)) } else { alone::stop(root) };
            if stopped.is_err() {
                // It still runs, so a later failure of it is a failure again.
                stop::remove(&note).map_err(|error| note_failure(&error))?;
            }
            stopped
        }
        Verb::Reload if drives_unit(root) => wait(unit::drive(verb)),
        Verb::Reload => wait(reload(root)),
    }
}

async fn reload(root: &Path) -> Result<(), Failure> {
    match call::call(&paths::socket(root), &Command::Reload).await? {
        Reply::Done => Ok(()),
        Reply::NotPermitted { message } => Err(Failure::new(Exit::NotPermitted, message)),
        Reply::Refused { message, .. } | Reply::Failed { message } => Err(Failure::new(Exit::Failed, message)),
        Reply::Status { .. } => {
            Err(Failure::new(Exit::Failed, "the agent answered another question; this is a bug, report it"))
        }
    }
}

/// Only the host's own agent is a unit; one under another root is for trying out, in tests and demonstrations.
fn drives_unit(root: &Path) -> bool {
    root == Path::new("/") && Path::new("/run/systemd/system").is_dir()
}

fn extra(cli: &Cli) -> Vec<String> {
    vec!["--good-after".into(), cli.good_after.to_string()]
}

fn new_note() -> StopNote {
    StopNote { who: "wbd_agent -s stop".into(), uid: getuid().as_raw(), at_ms: boottime_ms(), reason: String::new() }
}

fn note_failure(error: &stop::StopError) -> Failure {
    let exit = match error {
        stop::StopError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::NotPermitted
        }
        stop::StopError::Io { .. } | stop::StopError::Malformed { .. } => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}

fn wait(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("cannot start an event loop", &error))?;
    runtime.block_on(work)
}
