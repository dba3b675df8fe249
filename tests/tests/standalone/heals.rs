//! A broken agent is healed and the healing is proved, or it is handed to a person (WBD-6007, WBD-CONFIG).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wbd_tests::deadline::{stays, wait_until};
use wbd_tests::json;

use crate::trial::{self, DOWN, SOON, Trial};

#[test]
fn a_killed_agent_is_started_and_proved() {
    let trial = Trial::begin("auto");
    let old = trial.hurt(Signal::SIGKILL);
    let new = trial.agent_after(old);
    trial.healed(DOWN, 0, &["agent.start"]);
    let exits = trial.of("exit");
    assert_eq!((exits.len(), exits[0]["result"].as_str()), (1, Some("signal")), "{exits:#?}");
    assert!(exits[0]["evidence"][0].as_str().is_some_and(|line| line.contains(&old.to_string())), "{exits:#?}");
    assert_eq!(trial.supervisor.agents(), [new], "one agent");
    trial.stays_undone("health", trial::QUIET);
    trial.verifies();
}

#[test]
fn a_hung_agent_is_restarted_and_proved() {
    let trial = Trial::begin("auto");
    let old = trial.hurt(Signal::SIGSTOP);
    let told = trial.healed(DOWN, 0, &["agent.restart"]);
    assert_eq!(told.last("opened")["evidence"][0], "case hung", "{told:#?}");
    assert_ne!(trial.agent(), old);
    let exits = trial.of("exit");
    assert_eq!(exits.len(), 1, "{exits:#?}");
    assert!(exits[0]["evidence"][0].as_str().is_some_and(|line| line.ends_with("(wbd)")), "ended by us: {exits:#?}");
    // The end that we asked for is no failure of its own.
    trial.stays_undone("health", trial::QUIET);
    assert_eq!(trial.incidents(DOWN).len(), 1);
}

/// Silent for so long, an agent is hung.
const FROZEN: Duration = Duration::from_secs(13);
/// The supervisor thaws so much earlier than the agent; time enough to look at it several times.
const EARLIER: Duration = Duration::from_millis(300);

/// Supervisor and agent stand still for a while, as on a machine that is suspended or paused; the supervisor goes on.
fn frozen_together() -> (Trial, Pid) {
    let trial = Trial::begin("auto");
    let agent = trial.hurt(Signal::SIGSTOP);
    trial.supervisor.signal(Signal::SIGSTOP);
    stays("the freeze", FROZEN, || match trial.supervisor.agents().as_slice() {
        [pid] if *pid == agent => Ok(()),
        other => Err(format!("{other:?}")),
    });
    trial.supervisor.signal(Signal::SIGCONT);
    (trial, agent)
}

#[test]
fn an_agent_that_thaws_a_moment_after_its_supervisor_is_left_alone() {
    let (trial, agent) = frozen_together();
    stays("the moment in between", EARLIER, || {
        if trial.supervisor.agents() == [agent] { Ok(()) } else { Err(format!("{:?}", trial.supervisor.agents())) }
    });
    kill(agent, Signal::SIGCONT).expect("it is there");
    trial.stays_undone("the thaw", trial::QUIET);
    assert_eq!(trial.agent(), agent);
    assert!(trial.incidents(DOWN).is_empty(), "{}", trial.summary());
}

/// Twin: the agent does not go on.
#[test]
fn an_agent_that_stays_silent_after_the_thaw_is_found_and_restarted() {
    let (trial, agent) = frozen_together();
    let told = trial.healed(DOWN, 0, &["agent.restart"]);
    assert_eq!(told.last("opened")["evidence"][0], "case hung", "{told:#?}");
    assert_ne!(trial.agent(), agent);
}

