//! A TCP service of the test's own, in a host's network, that accepts and then stays or breaks off; it says nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use crate::deadline::poll;
use crate::host::Host;
use crate::network;

/// How often the serving thread looks whether it shall end.
const TURN: Duration = Duration::from_millis(100);

/// What becomes of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It is kept until the other side closes it.
    Open,
    /// It is reset at once.
    Reset,
}

/// A running service; it ends when dropped.
#[derive(Debug)]
pub struct Service {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Serves on `at`, an address that the host has (all of 127.0.0.0/8 are there).
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[must_use]
    #[track_caller]
    pub fn start(host: &Host, at: SocketAddr, manner: Manner) -> Self {
        let listener = network::bound(host, at, TcpListener::bind);
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        Self { end, thread: Some(thread::spawn(move || serve(&listener, manner, &ended))) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(listener: &TcpListener, manner: Manner, end: &AtomicBool) {
    listener.set_nonblocking(true).expect("non-blocking");
    let mut kept = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let Ok((stream, _)) = poll(TURN, || listener.accept().map_err(|why| why.to_string())) else {
            // Those that looked have gone by now.
            kept.clear();
            continue;
        };
        match manner {
            Manner::Open => kept.push(stream),
            Manner::Reset => reset(stream.as_fd()).expect("a socket of ours"),
        }
    }
}

/// With no time to linger the close that follows is a reset.
fn reset(socket: impl AsFd) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?)
}
