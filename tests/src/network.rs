//! Sockets of the test process that live in a booted host's network; it sets up no interface, route or rule.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::host::Host;

/// Runs `act` on a thread inside the host's network. A socket that it returns stays there and works from any thread.
///
/// # Panics
/// When the host is not up, or `act` panics.
#[track_caller]
pub fn inside<T: Send + 'static>(host: &Host, act: impl FnOnce() -> T + Send + 'static) -> T {
    let leader = host.leader().unwrap_or_else(|why| panic!("{why}"));
    let network = File::open(format!("/proc/{leader}/ns/net")).expect("the leader's network");
    let thread = thread::spawn(move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("entering the host's network");
        act()
    });
    thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why))
}
