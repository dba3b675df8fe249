//! Tells the service manager that the loop runs: ready, watchdog, status. Nothing without one.
use sd_notify::NotifyState;

/// The loop begins.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The loop turned once more.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(states);
}
