//! Start and stop of the process: folders, ledger, signals, and the tasks around the loop.
use std::io;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};
use wbd_actions::{Alone, Executor, Machine, Reach};
use wbd_agent_api::paths;
use wbd_ledger::{LedgerError, Samples};
use wbd_model::control;

use crate::agent::bus;
use crate::event::{Event, QUEUE};
use crate::look::load;
use crate::record::writer::LedgerWriter;
use crate::supervisor::{Parts, Supervisor};
use crate::tell::notify;
use wbd_model::control::Mode;

/// Usage errors, as everywhere in this product.
pub(crate) const USAGE: u8 = 64;

/// Why the process ends, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

/// Length of a bucket of samples, seconds.
const BUCKET_S: i64 = 300;
const FAILED: u8 = 1;
const TRY_AGAIN: u8 = 75;
const BAD_CONFIGURATION: u8 = 78;
/// A probe that hangs on a dead mount keeps its thread; so many may hang before looking stops.
const PROBE_THREADS: usize = 24;

fn failed(message: String) -> Failure {
    Failure { code: FAILED, message }
}

/// Runs the supervisor until it is told to stop.
pub(crate) fn run(root: &Path, standalone: bool) -> Result<(), Failure> {
    if !standalone && root != Path::new("/") {
        let message =
            format!("systemd's units are the machine's and not those of {}; add --standalone", root.display());
        return Err(Failure { code: USAGE, message });
    }
    if !standalone && !Path::new("/run/systemd/system").exists() {
        let message = "systemd does not run here; start it with --standalone".to_owned();
        return Err(Failure { code: FAILED, message });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(PROBE_THREADS)
        .build()
        .map_err(|error| failed(format!("the event loop cannot start: {error}")))?;
    let result = runtime.block_on(serve(root, if standalone { Mode::Standalone } else { Mode::Systemd }));
    // A probe on a hung mount must not keep us from ending.
    runtime.shutdown_background();
    result
}

async fn serve(root: &Path, mode: Mode) -> Result<(), Failure> {
    let loaded = load::load(root).map_err(|problems| Failure {
        code: BAD_CONFIGURATION,
        message: format!("the settings are broken, nothing is done: {}", problems.join("; ")),
    })?;
    for problem in &loaded.problems {
        warn!(WBD_CODE = "WBD-PLAYBOOK", "a file is not used: {}", problem.lines().next().unwrap_or_default());
    }
    for finding in &loaded.misplaced {
        warn!(WBD_CODE = "WBD-PROGRAM", "a program is not run: {finding}");
    }
    let run = root.join("run/wbd");
    for folder in [&run, &wbd_ledger::state_dir(root)] {
        std::fs::create_dir_all(folder).map_err(|error| failed(format!("{}: {error}", folder.display())))?;
    }
    let writer =
        LedgerWriter::open(root).map_err(|error| Failure { code: no_memory(&error), message: error.to_string() })?;
    let samples = Samples::open(&wbd_ledger::state_dir(root), BUCKET_S)
        .inspect_err(|error| warn!("samples cannot be kept: {error}; leaks of file descriptors are not seen"))
        .ok();
    let executor = Executor::new(reach(root, mode));
    let (events, inbox) = mpsc::channel(QUEUE);
    let socket = root.join(control::SOCKET);
    let listener =
        crate::talk::control::open(&socket).map_err(|error| failed(format!("{}: {error}", socket.display())))?;
    tokio::spawn(crate::talk::socket::keep(socket.clone(), listener, events.clone()));
    if mode == Mode::Systemd {
        tokio::spawn(bus::follow(root.to_owned(), events.clone()));
    }
    signals(&events).map_err(|error| failed(format!("signals cannot be received: {error}")))?;
    info!("playbooks loaded: {}", loaded.library.playbooks.len());
    let parts = Parts { root: root.to_owned(), mode, loaded, writer, executor, samples };
    notify::ready();
    let ended = Supervisor::new(parts, events).run(inbox).await;
    crate::talk::control::close(&socket);
    ended.map_err(|message| Failure { code: TRY_AGAIN, message })
}

/// Another supervisor may end; a folder that cannot be used stays so.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other trouble with the folder is the operator's to mend")]
fn no_memory(error: &LedgerError) -> u8 {
    match error {
        LedgerError::LockHeld { .. } => TRY_AGAIN,
        _ => FAILED,
    }
}

/// How far the executor reaches. What is under another root than `/` never comes here without `--standalone`.
fn reach(root: &Path, mode: Mode) -> Reach {
    match mode {
        Mode::Systemd => Reach::Machine(Machine::this(paths::UNIT)),
        Mode::Standalone => Reach::Alone(Alone {
            root: root.to_owned(),
            agent: paths::binary(root),
            args: ["--foreground".into(), "--root".into(), root.as_os_str().to_owned()].into(),
        }),
    }
}

fn signals(events: &mpsc::Sender<Event>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let events = events.clone();
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
                _ = hangup.recv() => Event::Reload,
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}
