//! A ledger that was edited: nothing beyond a few restarts is done until a person sets it aside.

use nix::sys::signal::Signal;
use wbd_tests::deadline::wait_until;

use crate::trial::{self, DOWN, QUIET, SOON, Trial};

/// Makes one record say something else than it did; root can do that, and it must be found.
pub(crate) fn tamper(trial: &Trial, seq: u64) {
    let file = rusqlite::Connection::open(trial.root().join("var/lib/wbd/ledger.db")).expect("the ledger");
    let edit = "UPDATE entry SET payload = replace(payload, 'standalone', 'Standalone') WHERE seq = ?";
    assert_eq!(file.execute(edit, [i64::try_from(seq).expect("small")]).expect("written"), 1);
}

#[test]
fn an_edited_ledger_leaves_two_restarts_until_it_is_rotated() {
    let settings = |most| format!("healing: auto\nevery: 1s\nbudget: {{per_hour: {most}, per_day: {most}}}\n");
    let root = trial::root("auto");
    trial::put(root.path(), "etc/wbd/wbd.yaml", &settings(20));
    let mut trial = Trial::on(root);
    trial.supervisor.terminate();
    tamper(&trial, 1);
    trial.ctl(&["ledger", "verify"]).exits(1);
    trial.start_again();
    let degraded = trial.status()["degraded"].clone();
    assert!(degraded.as_str().is_some_and(|why| why.contains("record 1")), "{degraded}");
    for _ in 0..2 {
        let old = trial.hurt(Signal::SIGKILL);
        trial.agent_after(old);
        wait_until("the proof", SOON, || {
            let open = trial.status()["open"].clone();
            if open == serde_json::json!([]) { Ok(()) } else { Err(open.to_string()) }
        });
    }
    trial.hurt(Signal::SIGKILL);
    let down = || trial.supervisor.agents().is_empty().then_some(()).ok_or_else(|| "an agent runs".to_owned());
    wait_until("the agent's end", SOON, down);
    trial.stays("the end of the reserve", QUIET, down);
    let stop = trial.ctl(&["agent", "stop"]).exits(1);
    assert!(String::from_utf8_lossy(&stop.stderr).contains("nothing was done"), "{}", stop.report());
    trial.ctl(&["ledger", "rotate", "--reason", "a test edited it"]).ok();
    assert_eq!(trial.status()["degraded"], "");
    // What it held cannot be trusted, so that its budget counts as spent until the administrator gives more.
    trial.held_by(DOWN, "host-budget");
    assert!(down().is_ok(), "{}", trial.summary());
    trial::put(trial.root(), "etc/wbd/wbd.yaml", &settings(100));
    trial.ctl(&["reload", "--wait"]).ok();
    trial.agent();
    trial.verifies();
    let records = trial.records();
    assert_eq!(records[0]["kind"], "rotated", "{}", trial.summary());
    let mut ids: Vec<String> = trial.of("intent").iter().map(|intent| intent["action_id"].to_string()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    // Two from the reserve, taken in afterwards, and the one that healed.
    assert!(all >= 3 && ids.len() == all, "{}", trial.summary());
}

#[test]
fn a_pause_stands_in_an_edited_ledger_too() {
    let mut trial = Trial::begin("auto");
    trial.ctl(&["pause", "a test of pauses"]).ok();
    trial.supervisor.terminate();
    let last = trial.records().last().and_then(|record| record["seq"].as_u64()).expect("records");
    trial.start_again();
    wait_until("the second start", SOON, || {
        (trial.of("started").len() == 2).then_some(()).ok_or_else(|| trial.summary())
    });
    trial.supervisor.terminate();
    // The second start's own record: the pause stands before it.
    tamper(&trial, last + 1);
    trial.start_again();
    assert_ne!(trial.status()["degraded"], "");
    assert!(trial.status()["hold"].as_str().is_some_and(|hold| hold.contains("a test of pauses")));
    trial.hurt(Signal::SIGKILL);
    let down = || trial.supervisor.agents().is_empty().then_some(()).ok_or_else(|| "an agent runs".to_owned());
    wait_until("the agent's end", SOON, down);
    trial.stays("the pause", QUIET, down);
}

#[test]
fn a_second_supervisor_on_a_root_is_refused_by_name() {
    let trial = Trial::begin("auto");
    let mut second = std::process::Command::new(wbd_tests::places::program("wbd-supervisord"));
    let ran = wbd_tests::exec::run(second.arg("--standalone").arg("--root").arg(trial.root()), b"", SOON).exits(75);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains(&trial.supervisor.pid().to_string()), "{said}");
    // The first one was not disturbed, its socket least of all.
    assert_eq!(trial.status()["pid"].as_i64(), Some(trial.supervisor.pid().as_raw().into()));
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
}
