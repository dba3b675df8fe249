//! Sockets of the test process that live in a booted host's network; it sets up no interface, route or rule.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::deadline::poll;
use crate::host::Host;

/// Sockets that `bind` makes inside the host's network. A test beside this one that just starts a program holds, until that
/// program runs, every socket of this process, so an address that was given up may be in use for a moment longer.
///
/// # Panics
/// When they cannot be bound.
#[track_caller]
pub fn bound<T: Send + 'static>(host: &Host, at: SocketAddr, bind: fn(SocketAddr) -> io::Result<T>) -> T {
    let given_up = Duration::from_secs(10);
    let bound = poll(given_up, || inside(host, move || bind(at)).map_err(|why| why.to_string()));
    bound.unwrap_or_else(|why| panic!("cannot bind {at}: {why}"))
}

/// Runs `act` on a thread inside the host's network. A socket that it returns stays there and works from any thread.
///
/// # Panics
/// When the host is not up, or `act` panics.
#[track_caller]
fn inside<T: Send + 'static>(host: &Host, act: impl FnOnce() -> T + Send + 'static) -> T {
    let leader = host.leader().unwrap_or_else(|why| panic!("{why}"));
    let network = File::open(format!("/proc/{leader}/ns/net")).expect("the leader's network");
    let thread = thread::spawn(move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("entering the host's network");
        act()
    });
    thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why))
}
