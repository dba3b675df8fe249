//! The running agent: takes the lock, then moves values between signals, the command channel, looks and the health document, until SIGTERM.
//!
//! Whatever may block (disks, `/proc`, network file systems) runs beside the loop, so that the heartbeat stands for
//! the loop alone.

use crate::agent::{Agent, Due};
use crate::channel::{self, Inbox};
use crate::cli::Cli;
use crate::commands::{CommandHandler, Outcome, Ticket};
use crate::failure::{Exit, Failure};
use crate::lock::{self, Holder, Lock};
use crate::look::{Around, Look, look};
use crate::run_dir;
use crate::settings::Settings;
use crate::store::{Loaded, Store};
use crate::was::Known;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval};
use wbd_agent_api::{Command, HealthDocument, Reply, SettingsSource, ThisBoot, boottime_ms, paths, stop};

const HEARTBEAT: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Work that is still running at the end is left behind after this.
const LEAVE_BEHIND: Duration = Duration::from_millis(500);
/// An older note of a wanted stop is void once we have run for longer than any stop takes.
const NOTE_VOID_AFTER: Duration = Duration::from_secs(35);

/// Runs until SIGTERM.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.new_session {
        // Fails only for a process that leads a session already.
        let _ = nix::unistd::setsid();
    }
    run_dir::make(&cli.root)?;
    let process = Holder::own();
    let _lock = take_lock(&cli.root, process)?;
    let store = Store::open(&cli.root).map_err(|error| {
        Failure::io(format!("cannot open state folder {}", paths::state_dir(&cli.root).display()), &error)
    })?;
    let loaded = store.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("cannot start an event loop", &error))?;
    let outcome = runtime.block_on(serve(cli, process, store, loaded));
    runtime.shutdown_timeout(LEAVE_BEHIND);
    outcome
}

fn take_lock(root: &Path, process: Holder) -> Result<File, Failure> {
    let path = paths::lock(root);
    let failure = |error: &std::io::Error| Failure::io(format!("cannot take lock {}", path.display()), error);
    match lock::take(&path).map_err(|error| failure(&error))? {
        Lock::Ours(mut file) => {
            lock::sign(&mut file, process).map_err(|error| failure(&error))?;
            Ok(file)
        }
        Lock::Held(holder) => {
            let who = holder.map(|holder| format!(" (pid {})", holder.pid)).unwrap_or_default();
            Err(Failure::new(Exit::TryAgain, format!("an agent is running already{who}; stop it first with -s stop")))
        }
    }
}

/// What came out of the work beside the loop.
#[derive(Debug)]
enum Done {
    Looked(Look, Known),
    Command(Box<Outcome>, Option<oneshot::Sender<Reply>>),
    Copied(Due, Result<Settings, String>),
}

struct Loop {
    agent: Agent,
    store: Store,
    around: Around,
    good_after: Duration,
    work: JoinSet<Done>,
    looking: bool,
    /// What the regular looks know of the host's processes.
    known: Known,
    /// One command or copy at a time: each works on what the one before left.
    changing: bool,
    reload_wanted: bool,
    note: Note,
}

