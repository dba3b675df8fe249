//! The control socket: zbus peer-to-peer, peer credentials checked. Knows nothing of what is asked.
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Group, Uid, User, getgrouplist};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::Sender;
use tokio::sync::{Semaphore, oneshot};
use tracing::{debug, warn};
use wbd_model::control::{ADMIN_GROUP, OBJECT, Request, Response};
use zbus::{Guid, interface};

use crate::event::Event;

/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 16;
/// A connection that asks nothing for this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Longest wait for an answer of the loop: the longest deed and its verification are not waited for here.
const ANSWER: Duration = Duration::from_secs(60);

/// Who is at the other end.
#[derive(Debug, Clone)]
struct Peer {
    uid: u32,
    name: String,
    may_change: bool,
}

struct Face {
    peer: Peer,
    events: Sender<Event>,
}

#[interface(name = "wbd.Control1")]
impl Face {
    /// JSON of `Request` in, JSON of `Response` out.
    async fn call(&self, request: String) -> String {
        let response = self.answer(&request).await;
        serde_json::to_string(&response).unwrap_or_else(|error| format!("{{\"refused\":{{\"message\":\"{error}\"}}}}"))
    }
}

impl Face {
    async fn answer(&self, request: &str) -> Response {
        let request: Request = match serde_json::from_str(request) {
            Ok(request) => request,
            Err(error) => {
                return Response::Refused {
                    message: format!("the request cannot be read: {error}; is wbdctl of another version?"),
                };
            }
        };
        if request.is_change() && !self.peer.may_change {
            let message = format!("uid {} may only look; changes need root or the group {ADMIN_GROUP}", self.peer.uid);
            return Response::NotPermitted { message };
        }
        let (reply, answer) = oneshot::channel();
        let event = Event::Control { request, who: self.peer.name.clone(), reply };
        if self.events.send(event).await.is_err() {
            return Response::Refused { message: "the supervisor is stopping".to_owned() };
        }
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => {
                Response::Refused { message: "the supervisor dropped the request; it is stopping".to_owned() }
            }
            Err(_) => {
                Response::Refused { message: "no answer in 60 s; wbdctl status tells what it is doing".to_owned() }
            }
        }
    }
}

/// Opens the socket: readable by everyone, since reads are for everyone.
///
/// # Errors
/// The folder cannot be written, or another supervisor listens.
pub(crate) fn open(path: &Path) -> io::Result<UnixListener> {
    // The state folder's lock is held by us, so a socket that is there is a dead one's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves for as long as the loop listens.
pub(crate) async fn serve(listener: UnixListener, events: Sender<Event>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "the control socket cannot accept");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let events = events.clone();
        tokio::spawn(async move {
            if let Err(error) = talk(stream, events).await {
                debug!(%error, "a control connection ended");
            }
            drop(place);
        });
    }
}

async fn talk(stream: UnixStream, events: Sender<Event>) -> zbus::Result<()> {
    use futures_util::StreamExt;
    let peer = peer_of(&stream).map_err(|error| zbus::Error::InputOutput(Arc::new(error)))?;
    let bus = zbus::connection::Builder::unix_stream(stream)
        .server(Guid::generate())?
        .p2p()
        .serve_at(OBJECT, Face { peer, events })?
        .build();
    let bus = tokio::time::timeout(IDLE, bus)
        .await
        .map_err(|_| zbus::Error::Failure("no handshake in a minute".to_owned()))??;
    let mut traffic = zbus::MessageStream::from(&bus);
    while let Ok(Some(Ok(_))) = tokio::time::timeout(ANSWER + IDLE, traffic.next()).await {}
    Ok(())
}

fn peer_of(stream: &UnixStream) -> io::Result<Peer> {
    let uid = stream.peer_cred()?.uid();
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let own = nix::unistd::geteuid().as_raw();
    let may_change = uid == 0 || uid == own || user.as_ref().is_some_and(is_admin);
    let name = user.map_or_else(|| format!("uid {uid}"), |user| user.name);
    Ok(Peer { uid, name, may_change })
}

fn is_admin(user: &User) -> bool {
    let Ok(Some(admins)) = Group::from_name(ADMIN_GROUP) else { return false };
    let Ok(name) = std::ffi::CString::new(user.name.as_str()) else { return false };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&admins.gid))
}
