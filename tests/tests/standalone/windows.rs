//! Maintenance windows on a real supervisor, and what a new ledger file keeps: a waiting incident, a pause.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use wbd_tests::deadline::wait_until;
use wbd_tests::json;

use crate::trial::{DOWN, QUIET, SOON, Trial, put, root};

/// A supervisor whose window opens in so many hours and is open for two.
fn windowed(hours: u64) -> Trial {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let clock = |hours: u64| format!("{:02}:{:02}", (now_s / 3_600 + hours) % 24, now_s / 60 % 60);
    let scratch = root("auto");
    let settings = format!(
        "every: 1s\nbudget: {{per_hour: 1000, per_day: 1000}}\nmaintenance:\n  zone: Etc/UTC\n  from_class: A2\n  windows: [{{from: \"{}\", to: \"{}\"}}]\n",
        clock(hours),
        clock(hours + 2)
    );
    put(scratch.path(), "etc/wbd/wbd.yaml", &settings);
    Trial::on(scratch)
}

fn next(trial: &Trial) -> String {
    trial.status()["next"].to_string()
}

#[test]
fn outside_its_window_a_restart_waits_until_an_operator_approves() {
    let trial = windowed(3);
    assert!(next(&trial).contains("maintenance window for A2 and above opens"), "{}", next(&trial));
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "window");
    let answer = json::wbdctl_at(trial.root(), ["doctor", "--fix", "--only", DOWN]);
    let came = answer.list("fixed")[0]["result"].as_str().unwrap_or_default().to_owned();
    assert!(came.contains("refused by window") && came.contains(&format!("wbdctl approve {incident}")), "{came}");
    trial.stays_undone("a closed window", QUIET);
    trial.ctl(&["approve", "--yes", &incident]).ok();
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn inside_its_window_a_restart_does_not_wait() {
    // It opened an hour ago.
    let trial = windowed(23);
    assert!(next(&trial).contains("maintenance window for A2 and above is open"), "{}", next(&trial));
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn a_new_ledger_file_keeps_the_waiting_incident_and_the_pause() {
    let trial = Trial::begin("auto");
    trial.ctl(&["pause", "a test of rotation"]).ok();
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "hold");
    trial.ctl(&["ledger", "rotate", "--reason", "a test"]).ok();
    let status = trial.status();
    assert!(status["hold"].as_str().is_some_and(|hold| hold.contains("a test of rotation")), "{status}");
    assert_eq!(status["open"][0]["id"].to_string(), incident.trim_start_matches('I'), "{status}");
    trial.stays_undone("a pause in another file", QUIET);
    trial.ctl(&["resume"]).ok();
    wait_until("the end of the incident", SOON, || {
        let status = trial.status();
        if status["open"] == serde_json::json!([]) { Ok(()) } else { Err(status.to_string()) }
    });
    let kinds: Vec<String> = trial.records().iter().map(|record| record["kind"].to_string()).collect();
    assert_eq!(kinds[0], "\"rotated\"", "{kinds:?}");
    assert!(!kinds.contains(&"\"opened\"".to_owned()) && kinds.contains(&"\"closed\"".to_owned()), "{kinds:?}");
    trial.verifies();
}
