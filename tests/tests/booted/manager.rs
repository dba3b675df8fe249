//! The bus and systemd themselves are restarted or reloaded under the supervisor, and the supervisor hangs.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::product::{self, SOON, SUPERVISOR};
use wbd_tests::story::Story;

const CODE: &str = "WBD-6007";

#[test]
fn a_restarted_bus_and_manager_are_no_event_and_healing_goes_on() {
    let host = product::shared();
    for act in [&["restart", "dbus.service"][..], &["daemon-reload"], &["daemon-reexec"]] {
        let pids = (host.main_pid(SUPERVISOR), product::agent_works(&host));
        let story = Story::begin(&host);
        host.run(["/usr/bin/systemctl"].iter().chain(act)).ok();
        story.stays_quiet(&format!("{act:?}"), Duration::from_secs(5));
        assert_eq!((host.main_pid(SUPERVISOR), product::agent_works(&host)), pids, "{act:?}");
        product::healthy(&host);
        host.signal(pids.1, "TERM");
        story.healed(CODE, SOON);
        product::healthy(&host);
        // And an administrator's stop is still heard.
        let story = Story::begin(&host);
        host.run(["/usr/bin/systemctl", "stop", product::AGENT]).ok();
        story.stays_quiet(&format!("a stop after {act:?}"), Duration::from_secs(5));
        host.run(["/usr/bin/systemctl", "start", product::AGENT]).ok();
        product::healthy(&host);
    }
}

#[test]
fn a_hung_supervisor_is_ended_by_the_watchdog_and_goes_on_where_it_was() {
    let host = product::shared();
    let dropin = format!("/etc/systemd/system/{SUPERVISOR}.d");
    host.write(&format!("{dropin}/test.conf"), b"[Service]\nWatchdogSec=15\n");
    reload_unit(&host);
    let before = host.main_pid(SUPERVISOR).expect("a supervisor");
    let restarts = host.unit(SUPERVISOR, "NRestarts");
    let story = Story::begin(&host);
    host.signal(before, "STOP");
    host.wait_for("another supervisor", SOON, || {
        let now = host.main_pid(SUPERVISOR);
        now.filter(|now| *now != before).map(|_| ()).ok_or_else(|| format!("{now:?}"))
    });
    product::healthy(&host);
    assert_ne!(host.unit(SUPERVISOR, "NRestarts"), restarts);
    assert!(story.of("opened").is_empty() && story.of("intent").is_empty(), "{}", story.summary());
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    host.run(["/usr/bin/rm", "-r", &dropin]).ok();
    reload_unit(&host);
    product::healthy(&host);
}

fn reload_unit(host: &Host) {
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "restart", SUPERVISOR]).ok();
    product::healthy(host);
}
