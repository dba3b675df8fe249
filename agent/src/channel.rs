//! The command channel's server: connections, who asks, deadlines; what a command does is not decided here.

use crate::commands::Ticket;
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use wbd_agent_api::{Code, Command, HealthDocument, MAX_CALL_BYTES, OBJECT_PATH, Reply};
use zbus::connection::Builder;
use zbus::export::ordered_stream::OrderedStreamExt;

/// How often the socket is looked for where it belongs, while nobody connects.
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// More connections than this are closed at once.
const MAX_CONNECTIONS: usize = 16;
/// More requests than this waiting are refused.
const MAX_WAITING: usize = 16;
/// A connection that does not introduce itself in time is closed.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A connection without a word for so long is closed, so that idle ones do not shut others out.
const IDLE: Duration = Duration::from_secs(30);
/// A command is done or given up by then.
const DEADLINE: Duration = Duration::from_secs(20);
/// A command that is being done when the deadline comes is told of a little later.
const GRACE: Duration = Duration::from_secs(5);

/// A command that changes something, on its way to the event loop.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) command: Command,
    pub(crate) ticket: Ticket,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What the channel hands to the event loop: changes one at a time, questions at any time.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) changes: mpsc::Receiver<Change>,
    pub(crate) questions: mpsc::Receiver<oneshot::Sender<HealthDocument>>,
}

#[derive(Debug, Clone)]
struct Outbox {
    changes: mpsc::Sender<Change>,
    questions: mpsc::Sender<oneshot::Sender<HealthDocument>>,
}

/// Opens the socket and serves it until the event loop's end. The caller holds the agent's lock, so a socket that is there is stale.
pub(crate) fn open(path: &Path) -> io::Result<Inbox> {
    let listener = bind(path)?;
    let (changes, changes_in) = mpsc::channel(MAX_WAITING);
    let (questions, questions_in) = mpsc::channel(MAX_WAITING);
    tokio::spawn(accept(path.to_owned(), listener, Outbox { changes, questions }));
    Ok(Inbox { changes: changes_in, questions: questions_in })
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // The right mode from the first moment on: 0660.
    let before = umask(Mode::from_bits_truncate(0o117));
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}

async fn accept(path: PathBuf, mut listener: UnixListener, outbox: Outbox) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(accepted) = timeout(LOOK_AFTER, listener.accept()).await else {
            // Somebody cleared the folder: nobody finds a socket without a name.
            if fs::symlink_metadata(&path).is_err()
                && let Ok(again) = bind(&path)
            {
                listener = again;
            }
            continue;
        };
        match accepted {
            Ok((stream, _)) => {
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    let outbox = outbox.clone();
                    tokio::spawn(async move {
                        if let Err(error) = serve(stream, outbox).await {
                            tracing::debug!("a command connection ended: {error}");
                        }
                        drop(place);
                    });
                }
            }
            Err(error) => {
                tracing::warn!("the command socket cannot take a connection: {error}");
                // Out of descriptors, most likely: asking again at once would only burn the processor.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, outbox: Outbox) -> zbus::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let face = Face { may_change: uid == 0 || uid == geteuid().as_raw(), outbox };
    let builder = Builder::unix_stream(stream).server(zbus::Guid::generate())?.p2p().max_queued(4);
    let connecting = builder.serve_at(OBJECT_PATH, face)?.build();
    let Ok(connection) = timeout(HANDSHAKE, connecting).await else {
        return Ok(());
    };
    let mut words = zbus::MessageStream::from(connection?);
    while let Ok(Some(Ok(_))) = timeout(IDLE + DEADLINE + GRACE, words.next()).await {}
    Ok(())
}

struct Face {
    may_change: bool,
    outbox: Outbox,
}

#[zbus::interface(name = "wbd.Agent1")]
impl Face {
    async fn call(&self, request: String) -> String {
        let reply = self.answer(&request).await;
        serde_json::to_string(&reply)
            .unwrap_or_else(|error| format!("{{\"failed\":{{\"message\":\"no answer: {error}\"}}}}"))
    }
}

impl Face {
    async fn answer(&self, request: &str) -> Reply {
        if request.len() > MAX_CALL_BYTES {
            let message = format!("request is longer than {MAX_CALL_BYTES} bytes; send fewer targets");
            return Reply::Refused { code: Code::INVALID_VALUE, message };
        }
        let command = match serde_json::from_str(request) {
            Ok(command) => command,
            Err(error) => {
                let message = format!("request is not valid: {error}");
                return Reply::Refused { code: Code::INVALID_VALUE, message };
            }
        };
        match command {
            Command::Status => self.status().await,
            _ if !self.may_change => Reply::NotPermitted {
                message: "only root, or the user that the agent runs as, may change it; use sudo".into(),
            },
            Command::Activate
            | Command::Deactivate
            | Command::Reload
            | Command::TargetSet { .. }
            | Command::TargetAdd { .. }
            | Command::TargetRemove { .. } => self.change(command).await,
        }
    }

    async fn status(&self) -> Reply {
        let (answer, answered) = oneshot::channel();
        if self.outbox.questions.try_send(answer).is_err() {
            return busy();
        }
        match timeout(DEADLINE, answered).await {
            Ok(Ok(health)) => Reply::Status { health: Box::new(health) },
            Ok(Err(_)) | Err(_) => unanswered(),
        }
    }

    async fn change(&self, command: Command) -> Reply {
        let ticket = Ticket::default();
        let (reply, mut replied) = oneshot::channel();
        if self.outbox.changes.try_send(Change { command, ticket: ticket.clone(), reply }).is_err() {
            return busy();
        }
        let answer = match timeout(DEADLINE, &mut replied).await {
            Ok(answer) => answer,
            Err(_) if ticket.give_up() => {
                let message =
                    format!("not done within {} s, and given up; nothing was changed, try again", DEADLINE.as_secs());
                return Reply::Failed { message };
            }
            Err(_) => match timeout(GRACE, replied).await {
                Ok(answer) => answer,
                Err(_) => return unanswered(),
            },
        };
        answer.unwrap_or_else(|_| unanswered())
    }
}

fn busy() -> Reply {
    Reply::Failed { message: format!("{MAX_WAITING} requests are waiting already; nothing was changed, try again") }
}

fn unanswered() -> Reply {
    Reply::Failed { message: "the agent stopped, or is held up by a disk; ask for its status to see what holds".into() }
}
