//! Tells the service manager that the loop runs: ready, watchdog. Nothing without one; never waits.
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

use sd_notify::NotifyState;

/// Opened once: the watchdog must be fed in the moments, too, in which no file can be opened.
static SOCKET: OnceLock<Option<UnixDatagram>> = OnceLock::new();

/// The loop begins. Said once, so this is worth waiting for.
pub(crate) fn ready() {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// The loop turned once more.
pub(crate) fn alive() {
    let socket = SOCKET.get_or_init(|| env::var_os("NOTIFY_SOCKET").and_then(|name| open(&name).ok()));
    let Some(socket) = socket else { return };
    match socket.send(NotifyState::Watchdog.to_string().as_bytes()) {
        // A manager that does not read for a while (it re-executes itself) is told again a moment later.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
            // It has made itself another socket of that name.
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
        Ok(_) | Err(_) => {}
    }
}

/// A name that begins with `@` is in the abstract name space.
fn open(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let socket = open(path.as_os_str()).unwrap();
        let text = NotifyState::Watchdog.to_string();
        let refused = (0..100_000).find_map(|_| socket.send(text.as_bytes()).err()).expect("its queue has an end");
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"WATCHDOG=1");
        assert!(open(OsStr::new("@wbd-no-such-manager")).is_err());
    }
}
