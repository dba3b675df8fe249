//! Broken and changed files: what is refused, with which code and place, and what stays in force.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use wbd_tests::deadline::wait_until;
use wbd_tests::exec;
use wbd_tests::places;

use crate::trial::{self, DOWN, SOON, Trial};

const SETTINGS: &str = "etc/wbd/wbd.yaml";
const BROKEN_PLAYBOOK: &str =
    "apiVersion: wbd/v1\nkind: Playbook\nmetadata: {name: broken, code: X-1, source: a test}\nspec:\n  obsreve: {}\n";

#[test]
fn broken_settings_keep_it_from_starting() {
    let root = trial::root("auto");
    trial::put(root.path(), SETTINGS, "healing: atuo\nevery: 1s\n");
    let mut program = Command::new(places::program("wbd-supervisord"));
    let ran = exec::run(program.arg("--standalone").arg("--root").arg(root.path()), b"", SOON).exits(78);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("wbd.yaml:1:10: ") && said.contains("did you mean \"auto\"?"), "{said}");
    assert!(!root.path().join("var/lib/wbd/ledger.db").exists(), "nothing is begun");
}

#[test]
fn broken_settings_are_refused_and_the_old_ones_stay() {
    let trial = Trial::begin("auto");
    trial::put(trial.root(), SETTINGS, "healing: observe\nbugdet: {}\n");
    let ran = trial.ctl(&["reload", "--wait"]).exits(78);
    assert!(String::from_utf8_lossy(&ran.stderr).contains("wbd.yaml:2:1: "), "{}", ran.report());
    assert_eq!(trial.status()["healing"], "auto");
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn a_broken_playbook_stops_neither_the_others_nor_the_supervisor() {
    let root = trial::root("auto");
    trial::put(root.path(), "etc/wbd/playbooks.d/broken.yaml", BROKEN_PLAYBOOK);
    let trial = Trial::on(root);
    let all = trial.status()["playbooks"].as_u64();
    assert!(all > Some(5), "{all:?}");
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    let ran = trial.ctl(&["reload", "--wait"]).exits(78);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("broken.yaml:5:3: ") && said.contains("did you mean \"observe\"?"), "{said}");
    assert_eq!(trial.status()["playbooks"].as_u64(), all, "the old set stays");
    fs::remove_file(trial.root().join("etc/wbd/playbooks.d/broken.yaml")).expect("put there above");
    trial.ctl(&["reload", "--wait"]).ok();
}

#[test]
fn changed_settings_are_in_force_when_the_reload_returns() {
    let trial = Trial::begin("auto");
    let text = fs::read_to_string(trial.root().join(SETTINGS)).expect("written before");
    trial::put(trial.root(), SETTINGS, &text.replace("auto", "observe"));
    trial.ctl(&["reload", "--wait"]).ok();
    assert_eq!(trial.status()["healing"], "observe");
    trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "mode");
    // And back, by signal: what was held goes on without a restart of anything.
    trial::put(trial.root(), SETTINGS, &text);
    trial.supervisor.signal(Signal::SIGHUP);
    let told = trial.closed(DOWN, 0);
    assert_eq!((told.ending(), told.actions()), (Some("healed"), vec!["agent.start"]), "{told:#?}");
}

#[test]
fn a_profile_that_changed_is_in_force_after_a_reload() {
    let trial = Trial::begin("auto");
    let reason = |trial: &Trial| {
        let answer = wbd_tests::json::wbdctl_at(trial.root(), ["doctor"]);
        answer.checks("NET-TCP").iter().map(|check| check["target"].to_string()).collect::<Vec<_>>()
    };
    assert!(reason(&trial).is_empty());
    let profile = |port: u16| {
        format!(
            "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: site, source: a test}}\nspec:\n  present: {{any: [{{file: /etc/wbd/wbd.yaml}}]}}\n  endpoints: [{{host: 127.0.0.1, ports: [{port}]}}]\n"
        )
    };
    trial::put(trial.root(), "etc/wbd/playbooks.d/site.yaml", &profile(1));
    trial.ctl(&["reload", "--wait"]).ok();
    wait_until("the site's product", SOON, || {
        let profiles = trial.status()["profiles"].clone();
        if profiles.to_string().contains("site") { Ok(()) } else { Err(profiles.to_string()) }
    });
    // The same playbook and the same target, another port: only the new one may be asked.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    trial::put(trial.root(), "etc/wbd/playbooks.d/site.yaml", &profile(port));
    trial.ctl(&["reload", "--wait"]).ok();
    listener.set_nonblocking(true).expect("our own socket");
    wait_until("a look at the new port", SOON, || listener.accept().map(|_| ()).map_err(|why| why.to_string()));
}
