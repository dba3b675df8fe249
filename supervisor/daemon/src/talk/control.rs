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

use crate::event::{Event, TalkEvent};
use crate::talk::bounded::Bounded;
use crate::talk::connection_pool::{ConnectionPool, Slot};

/// Connections at once of root and of our own user, and as many again of everybody else, who must not be able
/// to keep an administrator out. A further one takes the place of one that asks nothing, or waits.
const CONNECTIONS: usize = 16;
/// So many connections of each sort may wait for a place; more of them are turned away.
const WAITING: usize = 64;
/// A handshake takes a few milliseconds.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Looks into the user database that may hang at once (a directory service that is down).
const LOOKUPS: usize = 4;
/// Such a look is not waited for any longer: then the peer may only look.
const LOOKUP: Duration = Duration::from_secs(5);
/// A connection that asks nothing for this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Longest wait for an answer of the loop: the longest action and its verification are not waited for here.
const ANSWER: Duration = Duration::from_secs(60);

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
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
            let message = format!("uid {} may only read; changes need root or the group {ADMIN_GROUP}", self.peer.uid);
            return Response::NotPermitted { message };
        }
        // Stand-alone, whoever runs the supervisor is its root.
        if request.is_roots() && self.peer.uid != 0 && self.peer.uid != nix::unistd::geteuid().as_raw() {
            let message = format!("uid {} may not ask for this; it needs root", self.peer.uid);
            return Response::NotPermitted { message };
        }
        let (reply, answer) = oneshot::channel();
        let event = Event::Talk(TalkEvent::Asked { request, who: self.peer.name.clone(), reply });
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

/// The supervisor ends. Left behind, the socket would only look like one that listens.
pub(crate) fn close(path: &Path) {
    let _ = fs::remove_file(path);
}

/// The places for connections.
#[derive(Debug, Clone)]
struct Places {
    own: Arc<ConnectionPool>,
    others: Arc<ConnectionPool>,
    lookups: Arc<Semaphore>,
}

/// Serves for as long as the loop listens.
pub(crate) async fn serve(listener: UnixListener, events: Sender<Event>) {
    let pool = || ConnectionPool::new(CONNECTIONS, WAITING);
    let places = Places { own: pool(), others: pool(), lookups: Arc::new(Semaphore::new(LOOKUPS)) };
    while !events.is_closed() {
        let accepted = listener.accept().await.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream)));
        let (uid, stream) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("the control socket cannot take a connection: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (events, places) = (events.clone(), places.clone());
        let pool = Arc::clone(if is_own(uid) { &places.own } else { &places.others });
        let Some(waiting) = pool.queue() else {
            debug!("too many connections wait for the control socket; one of user {uid} is turned away");
            continue;
        };
        tokio::spawn(async move {
            let slot = pool.take(uid, IDLE).await;
            drop(waiting);
            if let Some(slot) = slot {
                talk(stream, uid, &places, events, slot).await;
            }
        });
    }
}

async fn talk(stream: UnixStream, uid: u32, places: &Places, events: Sender<Event>, slot: Slot) {
    // Who it is may take long to tell; it gives way meanwhile too.
    let talk = async { converse(stream, peer(uid, &places.lookups).await, events, &slot).await };
    tokio::select! {
        ended = talk => {
            if let Err(error) = ended {
                debug!("a connection of user {uid} to the control socket ended: {error}");
            }
        }
        () = slot.wanted() => debug!("a connection of user {uid} to the control socket asked nothing and gave way to another one"),
    }
}

async fn converse(stream: UnixStream, peer: Peer, events: Sender<Event>, slot: &Slot) -> zbus::Result<()> {
    use futures_util::StreamExt;
    let bus = zbus::connection::Builder::socket(Bounded::new(stream, Arc::clone(&slot.flow)))
        .server(Guid::generate())?
        .p2p()
        .serve_at(OBJECT, Face { peer, events })?
        .build();
    let bus = tokio::time::timeout(HANDSHAKE, bus)
        .await
        .map_err(|_| zbus::Error::Failure("no handshake in ten seconds".to_owned()))??;
    let mut traffic = zbus::MessageStream::from(&bus);
    while let Ok(Some(Ok(_))) = tokio::time::timeout(ANSWER + IDLE, traffic.next()).await {
        slot.used();
    }
    Ok(())
}

fn is_own(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Who it is and what it may. The user database may hang, so it is asked beside the loop, and root needs none.
async fn peer(uid: u32, lookups: &Arc<Semaphore>) -> Peer {
    let unknown = Peer { uid, name: format!("uid {uid}"), may_change: is_own(uid) };
    if uid == 0 {
        return Peer { name: "root".to_owned(), ..unknown };
    }
    let Ok(place) = Arc::clone(lookups).try_acquire_owned() else { return unknown };
    let looked = tokio::task::spawn_blocking(move || {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let known = user.map(|user| (is_admin(&user), user.name));
        drop(place);
        known
    });
    match tokio::time::timeout(LOOKUP, looked).await {
        Ok(Ok(Some((is_admin, name)))) => Peer { uid, name, may_change: unknown.may_change || is_admin },
        Ok(Ok(None) | Err(_)) | Err(_) => unknown,
    }
}

fn is_admin(user: &User) -> bool {
    let Ok(Some(admins)) = Group::from_name(ADMIN_GROUP) else { return false };
    let Ok(name) = std::ffi::CString::new(user.name.as_str()) else { return false };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&admins.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn root_and_our_own_user_may_change_and_a_stranger_may_only_look() {
        let lookups = Arc::new(Semaphore::new(1));
        let root = Peer { uid: 0, name: "root".to_owned(), may_change: true };
        assert_eq!(peer(0, &lookups).await, root);
        let own = nix::unistd::geteuid().as_raw();
        assert!(peer(own, &lookups).await.may_change);
        // No such user, and so no member of any group.
        let stranger = 3_999_999_999;
        let unknown = Peer { uid: stranger, name: format!("uid {stranger}"), may_change: false };
        assert_eq!(peer(stranger, &lookups).await, unknown);
    }

    #[tokio::test]
    async fn with_every_lookup_hanging_nobody_waits_and_root_may_change_all_the_same() {
        let lookups = Arc::new(Semaphore::new(0));
        assert!(peer(0, &lookups).await.may_change);
        assert_eq!(
            peer(65_534, &lookups).await,
            Peer { uid: 65_534, name: "uid 65534".to_owned(), may_change: is_own(65_534) }
        );
    }
}
