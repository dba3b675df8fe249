//! What is asked of a host's systemd over its bus, heard by a bus monitor of the tests' own with true times; `systemctl` has a way of its own and is not heard.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::UnixStream;
use wbd_tests::host::Host;
use wbd_tests::judge::{Effect, What};
use wbd_tests::product::AGENT;
use wbd_tests::recorder::now_us;
use zbus::export::futures_core::Stream;
use zbus::{MatchRule, Message, MessageStream};

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// How often it is asked whether to go on listening.
const PAUSE: Duration = Duration::from_millis(200);
const READY: Duration = Duration::from_secs(60);
/// From a message to its time here: a busy machine lets a listener wait.
pub(crate) const LATE_US: u64 = 2_000_000;

/// Listens until dropped.
pub(crate) struct Jobs {
    heard: Arc<Mutex<Vec<Effect>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Jobs {
    /// Listens to a host; what was asked before is not heard.
    #[track_caller]
    pub(crate) fn listen(host: &Host) -> Self {
        let path = host.inside("/run/dbus/system_bus_socket").expect("a host that is up");
        let (heard, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (told, asked) = (Arc::clone(&heard), Arc::clone(&stop));
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let stream = UnixStream::connect(path).await.expect("the host's bus");
                let bus = zbus::connection::Builder::unix_stream(stream).build().await.expect("a name on the bus");
                let mut messages = MessageStream::from(&bus);
                let rule = MatchRule::builder().interface(MANAGER).expect("a name").build();
                let monitor = zbus::fdo::MonitoringProxy::new(&bus).await.expect("the bus");
                monitor.become_monitor(&[rule], 0).await.expect("leave to listen");
                ready.send(()).ok();
                while !asked.load(Ordering::Relaxed) {
                    let next = poll_fn(|context| Pin::new(&mut messages).poll_next(context));
                    match tokio::time::timeout(PAUSE, next).await {
                        Ok(Some(Ok(message))) => {
                            told.lock().unwrap_or_else(PoisonError::into_inner).extend(job(&message))
                        }
                        Ok(Some(Err(_))) | Err(_) => {}
                        Ok(None) => return,
                    }
                }
            });
        });
        is_ready.recv_timeout(READY).expect("a monitor of the host's bus");
        Self { heard, stop, thread: Some(thread) }
    }

    /// Jobs on the agent's unit that were asked for so far.
    pub(crate) fn so_far(&self) -> Vec<Effect> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// `RestartUnit("wbd-agent.service", "replace")` and its like.
fn job(message: &Message) -> Option<Effect> {
    let at_us = now_us();
    let header = message.header();
    let verb = header.member()?.as_str().strip_suffix("Unit")?.to_lowercase();
    if !["start", "stop", "restart", "reload"].contains(&verb.as_str()) {
        return None;
    }
    let (unit, _mode): (String, String) = message.body().deserialize().ok()?;
    (unit == AGENT).then_some(Effect { at_us, what: What::Job { verb, unit } })
}
