//! What runs is not what is installed: the agent is restarted (WBD-VERSION), an appliance's mismatch is told with its
//! side (DSVA-VERSION).

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, ROOMY, SOON};
use wbd_tests::story::Story;

const CODE: &str = "WBD-VERSION";
const BINARY: &str = "/opt/nbp/wbd/wbd_agent";
const KEPT: &str = "/opt/nbp/wbd/kept";
/// Longer than the hurried playbook holds a failure, and than several looks after that.
const TWIN: Duration = Duration::from_secs(12);

/// The shipped playbook, which waits a minute for a package manager, in a hurry.
fn hurry(host: &Host) {
    let patches = [("every: 30s", "every: 2s"), ("for: 60s ", "for: 4s "), ("attempts: 2,", "attempts: 50,")];
    product::patched_playbook(host, "agent-version", &patches);
    product::reload(host).ok();
}

fn unhurry(host: &Host) {
    product::roomy_playbook(host, "agent-version");
    product::configure(host, ROOMY);
    product::healthy(host);
}

/// Whether the process runs the very file that is installed now.
fn runs_installed(host: &Host, pid: u32) -> bool {
    let file = |path: &str| {
        let path = host.inside(path).expect("a host that is up");
        let file = std::fs::metadata(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        (file.ino(), file.dev())
    };
    file(&format!("/proc/{pid}/exe")) == file(BINARY)
}

#[test]
fn an_agent_that_was_replaced_on_disk_is_restarted() {
    let host = product::shared();
    hurry(&host);
    let pid = product::agent_works(&host);

    // Looked at by another eye: touched and copied beside, but the same file.
    let story = Story::begin(&host).about(CODE);
    host.run(["/usr/bin/touch", BINARY]).ok();
    host.run(["/usr/bin/cp", "-p", BINARY, "/opt/nbp/wbd/new"]).ok();
    story.stays_quiet("an agent that runs what is installed", TWIN);

    host.run(["/usr/bin/mv", "/opt/nbp/wbd/new", BINARY]).ok();
    assert!(!runs_installed(&host, pid));
    let told = story.healed(CODE, SOON);
    assert_eq!(told.actions(), ["agent.restart"], "{told}");
    assert_eq!(told.last("intent")["class"], "A2", "{told}");
    let restarted = product::agent_works(&host);
    assert!(restarted != pid && runs_installed(&host, restarted), "{restarted} after {pid}");
    assert!(story.incidents("WBD-6007").is_empty(), "{}", story.summary());

    // As an installer does it that keeps the old one: the name that the kernel knows moves with the running file.
    let story = Story::begin(&host).about(CODE);
    host.run(["/usr/bin/mv", BINARY, KEPT]).ok();
    host.run(["/usr/bin/cp", "-p", KEPT, BINARY]).ok();
    let told = story.healed(CODE, SOON);
    assert_eq!(told.actions(), ["agent.restart"], "{told}");
    let again = product::agent_works(&host);
    assert!(again != restarted && runs_installed(&host, again), "{again} after {restarted}");
    host.run(["/usr/bin/rm", KEPT]).ok();
    unhurry(&host);
}

#[test]
fn a_broken_update_does_not_take_down_the_agent_that_works() {
    let host = product::shared();
    hurry(&host);
    let pid = product::agent_works(&host);
    let story = Story::begin(&host).about(CODE);
    // As package managers do it: the new file takes over the name, the old one lives on without it.
    host.run(["/usr/bin/ln", BINARY, KEPT]).ok();
    host.write_mode(BINARY, b"#!/bin/sh\nexit 1\n", "0755");
    let answer = product::doctor_says(&host, "the replaced agent", |answer| answer.cause(CODE).is_some());
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!((answer.code, &cause["severity"]), (2, &"fail".into()), "{cause}");
    let held = |record: &Value| record["kind"] == "opened" && record["code"] == CODE;
    story.wait_for("the incident", SOON, held);
    story.stays_undone("a working agent", TWIN);
    assert_eq!(product::agent_works(&host), pid);
    host.run(["/usr/bin/mv", KEPT, BINARY]).ok();
    product::doctor_says(&host, "a sound agent", |answer| answer.cause(CODE).is_none());
    assert_eq!(product::agent_works(&host), pid);
    unhurry(&host);
}

#[test]
fn an_appliance_and_its_driver_must_agree_in_three_parts() {
    const CODE: &str = "DSVA-VERSION";
    let host = product::shared();
    host.run(["/usr/bin/install", "-D", "/usr/bin/sleep", "/opt/ds_agent/dsa_slowpath"]).ok();
    host.run(["/usr/bin/systemd-run", "--quiet", "--unit=dsva", "/opt/ds_agent/dsa_slowpath", "infinity"]).ok();
    let state = |appliance: &str, driver: &str| {
        let facts = format!("facts: {{dsva.appliance: \"{appliance}\", dsva.driver: \"{driver}\"}}\n");
        product::configure(&host, &format!("{ROOMY}{facts}"));
    };
    product::patched_playbook(&host, "version-match", &[("every: 1m", "every: 2s")]);
    let story = Story::begin(&host).about(CODE);
    for (appliance, driver, side) in [
        ("9.5.2.2022", "9.5.3.2754", "dsva.appliance"),
        ("9.5.3.2754", "9.5.2.2022", "dsva.driver"),
        // The third part counts as a number: 10 is more than 9.
        ("9.5.10.1", "9.5.9.1", "dsva.driver"),
    ] {
        state(appliance, driver);
        let what = format!("a failure at {appliance} and {driver}");
        let answer = product::doctor_says(&host, &what, |answer| answer.code == 2 && answer.cause(CODE).is_some());
        let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
        assert_eq!(cause["severity"], "fail", "{cause}");
        let title = cause["title"].as_str().unwrap_or_default();
        assert!(title.contains(&format!("upgrade {side}")), "{appliance} {driver}: {cause}");
    }
    story.stays_undone("a mismatch that only a person can end", TWIN);

    // Only the fourth part differs.
    state("9.5.3.2750", "9.5.3.2754");
    let answer = product::doctor_says(&host, "nothing wrong", Answer::is_well);
    assert_eq!(answer.checks(CODE)[0]["verdict"], "pass", "{}", answer.json);
    host.run(["/usr/bin/systemctl", "stop", "dsva.service"]).ok();
    host.run(["/usr/bin/rm", "-r", "/opt/ds_agent", "/etc/wbd/playbooks.d/version-match.yaml"]).ok();
    product::configure(&host, ROOMY);
    product::healthy(&host);
}
