//! While the host itself is busy nothing is healed, and what waited is healed when that is over: packages that are changed,
//! a boot that has not ended. Twins: a package manager that changes nothing, a degraded host.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::product::{self, SOON};
use wbd_tests::story::Story;

const DOWN: &str = "WBD-6007";
const QUIET: Duration = Duration::from_secs(8);
/// The stand-in's configuration goes on for as long as this is there.
const WAITS: &str = "/run/waits";
const BOOT: Duration = Duration::from_secs(180);

/// A real dpkg at work on a real package, until told otherwise.
fn dpkg_works(host: &Host) {
    let control = "Package: waits\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n\
                   Description: configures until it is told that it is done\n";
    host.write("/root/waits/DEBIAN/control", control.as_bytes());
    let script = format!("#!/bin/sh\nwhile [ -e {WAITS} ]; do sleep 0.2; done\n");
    host.write_mode("/root/waits/DEBIAN/postinst", script.as_bytes(), "0755");
    host.run(["/usr/bin/dpkg-deb", "--build", "/root/waits", "/root/waits.deb"]).ok();
    host.write(WAITS, b"");
    host.run(["/usr/bin/systemd-run", "--unit=waits", "/usr/bin/dpkg", "-i", "/root/waits.deb"]).ok();
    host.wait_for("a package that is being configured", SOON, || {
        let ran = host.run(["/usr/bin/dpkg-query", "-W", "-f", "${Status}", "waits"]);
        if ran.text().ends_with("half-configured") { Ok(()) } else { Err(ran.report()) }
    });
}

fn dpkg_ends(host: &Host) {
    host.run(["/usr/bin/rm", WAITS]).ok();
    host.wait_for("the end of dpkg", SOON, || match host.unit("waits.service", "ActiveState").as_str() {
        "inactive" => Ok(()),
        state => Err(state.to_owned()),
    });
}

#[test]
fn while_packages_are_changed_nothing_is_healed_and_then_it_is() {
    let host = product::shared();
    dpkg_works(&host);
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    let refused = story.wait_for("a refusal", SOON, |record| record["kind"] == "refused");
    assert_eq!(refused["result"], "hold", "{refused}");
    let words = refused.to_string();
    assert!(words.contains("dpkg (process ") && words.contains("/var/lib/dpkg/lock"), "{refused}");
    story.stays_undone("dpkg at work", QUIET);
    assert_eq!((story.of("refused").len(), story.of("hold").len()), (1, 1), "told once: {}", story.summary());
    // It is nobody's word, so it is no warning of its own.
    let doctor = product::doctor(&host);
    assert!(doctor.cause("WBD-HOLD").is_none() && doctor.cause(DOWN).is_some(), "{}", doctor.json);
    dpkg_ends(&host);
    let told = story.healed(DOWN, SOON);
    assert_eq!(told.actions(), ["agent.start"], "{told}");
    assert_eq!((story.of("hold").len(), story.of("lifted").len()), (1, 1), "{}", story.summary());
    product::healthy(&host);

    // Twins: lists that are read, and an upgrade beside which nothing fails.
    let story = Story::begin(&host);
    let reads = "while true; do dpkg -l >/dev/null; dpkg --audit; done";
    host.run(["/usr/bin/systemd-run", "--unit=reads", "/usr/bin/bash", "-c", reads]).ok();
    host.signal(product::agent_works(&host), "TERM");
    story.healed(DOWN, SOON);
    assert!(story.of("hold").is_empty(), "{}", story.summary());
    host.run(["/usr/bin/systemctl", "stop", "reads.service"]).ok();
    product::healthy(&host);
    host.run(["/usr/bin/dpkg", "--purge", "waits"]).ok();
    dpkg_works(&host);
    let story = Story::begin(&host);
    story.stays_quiet("an upgrade of something else", QUIET);
    dpkg_ends(&host);
    assert!(story.of("hold").is_empty(), "{}", story.summary());
    host.run(["/usr/bin/dpkg", "--purge", "waits"]).ok();
    host.run(["/usr/bin/rm", "-r", "/root/waits", "/root/waits.deb"]).ok();
    product::healthy(&host);
}

fn systemd_says(host: &Host) -> String {
    host.run(["/usr/bin/systemctl", "is-system-running"]).text()
}

#[test]
fn while_the_host_boots_nothing_is_healed_and_on_a_degraded_one_it_is() {
    let host = Host::boot("busy-boot");
    product::install(&host);
    product::configure(&host, product::ROOMY);
    product::healthy(&host);
    // A job of the boot that takes its time.
    let unit = "[Service]\nType=oneshot\nExecStart=/usr/bin/sleep infinity\nTimeoutStartSec=infinity\n\
                [Install]\nWantedBy=multi-user.target\n";
    host.write("/etc/systemd/system/long-job.service", unit.as_bytes());
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "enable", "long-job.service"]).ok();
    let before = host.leader().expect("a first process");
    // The host may be gone before the program that asked for it has ended.
    drop(host.run(["/usr/bin/systemctl", "--no-block", "reboot"]));
    host.wait_for("another first process", BOOT, || match host.leader()? {
        now if now == before => Err("the old one".to_owned()),
        _ => Ok(()),
    });
    host.wait_for("a boot that goes on", BOOT, || match systemd_says(&host).as_str() {
        "starting" => product::working(&host).map(|_| ()),
        word => Err(word.to_owned()),
    });
    // What ends before the supervisor has seen it run is nobody's failure.
    host.wait_for("the supervisor's look", SOON, || product::looked(&host, DOWN, Duration::from_secs(5)));
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    let refused = story.wait_for("a refusal", SOON, |record| record["kind"] == "refused");
    assert!(refused["result"] == "hold" && refused.to_string().contains("the boot of this host"), "{refused}");
    story.stays_undone("a boot that goes on", QUIET);
    assert_eq!(systemd_says(&host), "starting");
    // It ends with a failure: the boot is over all the same.
    host.run(["/usr/bin/systemctl", "kill", "--signal=KILL", "long-job.service"]).ok();
    host.wait_for("the end of the boot", SOON, || match systemd_says(&host).as_str() {
        "degraded" => Ok(()),
        word => Err(word.to_owned()),
    });
    let told = story.healed(DOWN, SOON);
    assert_eq!(told.actions(), ["agent.start"], "{told}");
    product::healthy(&host);
    // Twin: on a degraded host nothing waits.
    assert_eq!(systemd_says(&host), "degraded");
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(DOWN, SOON);
    assert!(story.of("hold").is_empty(), "{}", story.summary());
}
