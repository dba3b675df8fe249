//! The ledger's disk is full, read-only or fails: said at once, two restarts and no third, and all is written when it
//! is well again.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::product::{self, AGENT, SOON, SUPERVISOR};
use wbd_tests::small_disk::SmallDisk;
use wbd_tests::story::Story;

use crate::degraded;

const CODE: &str = "WBD-6007";
const FOLDER: &str = "/var/lib/wbd";
/// Longer than a dead unit is held and than the next look after that.
const TWIN: Duration = Duration::from_secs(5);

/// The agent ends by itself, which systemd does not mend; the supervisor does.
#[track_caller]
fn ends_and_comes_back(host: &Host) {
    let old = product::agent_works(host);
    host.signal(old, "TERM");
    product::another_agent_works(host, old);
    host.wait_for("the incident's end", SOON, || {
        let open = degraded::status(host)["open"].clone();
        if open == serde_json::json!([]) { Ok(()) } else { Err(open.to_string()) }
    });
}

/// Two restarts come from the reserve, and no third; nothing else is done either.
#[track_caller]
fn two_restarts_and_no_third(host: &Host, when: &str) {
    for _ in 0..2 {
        ends_and_comes_back(host);
    }
    host.signal(product::agent_works(host), "TERM");
    let dead = || host.main_pid(AGENT).map_or(Ok(()), |pid| Err(format!("agent {pid} runs")));
    host.wait_for("the agent's end", SOON, dead);
    product::stays(host, &format!("the end of the reserve ({when})"), TWIN, dead);
    let answer = degraded::doctor(host, when);
    let cause = answer.cause("WBD-DEGRADED").unwrap_or_else(|| panic!("{}", answer.json));
    assert!(cause["evidence"][0].as_str().is_some_and(|why| why.contains("only observes")), "{cause}");
    assert!(answer.cause(CODE).is_some(), "{}", answer.json);
}

#[test]
fn on_a_full_disk_two_restarts_are_left_and_everything_is_written_in_order_when_there_is_room() {
    let host = product::shared();
    let disk = SmallDisk::over(&host, FOLDER, &[SUPERVISOR, AGENT]);
    product::healthy(&host);
    let before = degraded::status(&host);
    let (pid, story) = (degraded::supervisor(&host), Story::begin(&host));
    disk.fill();
    let why = degraded::says_degraded(&host, "full disk");
    assert!(why.contains("full"), "{why}");
    two_restarts_and_no_third(&host, "full disk");
    assert!(story.records().is_empty(), "nothing fits: {}", story.summary());

    disk.make_room();
    // The third one, that the reserve did not cover, is healed by the ledger's own means.
    product::healthy(&host);
    assert_eq!(degraded::supervisor(&host), pid);
    json::wbdctl(&host, ["ledger", "verify"]).json["verified"].as_bool().filter(|sound| *sound).expect("it verifies");
    let told = story.records();
    let intents: Vec<_> = told.iter().filter(|record| record["kind"] == "intent").collect();
    assert_eq!(intents.len(), 3, "{}", story.summary());
    let mut ids: Vec<_> = intents.iter().map(|intent| intent["action_id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3, "three actions, three numbers: {}", story.summary());
    assert_eq!(story.incidents(CODE).len(), 3, "{}", story.summary());
    assert!(story.incidents(CODE).iter().all(|told| told.ending() == Some("healed")), "{}", story.summary());
    let times: Vec<_> = story.of("opened").iter().map(|record| record["boot_ms"].as_u64()).collect();
    assert!(times.is_sorted(), "{}", story.summary());
    // Debits of the reserve count like any other.
    let left = |status: &serde_json::Value| status["budget_left_hour"].as_i64().expect("a number");
    assert_eq!(left(&before) - left(&degraded::status(&host)), 3);
    degraded::leaves_nobody_behind(&host, pid);
    drop(disk);
    product::healthy(&host);
}

#[test]
fn on_a_disk_that_became_read_only_or_fails_two_restarts_are_left_and_count_when_it_is_well() {
    let host = product::shared();
    let disk = SmallDisk::over(&host, FOLDER, &[SUPERVISOR, AGENT]);
    let faults: [(&str, fn(&SmallDisk<'_>)); 2] =
        [("read-only disk", |disk| disk.hurt()), ("failing disk", |disk| disk.break_down())];
    for (when, fault) in faults {
        product::healthy(&host);
        let before = degraded::status(&host);
        let (pid, story) = (degraded::supervisor(&host), Story::begin(&host));
        fault(&disk);
        degraded::says_degraded(&host, when);
        two_restarts_and_no_third(&host, when);
        assert_eq!(degraded::supervisor(&host), pid, "{when}");
        // Its end and its next start grant no restart more.
        if when == "read-only disk" {
            host.run(["/usr/bin/systemctl", "restart", SUPERVISOR]).ok();
            degraded::says_degraded(&host, "read-only disk at a start");
            product::stays(&host, "the end of the reserve", TWIN, || {
                host.main_pid(AGENT).map_or(Ok(()), |pid| Err(format!("agent {pid} runs")))
            });
        }
        disk.repair();
        product::healthy(&host);
        json::wbdctl(&host, ["ledger", "verify"]).json["verified"]
            .as_bool()
            .filter(|sound| *sound)
            .expect("it verifies");
        let left = |status: &serde_json::Value| status["budget_left_hour"].as_i64().expect("a number");
        assert_eq!(left(&before) - left(&degraded::status(&host)), 2, "{when}: {}", story.summary());
        assert_eq!(story.of("intent").len(), 2, "{when}: {}", story.summary());
    }
    drop(disk);
    product::healthy(&host);
}
