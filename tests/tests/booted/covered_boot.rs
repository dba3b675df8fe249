//! A host whose boot has two names: nspawn covers the boot id, and the sandboxed units see the kernel's beneath it.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::{self, Answer};
use wbd_tests::product::{self, SOON, SUPERVISOR};
use wbd_tests::story::Story;

const AGENT: &str = "wbd-agent.service";
/// Long enough for several looks, and for a case that is held for three seconds.
const QUIET: Duration = Duration::from_secs(8);

/// What a process reads as the boot's name.
fn boot_id(host: &Host, pid: &str) -> String {
    host.run(["/usr/bin/nsenter", "--mount", "-t", pid, "/usr/bin/cat", "/proc/sys/kernel/random/boot_id"]).ok().text()
}

/// A host is only worth this test while the two names differ.
fn two_names(host: &Host) {
    let supervisor = host.main_pid(SUPERVISOR).expect("a supervisor").to_string();
    assert_ne!(boot_id(host, "1"), boot_id(host, &supervisor), "the cover is gone: this shows nothing");
}

#[test]
fn two_names_of_one_boot_are_no_failure_and_a_stop_is_whose_it_was() {
    let host = Host::boot("covered-boot");
    product::install(&host);
    product::configure(&host, product::ROOMY);
    product::healthy(&host);
    two_names(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);

    // Stopped in a shell, told of by shell and supervisor alike, and left stopped.
    let story = Story::begin(&host);
    host.run(["/opt/nbp/wbd/wbd_agent", "-s", "stop"]).ok();
    let by = "stopped by wbd_agent -s stop (uid 0)";
    let said = product::doctor_says(&host, by, |answer| answer.json.to_string().contains(by));
    assert!(said.code != 2 && said.cause("WBD-6007").is_none(), "{}", said.json);
    host.wait_for("the end on record", SOON, || {
        let ends: Vec<_> = story.records().into_iter().filter(|it| it["kind"] == "exit").collect();
        if ends.iter().any(|end| end.to_string().contains("wbd_agent -s stop")) { Ok(()) } else { Err(story.summary()) }
    });
    story.stays_undone("a wanted stop", QUIET);
    assert_eq!(host.main_pid(AGENT), None, "{}", story.summary());

    // Twin: the stop is over with the boot.
    host.reboot();
    product::agent_works(&host);
    product::healthy(&host);
    two_names(&host);
    let verified = json::wbdctl(&host, ["ledger", "verify"]);
    assert_eq!((verified.code, &verified.json["verified"]), (0, &true.into()), "{}", verified.json);

    // Twin: a failure is one whatever the boot is called.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "STOP");
    story.healed("WBD-6007", SOON);
    product::healthy(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}