#[test]
fn corrupted_settings_cost_nothing_but_a_warning() {
    let trial = Trial::begin("auto");
    trial::put(trial.root(), "var/lib/wbd/agent/settings.yaml", "generation: 2\nactive: maybe\ntargets: [\n");
    let old = trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    let new = trial.agent_after(old);
    let health = trial.health().expect("a document");
    assert_eq!((&health["settings"]["source"], health["pid"].as_i64()), (&"good".into(), Some(new.as_raw().into())));
    assert!(health["settings"]["problem"]["line"].as_u64() > Some(0), "{health}");
    let cause = wait_until("WBD-CONFIG", SOON, || {
        let answer = json::wbdctl_at(trial.root(), ["doctor", "--only", "WBD-CONFIG"]);
        answer.cause("WBD-CONFIG").cloned().ok_or_else(|| answer.json.to_string())
    });
    assert_eq!(cause["severity"], "warn", "{cause}");
    assert!(cause["claim"].as_str().is_some_and(|claim| claim.contains("settings.")), "names the file: {cause}");
    assert!(trial.incidents("WBD-CONFIG").is_empty(), "a warning is no incident");
}

#[test]
fn a_crash_loop_is_handed_over_once_and_told() {
    let root = trial::root("auto");
    trial::prove_soon(root.path());
    let told = root.path().join("told");
    let text = format!("#!/bin/sh\necho \"$WBD_CODE $WBD_INCIDENT $WBD_TARGET\" >>{}\n", told.display());
    let program = trial::put(root.path(), "tell", &text);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own file");
    let settings = root.path().join("etc/wbd/wbd.yaml");
    let text = fs::read_to_string(&settings).expect("written before");
    fs::write(&settings, format!("{text}on_escalation: [{}]\n", program.display())).expect("scratch file");
    let trial = Trial::on(root);
    let agent = trial.root().join("opt/nbp/wbd/wbd_agent");
    let good = trial.root().join("wbd_agent.good");
    fs::rename(&agent, &good).expect("scratch file");
    trial::put(trial.root(), "opt/nbp/wbd/wbd_agent", "#!/bin/sh\nexit 7\n");
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).expect("our own file");
    trial.hurt(Signal::SIGKILL);
    let ended = wait_until("the hand-over", SOON, || {
        let all = trial.incidents(DOWN);
        all.into_iter().find(|told| told.ending() == Some("handed-over")).ok_or_else(|| trial.summary())
    });
    let guide = ended.last("escalated")["evidence"].as_array().map_or(0, Vec::len);
    assert!(guide > 1, "a reason and steps for a person: {ended:#?}");
    let actions = trial.of("intent").len();
    assert!((2..=6).contains(&actions), "a few tries, no loop: {}", trial.summary());
    trial.stays_undone("the hand-over", Duration::from_secs(10));
    assert_eq!(trial.of("escalated").len(), 1, "{}", trial.summary());
    let line = wait_until("the site's program", SOON, || fs::read_to_string(&told).map_err(|why| why.to_string()));
    assert_eq!(line, format!("{DOWN} {} wbd\n", ended.id));
    // The cause is gone: a person starts it, and the next death is healed as ever.
    fs::rename(&good, &agent).expect("scratch file");
    trial.ctl(&["agent", "start"]).ok();
    trial.agent();
    wait_until("the failure seen gone", SOON, || {
        trial.of("cleared").first().map(|_| ()).ok_or_else(|| trial.summary())
    });
}

#[test]
fn an_agent_that_another_supervisor_started_is_adopted_and_healed() {
    let mut trial = Trial::begin("auto");
    let pid = trial.agent();
    trial.supervisor.kill9();
    let before = trial.of("intent").len();
    trial.start_again();
    wait_until("the second start", SOON, || {
        (trial.of("started").len() == 2).then_some(()).ok_or_else(|| trial.summary())
    });
    trial.stays_undone("the agent", trial::QUIET);
    assert_eq!((trial.agent(), trial.of("intent").len()), (pid, before), "it is left alone");
    // Nobody can tell how somebody else's child ended; that it did is enough.
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    assert_eq!(trial.of("exit")[0]["result"], "unknown");
    assert_ne!(trial.agent(), pid);
}
