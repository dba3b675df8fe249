//! An operator's approval of a value on a booted host that outgrows it: not taken for another value, and what is done
//! is what was shown.

use std::time::Duration;

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::product::{self, ROOMY, SOON};
use wbd_tests::story::Story;
use wbd_tests::sysctl_guard::SysctlGuard;

use crate::site::{self, ctl};

const LIMIT: &str = "WBD-5404";
const KEY: &str = "fs.inotify.max_user_watches";
const FOLDERS: u64 = 3_000;
/// Both above what root's other processes on the machine hold, far below what the folders need.
const TOO_LOW: [u64; 2] = [1_500, 1_600];
const HEALING: Duration = Duration::from_secs(90);
const QUIET: Duration = Duration::from_secs(8);

#[test]
fn an_approval_is_not_taken_for_another_value_than_was_shown_and_what_is_done_is_what_was_shown() {
    let _limits = SysctlGuard::take();
    let host = product::shared();
    product::configure(&host, &ROOMY.replace("healing: auto", "healing: approve"));
    site::make(&host, FOLDERS);
    set(&host, TOO_LOW[0]);
    let story = Story::begin(&host).about(LIMIT);
    site::add(&host).ok();
    ctl(&host, &["agent", "activate"]).ok();
    let refused = story.wait_for("a wait for an approval", HEALING, |record| {
        record["kind"] == "refused" && record["code"] == LIMIT && record["result"] == "approval"
    });
    let incident = refused["incident"].as_str().expect("an incident").to_owned();

    // Approved while everything is held; before it may be done, somebody sets another value.
    ctl(&host, &["pause", "until", "the", "limit", "has", "changed"]).ok();
    let shown = ctl(&host, &["approve", "--yes", "--no-wait", &incident]).ok().text();
    assert!(shown.contains(&format!("{KEY}: {} -> ", TOO_LOW[0])), "{shown}");
    set(&host, TOO_LOW[1]);
    ctl(&host, &["resume"]).exits(1);
    let anew = story.wait_for("the approval refused", SOON, |record| {
        let words = record["evidence"][0].as_str().unwrap_or_default();
        record["kind"] == "refused" && words.contains("is no longer what was approved")
    });
    assert_eq!(anew["result"], "approval", "{anew}");
    story.stays_undone("the wait for another approval", QUIET);
    assert_eq!(limit(&host), TOO_LOW[1]);

    let shown = json::wbdctl(&host, ["approve", "--yes", "--no-wait", &incident]).json;
    let told = story.healed(LIMIT, HEALING);
    let changes = |value: &Value| -> Vec<String> {
        let words = |change: &Value| {
            let before = change["before"].as_str().unwrap_or("?");
            format!(
                "{}: {before} -> {}",
                change["what"].as_str().unwrap_or("?"),
                change["after"].as_str().unwrap_or("?")
            )
        };
        value.as_array().map(|all| all.iter().map(words).collect()).unwrap_or_default()
    };
    let intents = told.of("intent");
    let done = intents.iter().filter_map(|intent| intent["evidence"].as_array()).flatten();
    let done: Vec<&str> = done.filter_map(Value::as_str).collect();
    assert_eq!(done, changes(&shown["changes"]), "{told}");
    assert!(done[0].starts_with(&format!("{KEY}: {} -> {}", TOO_LOW[1], limit(&host))), "{done:?}");
    for action in told.of("intent") {
        drop(ctl(&host, &["undo", action["action_id"].as_str().unwrap_or_default()]));
    }
    site::forget(&host);
    product::configure(&host, ROOMY);
}

fn set(host: &Host, watches: u64) {
    host.run(["/usr/sbin/sysctl", "-q", "-w", &format!("{KEY}={watches}")]).ok();
}

fn limit(host: &Host) -> u64 {
    host.run(["/usr/sbin/sysctl", "-n", KEY]).ok().text().parse().expect("a number")
}