/// The note of a wanted stop, and whether it has been looked at.
struct Note {
    path: PathBuf,
    started: Instant,
    started_ms: u64,
    settled: bool,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

async fn serve(cli: &Cli, process: Holder, store: Store, loaded: Loaded) -> Result<(), Failure> {
    let root = &cli.root;
    let mut signals = Signals::catch().map_err(|error| Failure::io("cannot catch signals", &error))?;
    let socket = paths::socket(root);
    let mut inbox = channel::open(&socket)
        .map_err(|error| Failure::io(format!("cannot open command socket {}", socket.display()), &error))?;
    if let Some(problem) = &loaded.problem {
        tracing::error!(
            "WBD-CONFIG: {}; {}",
            crate::commands::describe(problem),
            crate::commands::in_force(loaded.source)
        );
    }
    let note =
        Note { path: paths::stop_note(root), started: Instant::now(), started_ms: boottime_ms(), settled: false };
    let mut running = Loop {
        agent: Agent::new(process, root, paths::health(root), loaded),
        store,
        around: Around { root: root.clone(), proc: PathBuf::from("/proc") },
        good_after: Duration::from_secs(cli.good_after),
        work: JoinSet::new(),
        looking: false,
        known: Known::default(),
        changing: false,
        reload_wanted: false,
        note,
    };
    running.agent.publish();
    notify_systemd(sd_notify::NotifyState::Ready);
    tracing::info!("wbd_agent {} runs", env!("CARGO_PKG_VERSION"));
    running.until_stopped(&mut signals, &mut inbox).await;
    // systemd is not told that we stop: it would call the unit stopping before our end, as with a stop that somebody asked
    // for, and with the bus dead that order of times is all by which the supervisor tells the two apart.
    running.agent.stop();
    running.agent.publish();
    // A socket that nobody serves any more only misleads; if it stays, the next start removes it.
    let _ = fs::remove_file(&socket);
    tracing::info!("wbd_agent stops");
    Ok(())
}

fn notify_systemd(state: sd_notify::NotifyState<'_>) {
    // Without a notify socket this does nothing.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    // After a standstill one beat is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Loop {
    async fn until_stopped(&mut self, signals: &mut Signals, inbox: &mut Inbox) {
        let mut heartbeat = every(HEARTBEAT);
        let mut looks = every(LOOK_EVERY);
        let watch_changed = Arc::clone(&self.agent.watch_changed);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
                _ = signals.hangup.recv() => self.reload_wanted = true,
                _ = heartbeat.tick() => self.beat(),
                _ = looks.tick() => self.start_look(),
                () = watch_changed.notified() => self.agent.publish(),
                Some(asked) = inbox.questions.recv() => self.answer(asked),
                Some(change) = inbox.changes.recv(), if !self.changing => self.start_command(change.command, change.ticket, Some(change.reply)),
                Some(done) = self.work.join_next() => self.finish(done),
            }
            self.start_wanted_reload();
        }
    }

    fn beat(&mut self) {
        self.agent.tick();
        self.void_old_note();
        if !self.changing
            && let Some(due) = self.agent.due(self.good_after)
        {
            self.start_copy(due);
        }
        self.agent.publish();
    }

    fn answer(&mut self, asked: oneshot::Sender<HealthDocument>) {
        // Whoever asked may have gone away meanwhile.
        let _ = asked.send(self.agent.health());
    }

    fn start_look(&mut self) {
        if self.looking {
            return;
        }
        self.looking = true;
        self.agent.look_begins();
        let settings = self.agent.loaded.settings.clone();
        let around = self.around.clone();
        let mut known = std::mem::take(&mut self.known);
        self.work.spawn_blocking(move || Done::Looked(look(&settings, &around, &mut known), known));
    }

    fn start_wanted_reload(&mut self) {
        if self.reload_wanted && !self.changing {
            self.reload_wanted = false;
            self.start_command(Command::Reload, Ticket::default(), None);
        }
    }

    fn start_command(&mut self, command: Command, ticket: Ticket, reply: Option<oneshot::Sender<Reply>>) {
        self.changing = true;
        tracing::info!("asked to {}", crate::commands::spoken(&command));
        let (store, running, around) = (self.store.clone(), self.agent.loaded.clone(), self.around.clone());
        self.work.spawn_blocking(move || {
            let handler = CommandHandler { store: &store, running: &running, around: &around, ticket: &ticket };
            Done::Command(Box::new(handler.carry_out(command)), reply)
        });
    }

    fn start_copy(&mut self, due: Due) {
        self.changing = true;
        let (store, mut settings) = (self.store.clone(), self.agent.loaded.settings.clone());
        self.work.spawn_blocking(move || {
            let written = match due {
                Due::KeepGood => store.keep_good(&settings),
                Due::RestoreCurrent => {
                    settings.generation = settings.generation.saturating_add(1);
                    store.save(&settings)
                }
            };
            Done::Copied(due, written.map(|()| settings))
        });
    }

    fn finish(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Looked(look, known)) => {
                self.looking = false;
                self.known = known;
                self.agent.look_ends(Some(look));
            }
            Ok(Done::Command(outcome, reply)) => self.finish_command(*outcome, reply),
            Ok(Done::Copied(due, written)) => self.finish_copy(due, written),
            Err(error) => {
                tracing::error!("bug: work beside the event loop broke off: {error}; please report it");
                self.looking = false;
                self.changing = false;
                self.agent.look_ends(None);
            }
        }
        self.agent.publish();
    }

    fn finish_command(&mut self, outcome: Outcome, reply: Option<oneshot::Sender<Reply>>) {
        self.changing = false;
        let loaded = outcome.adopt.unwrap_or_else(|| self.agent.loaded.clone());
        if let Some(look) = outcome.look {
            self.agent.take_look(look);
        }
        self.agent.adopt(loaded, outcome.walk);
        if let Some(why) = crate::commands::refusal(&outcome.reply) {
            tracing::warn!("not done: {why}");
        }
        // The document first: whoever reads it after the answer finds what the answer says.
        self.agent.publish();
        if let Some(reply) = reply {
            let _ = reply.send(outcome.reply);
        }
        self.start_look();
    }

    fn finish_copy(&mut self, due: Due, written: Result<Settings, String>) {
        self.changing = false;
        match written {
            Ok(settings) => {
                if due == Due::RestoreCurrent {
                    tracing::info!(
                        "the last good settings were written back as the current ones, generation {}",
                        settings.generation
                    );
                    self.agent.adopt(Loaded { settings, source: SettingsSource::Current, problem: None }, false);
                } else {
                    self.agent.copies_done();
                }
            }
            Err(message) => {
                tracing::error!("the settings could not be kept: {message}");
                self.agent.copies_failed();
            }
        }
    }

    /// Someone started the agent after it had been stopped, by whatever way: the note of that stop means nothing any more.
    /// Not at once, since a restart may fall between a stop's note and the stop itself.
    fn void_old_note(&mut self) {
        if self.note.settled || self.note.started.elapsed() < NOTE_VOID_AFTER {
            return;
        }
        self.note.settled = true;
        match stop::read(&self.note.path, &ThisBoot::now(&self.around.proc)) {
            Ok(Some(note)) if note.at_ms >= self.note.started_ms => {}
            Ok(Some(_)) => {
                if let Err(error) = stop::remove(&self.note.path) {
                    tracing::warn!("the note of an earlier stop could not be removed: {error}");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("the note of an earlier stop cannot be read: {error}"),
        }
    }
}
