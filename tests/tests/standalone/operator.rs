//! An operator's decision on a real supervisor: waivers, hold files, and an approval that is refused when it is for
//! something else.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use serde_json::Value;
use wbd_tests::deadline::wait_until;
use wbd_tests::exec::Ran;
use wbd_tests::json;
use wbd_tests::supervisor::Supervisor;

use crate::control;
use crate::toy;
use crate::trial::{self, DOWN, QUIET, SOON, Trial};

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&[ran.stdout.as_slice(), &ran.stderr].concat()).into_owned()
}

fn doctor(trial: &Trial) -> json::Answer {
    json::wbdctl_at(trial.root(), ["doctor"])
}

/// The waived checks of doctor's answer: code and verdict.
fn waived(answer: &json::Answer) -> Vec<(String, String)> {
    let rows = answer.list("waived").iter().filter_map(|row| row["checks"].as_array());
    let word = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    rows.flatten().map(|check| (word(check, "code"), word(check, "verdict"))).collect()
}

#[test]
fn doctor_fix_is_no_approval_where_one_is_needed_and_none_over_a_denial() {
    let trial = Trial::begin("approve");
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "approval");
    let fix = |when: &str| {
        let answer = json::wbdctl_at(trial.root(), ["doctor", "--fix", "--only", DOWN]);
        let fixed = answer.list("fixed")[0].clone();
        assert_eq!((answer.code, &fixed["healed"]), (2, &false.into()), "{when}: {}", answer.json);
        fixed["result"].as_str().unwrap_or_default().to_owned()
    };
    let came = fix("waiting");
    assert!(came.contains(&format!("wbdctl approve {incident}")), "{came}");
    trial.stays_undone("doctor --fix without an approval", QUIET);
    trial.ctl(&["deny", &incident]).ok();
    trial.closed(DOWN, 0);
    let came = fix("denied");
    assert!(
        came.contains("handed this over") && came.contains("wbdctl playbook run agent-down --target wbd"),
        "{came}"
    );
    trial.stays_undone("doctor --fix after a denial", QUIET);
    let asked = [trial.of("approved").len(), trial.of("manual").len(), trial.of("opened").len()];
    assert_eq!(asked, [0, 0, 1], "{}", trial.summary());
}

#[test]
fn an_action_that_there_never_was_is_not_one_that_changed_nothing() {
    let trial = Trial::begin("auto");
    trial.hurt(Signal::SIGKILL);
    let told = trial.healed(DOWN, 0, &["agent.start"]);
    let action = told.of("intent")[0]["action_id"].as_str().expect("a number").to_owned();
    for none in ["A0", "A999"] {
        let refused = trial.ctl(&["undo", none]).exits(1);
        assert!(said(&refused).contains(&format!("there is no action {none}")), "{}", refused.report());
    }
    let refused = trial.ctl(&["undo", &action]).exits(1);
    assert!(said(&refused).contains(&format!("{action} cannot be taken back")), "{}", refused.report());
}

#[test]
fn what_was_handed_over_stays_visible_with_the_steps_for_a_person_until_it_is_gone() {
    let root = toy::root("auto");
    toy::fixes_by(root.path(), "toy", "");
    toy::write(root.path(), "toy", &toy::playbook("toy", toy::CODE));
    let trial = Trial::on(root);
    let doctor = || json::wbdctl_at(trial.root(), ["doctor", "--only", toy::CODE]);
    let text = || said(&trial.ctl(&["doctor", "--only", toy::CODE])).split_whitespace().collect::<Vec<_>>().join(" ");
    trial.ctl(&["pause", "a test of hand-overs"]).ok();
    toy::breaks(trial.root(), "toy");
    trial.held_by(toy::CODE, "hold");
    // Twin: what is only held back now is not handed over.
    let answer = doctor();
    assert!(answer.cause(toy::CODE).expect("they differ")["fix"]["withheld"].is_null(), "{}", answer.json);
    assert!(!text().contains("handed") && trial.status()["handed_over"] == serde_json::json!([]));
    assert!(said(&trial.ctl(&["resume"]).exits(1)).contains("handed over to a person"));
    assert_eq!(trial.closed(toy::CODE, 0).ending(), Some("handed-over"));

    let answer = doctor();
    let fix = &answer.cause(toy::CODE).expect("they differ still")["fix"];
    let why = fix["withheld"].as_str().unwrap_or_default();
    // One more try would be refused, so it is not offered; and it is refused.
    assert!(why.contains("handed this over") && why.contains("would be refused now by attempts"), "{fix}");
    assert!(!why.contains("wbdctl playbook run") && fix["command"].is_null(), "{fix}");
    let refused = said(&trial.ctl(&["playbook", "run", "toy-match", "--target", "toy"]).exits(1));
    assert!(refused.contains("all 3 attempts are used"), "{refused}");
    let shown = text();
    assert!(shown.contains("1. make them agree") && !shown.contains("wbd does it by itself"), "{shown}");
    assert_eq!(trial.status()["handed_over"], serde_json::json!([{"code": toy::CODE, "target": "toy"}]));
    let acts = toy::acts(trial.root());
    let answer = json::wbdctl_at(trial.root(), ["doctor", "--fix", "--only", toy::CODE]);
    assert!(answer.list("fixed")[0]["result"].as_str().is_some_and(|came| came.contains("handed this over")));
    // Nor by a doctor that was not told of it.
    let request = r#"{"run_playbook":{"playbook":"toy-match","target":"toy","without_word":true}}"#;
    let answer = control::ask(trial.root(), request);
    assert!(answer.contains("refused") && answer.contains("handed over"), "{answer}");
    toy::stays_at(&trial, acts, "doctor --fix of what was handed over");

    // Gone by a person's hand.
    trial::put(trial.root(), "etc/toy/left", "1.0.0\n");
    wait_until("nothing handed over", SOON, || {
        let status = trial.status();
        if status["handed_over"] == serde_json::json!([]) { Ok(()) } else { Err(status.to_string()) }
    });
    assert!(doctor().cause(toy::CODE).is_none());
}

#[test]
fn doctor_fix_does_at_once_what_wbd_would_do_by_itself() {
    let root = toy::root("auto");
    let patient = toy::playbook("toy", toy::CODE).replace("for: 500ms", "for: 10m");
    assert!(patient.contains("for: 10m"), "else nothing would have to be asked for");
    toy::write(root.path(), "toy", &patient);
    let trial = Trial::on(root);
    toy::breaks(trial.root(), "toy");
    toy::stays_at(&trial, 0, "what is not held for its time");
    let answer = json::wbdctl_at(trial.root(), ["doctor", "--fix", "--only", toy::CODE]);
    assert_eq!((answer.code, &answer.list("fixed")[0]["healed"]), (0, &true.into()), "{}", answer.json);
    trial.healed(toy::CODE, 0, &["command.run"]);
}

#[test]
fn doctor_fix_is_no_approval_by_settings_that_are_not_in_force() {
    let root = toy::root("auto");
    let file = root.path().join("etc/wbd/wbd.yaml");
    let free = fs::read_to_string(&file).expect("the settings");
    fs::write(&file, format!("{free}playbooks: {{toy-match: {{healing: approve}}}}\n")).expect("scratch file");
    let patient = toy::playbook("toy", toy::CODE).replace("for: 500ms", "for: 10m");
    toy::write(root.path(), "toy", &patient);
    let trial = Trial::on(root);
    toy::breaks(trial.root(), "toy");
    let fix = |config: &[&str]| {
        let args = [config, &["doctor", "--fix", "--only", toy::CODE]].concat();
        let answer = json::wbdctl_at(trial.root(), args);
        answer.list("fixed")[0]["result"].as_str().unwrap_or_default().to_owned()
    };
    let other = trial::put(trial.root(), "other.yaml", &free);
    fs::write(&file, "healing: [\n").expect("scratch file");
    for config in [&[][..], &["--config", other.to_str().expect("text")]] {
        wait_until("the command that approves it", SOON, || {
            let came = fix(config);
            let offered = came.contains("wbdctl playbook run toy-match --target toy");
            if offered { Ok(()) } else { Err(format!("{config:?}: {came}")) }
        });
    }
    assert!(trial.of("manual").is_empty() && trial.of("opened").is_empty(), "{}", trial.summary());
    // Nothing tells doctor that this is not what the supervisor goes by.
    fs::write(&file, &free).expect("scratch file");
    wait_until("the word of the guard in force", SOON, || {
        let came = fix(&[]);
        let waits = came.contains("waits for your approval: wbdctl playbook run toy-match --target toy");
        if waits { Ok(()) } else { Err(came) }
    });
    toy::stays_at(&trial, 0, "doctor --fix under another healing than is in force");
    assert!(trial.of("approved").is_empty(), "{}", trial.summary());
    // Twin: an approval is one.
    trial.ctl(&["playbook", "run", "toy-match", "--target", "toy"]).ok();
    trial.healed(toy::CODE, 0, &["command.run"]);
}

#[test]
fn a_waived_failure_is_shown_and_neither_counts_nor_is_healed_until_the_waiver_ends() {
    let trial = Trial::begin("auto");
    trial.ctl(&["waiver", "add", "6007", "--why", "a test of waivers", "--for", "1h"]).ok();
    trial.hurt(Signal::SIGKILL);
    let answer = wait_until("the waived failure in doctor", SOON, || {
        let answer = doctor(&trial);
        let seen = waived(&answer).contains(&(DOWN.to_owned(), "fail".to_owned()));
        if seen { Ok(answer) } else { Err(answer.json.to_string()) }
    });
    assert!(answer.cause(DOWN).is_none() && answer.checks(DOWN).is_empty(), "{}", answer.json);
    assert!(answer.code == 0 || answer.list("causes").iter().all(|cause| cause["code"] != DOWN), "{}", answer.json);
    let row = &answer.list("waived")[0];
    assert_eq!((&row["waiver"]["why"], &row["standing"]), (&"a test of waivers".into(), &"ending".into()));
    let text = said(&trial.ctl(&["doctor"]));
    assert!(text.contains("Waived (does not count)") && text.contains("a test of waivers"), "{text}");
    trial.stays_undone("a waiver", QUIET);
    assert!(trial.of("opened").is_empty(), "{}", trial.summary());
    // Ended early; nothing is restarted for it.
    trial.ctl(&["waiver", "add", "6007", "--why", "the test is over", "--for", "0"]).ok();
    trial.healed(DOWN, 0, &["agent.start"]);
    assert!(said(&trial.ctl(&["waiver", "list"])).contains("No waivers"));
    assert_eq!(trial.of("waived").len(), 2);
}

#[test]
fn a_waiver_that_runs_out_lets_the_failure_count_again() {
    let trial = Trial::begin("auto");
    trial.ctl(&["waiver", "add", DOWN, "--target", "wbd", "--why", "a short one", "--for", "8s"]).ok();
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    let (given, opened) = (&trial.of("waived")[0], &trial.of("opened")[0]);
    let after = opened["boot_ms"].as_u64().unwrap_or(0) - given["boot_ms"].as_u64().unwrap_or(0);
    assert!(after >= 8_000, "opened {after} ms after it was waived for 8 s");
    assert!(said(&trial.ctl(&["waiver", "list"])).contains("counts again"));
    let rows = doctor(&trial);
    assert!(rows.list("waived")[0]["standing"] == "expired", "it is said: {}", rows.json);
}

#[test]
fn an_open_incident_is_closed_by_a_waiver_and_the_waiver_outlives_the_supervisor() {
    let mut trial = Trial::begin("approve");
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "approval");
    trial.ctl(&["waiver", "add", DOWN, "--why", "it may stay down", "--until", "2100-01-01T00:00Z"]).exits(1);
    trial.ctl(&["waiver", "add", DOWN, "--why", "it may stay down", "--for", "30d"]).ok();
    let told = trial.closed(DOWN, 0);
    assert_eq!((told.ending(), told.actions().len()), (Some("waived"), 0), "{told:#?}");
    assert!(said(&trial.ctl(&["approve", "--yes", &incident]).exits(1)).contains("is over (waived)"));
    assert!(said(&trial.ctl(&["deny", &incident]).exits(1)).contains("is over (waived)"));
    assert!(said(&trial.ctl(&["playbook", "run", "agent-down"]).exits(1)).contains("is waived by"));
    trial.supervisor.kill9();
    // Doctor reads it from the ledger meanwhile.
    let alone = doctor(&trial);
    assert!(waived(&alone).iter().any(|(code, _)| code == DOWN), "{}", alone.json);
    assert!(said(&trial.ctl(&["waiver", "list"]).ok()).contains("it may stay down"));
    trial.start_again();
    trial.looks();
    trial.stays_undone("a waiver after a crash", QUIET);
    assert_eq!(trial.of("opened").len(), 1, "{}", trial.summary());
}

#[test]
fn a_waiver_for_what_nobody_looks_for_is_refused_with_what_was_meant() {
    let trial = Trial::begin("auto");
    let add = |args: &[&str]| trial.ctl(&[&["waiver", "add"], args].concat());
    let slip = add(&["WBD-6008", "--why", "x", "--for", "1d"]).exits(1);
    assert!(said(&slip).contains("WBD-6007"), "{}", slip.report());
    let slip = add(&[DOWN, "--target", "wdb", "--why", "x", "--for", "1d"]).exits(1);
    assert!(said(&slip).contains("wbd"), "{}", slip.report());
    for (args, code) in [
        (&[DOWN, "--why", "x", "--for", "367d"][..], 64),
        (&[DOWN, "--why", "x", "--until", "2100-01-01"], 1),
        (&[DOWN, "--why", "x", "--until", "2001-01-01"], 1),
        (&[DOWN, "--why", " ", "--for", "1d"], 1),
        (&[DOWN, "--why", "nothing to end", "--for", "0"], 1),
        (&[DOWN, "--for", "1d"], 64),
        (&[DOWN, "--why", "x"], 64),
        (&[DOWN, "--why", "x", "--for", "1d", "--until", "2100-01-01"], 64),
        (&["nonsense", "--why", "x", "--for", "1d"], 64),
    ] {
        let _ = add(args).exits(code);
    }
    assert!(trial.of("waived").is_empty(), "{}", trial.summary());
}

#[test]
fn a_hold_file_holds_whatever_is_in_it_and_only_its_removal_lifts_it() {
    let trial = Trial::begin("auto");
    let file = trial.root().join("etc/wbd/hold");
    fs::write(&file, "why: [a broken text\n").expect("scratch file");
    let status = wait_until("the file in status", SOON, || {
        let status = trial.status();
        if status["holds"][0]["file"].is_string() { Ok(status) } else { Err(status.to_string()) }
    });
    assert!(status["hold"].as_str().is_some_and(|hold| hold.contains("etc/wbd/hold: everything, since")), "{status}");
    trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "hold");
    trial.stays_undone("a hold file", QUIET);
    assert!(said(&trial.ctl(&["doctor"])).contains("etc/wbd/hold"));
    // Another text is another hold; resuming is not for files.
    let new = trial::put(trial.root(), "etc/wbd/hold.new", "why: kernel upgrade\n");
    fs::rename(new, &file).expect("scratch file");
    let refused = trial.ctl(&["resume"]).exits(1);
    assert!(said(&refused).contains("etc/wbd/hold; remove that"), "{}", refused.report());
    trial.stays_undone("a hold file after resume", QUIET);
    fs::remove_file(&file).expect("it is there");
    trial.healed(DOWN, 0, &["agent.start"]);
    let kinds: Vec<Value> = trial.records().into_iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "hold").count(), 2, "{}", trial.summary());
    assert_eq!((trial.of("lifted").len(), &trial.status()["hold"]), (1, &"".into()));
}

#[test]
fn a_hold_file_and_a_pause_are_lifted_each_by_itself() {
    let trial = Trial::begin("auto");
    let file = trial.root().join("run/wbd/hold");
    fs::write(&file, "").expect("scratch file");
    trial.ctl(&["pause", "a test of pauses"]).ok();
    trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "hold");
    fs::remove_file(&file).expect("it is there");
    trial.stays_undone("a pause without the file", QUIET);
    fs::write(&file, "").expect("scratch file");
    trial.ctl(&["resume"]).exits(1);
    trial.stays_undone("a file without the pause", QUIET);
    fs::remove_file(&file).expect("it is there");
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn a_hold_file_that_names_a_class_holds_only_that_and_above() {
    let trial = Trial::begin("auto");
    let file = trial.root().join("etc/wbd/hold");
    fs::write(&file, "{why: no other services, class: A3}\n").expect("scratch file");
    wait_until("the file in status", SOON, || {
        let status = trial.status();
        if status["holds"][0]["from_class"] == "A3" { Ok(()) } else { Err(status.to_string()) }
    });
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn with_a_hold_file_before_the_supervisor_there_is_no_action_at_all() {
    let root = trial::root("auto");
    // A link to nothing bears the name, too.
    let file = root.path().join("etc/wbd/hold");
    symlink("/nowhere/at/all", &file).expect("scratch link");
    let supervisor = Supervisor::start(root.path());
    wait_until("an answer", SOON, || {
        let ran = trial::ctl(root.path(), &["status"]);
        if ran.code == Some(0) { Ok(()) } else { Err(ran.report()) }
    });
    let records = || {
        let answer = json::wbdctl_at(root.path(), ["ledger", "list"]);
        answer.entries("").into_iter().cloned().collect::<Vec<Value>>()
    };
    wait_until("the failure, held", SOON, || {
        let records = records();
        let held = records.iter().any(|record| record["kind"] == "refused" && record["result"] == "hold");
        if held { Ok(()) } else { Err(format!("{records:?}")) }
    });
    assert!(supervisor.agents().is_empty(), "not even the start of its own agent");
    assert!(records().iter().all(|record| record["kind"] != "intent"));
    // By hand it may be started all the same.
    trial::ctl(root.path(), &["agent", "start"]).ok();
    assert_eq!(supervisor.agents().len(), 1);
}

#[test]
fn without_the_supervisor_hold_files_are_shown_and_offered() {
    let mut trial = Trial::begin("auto");
    trial.supervisor.terminate();
    let offered = trial.ctl(&["pause", "nobody listens"]).exits(69);
    assert!(said(&offered).contains("touch ") && said(&offered).contains("etc/wbd/hold"), "{}", offered.report());
    fs::write(trial.root().join("etc/wbd/hold"), "why: kernel upgrade\n").expect("scratch file");
    let status = trial.ctl(&["status"]).exits(69);
    assert!(said(&status).contains("etc/wbd/hold: kernel upgrade"), "{}", status.report());
    let answer = doctor(&trial);
    assert_eq!(answer.list("holds")[0]["why"], "kernel upgrade", "{}", answer.json);
}

#[test]
fn a_pause_that_the_ledger_cannot_take_outlives_the_supervisor_as_a_hold_file() {
    let mut trial = Trial::begin("auto");
    trial.supervisor.terminate();
    crate::ledger::tamper(&trial, 1);
    trial.start_again();
    assert_ne!(trial.status()["degraded"], "");
    let paused = trial.ctl(&["pause", "the disk is being mended"]).ok();
    assert!(said(&paused).contains("run/wbd/hold"), "{}", paused.report());
    trial.supervisor.kill9();
    trial.start_again();
    let status = trial.status();
    assert!(status["hold"].as_str().is_some_and(|hold| hold.contains("the disk is being mended")), "{status}");
    trial.hurt(Signal::SIGKILL);
    let down = || trial.supervisor.agents().is_empty().then_some(()).ok_or_else(|| "an agent runs".to_owned());
    wait_until("the agent's end", SOON, down);
    trial.stays("the hold file, which the reserve minds too", QUIET, down);
    fs::remove_file(trial.root().join("run/wbd/hold")).expect("it is there");
    trial.agent();
}

#[test]
fn a_pause_with_an_end_that_the_ledger_cannot_take_ends_by_itself_all_the_same() {
    let mut trial = Trial::begin("auto");
    trial.supervisor.terminate();
    crate::ledger::tamper(&trial, 1);
    trial.start_again();
    assert_ne!(trial.status()["degraded"], "");
    let paused = trial.ctl(&["pause", "--for", "15s", "the disk is being mended"]).ok();
    assert!(said(&paused).replace('\n', " ").contains("holds until 20"), "{}", paused.report());
    // What was only remembered is forgotten; what holds is the file.
    trial.supervisor.kill9();
    trial.start_again();
    let status = trial.status();
    let holds = &status["holds"];
    assert!(holds[0]["file"].is_string() && holds[0]["until_wall_ms"].is_i64() && holds[1].is_null(), "{status}");
    let old = trial.hurt(Signal::SIGKILL);
    let wall_ms = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let seen_ms = wait_until("another agent", SOON, || {
        let agents = trial.supervisor.agents();
        let another = agents.iter().any(|agent| *agent != old);
        another.then(wall_ms).ok_or_else(|| format!("{agents:?}"))
    });
    let until_ms = holds[0]["until_wall_ms"].as_u64().map(u128::from);
    assert!(Some(seen_ms) >= until_ms, "a start while the file held: {seen_ms}, {status}");
    trial.agent();
    assert!(trial.root().join("run/wbd/hold").exists(), "its end lifted it, nobody removed it");
    assert_eq!(trial.status()["hold"], "");
    trial.ctl(&["resume"]).ok();
}

#[test]
fn an_approval_of_what_has_changed_since_it_was_shown_is_refused() {
    let trial = Trial::begin("approve");
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "approval");
    let digest = |trial: &Trial| {
        let request = format!(r#"{{"preview":{{"incident":{}}}}}"#, &incident[1..]);
        let answer: Value = serde_json::from_str(&crate::control::ask(trial.root(), &request)).expect("JSON");
        answer["preview"]["digest"].as_str().expect("a digest").to_owned()
    };
    let approve = |trial: &Trial, shown: Option<&str>| {
        let shown = serde_json::json!({"approve": {"incident": incident[1..].parse::<u64>().ok(), "shown": shown}});
        crate::control::ask(trial.root(), &shown.to_string())
    };
    // An approval that names nothing, or something else, is none.
    for shown in [None, Some("0".repeat(64))] {
        let answer = approve(&trial, shown.as_deref());
        assert!(answer.starts_with("{\"refused\""), "{answer}");
    }
    let shown = digest(&trial);
    // The playbook changes between the look and the approval.
    let path = trial.root().join("etc/wbd/playbooks.d/agent-down.yaml");
    let text = fs::read_to_string(&path).expect("the playbook");
    assert!(text.contains("The agent has ended"), "{text}");
    fs::write(&path, text.replace("The agent has ended", "The agent is gone")).expect("scratch file");
    trial.ctl(&["reload", "--wait"]).ok();
    let answer = wait_until("a look by the new playbook", SOON, || {
        let answer = approve(&trial, Some(&shown));
        if answer.contains("was not checked yet") { Err(answer) } else { Ok(answer) }
    });
    assert!(answer.contains("refused") && answer.contains("is no longer what was shown"), "{answer}");
    assert!(trial.of("approved").is_empty(), "{}", trial.summary());
    trial.ctl(&["approve", "--yes", &incident]).ok();
    trial.healed(DOWN, 0, &["agent.start"]);
    let approved = &trial.of("approved")[0];
    let lines = approved["evidence"].as_array().map_or(0, Vec::len);
    assert_eq!(lines, 2, "who, and what was approved: {approved}");
    assert!(approve(&trial, Some(&"f".repeat(64))).contains("is over (healed)"));
}

#[test]
fn an_approval_said_twice_is_one_approval_and_waits_for_the_pause() {
    let trial = Trial::begin("approve");
    trial.ctl(&["pause", "a test of pauses"]).ok();
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "hold");
    for _ in 0..2 {
        let approved = said(&trial.ctl(&["approve", "--yes", &incident]).exits(1));
        assert!(approved.contains("approved") && approved.contains("refused by hold"), "{approved}");
    }
    trial.stays_undone("a pause, whatever was approved", QUIET);
    assert_eq!(trial.of("approved").len(), 1, "{}", trial.summary());
    trial.ctl(&["resume"]).ok();
    trial.healed(DOWN, 0, &["agent.start"]);
    assert!(said(&trial.ctl(&["deny", &incident]).exits(1)).contains("is over (healed)"));
}

#[test]
fn reload_and_the_agents_verbs_leave_a_record_and_cost_no_budget() {
    let trial = Trial::begin("auto");
    let before = trial.status()["budget_left_hour"].clone();
    for (args, what) in [
        (&["reload", "--wait"][..], "reload"),
        (&["agent", "reload"], "agent.reload"),
        (&["agent", "stop"], "agent.stop"),
        (&["agent", "start"], "agent.start"),
    ] {
        let records = trial.of("manual").len();
        trial.ctl(args).ok();
        let manual = trial.of("manual");
        let words = manual.last().map(|record| record["evidence"][0].to_string()).unwrap_or_default();
        assert!(manual.len() == records + 1 && words.contains(what), "{args:?}: {words}");
    }
    trial.supervisor.signal(Signal::SIGHUP);
    wait_until("a record of the signal", SOON, || {
        let manual = trial.of("manual");
        let told = manual.iter().any(|record| record["evidence"][0].to_string().contains("by SIGHUP"));
        told.then_some(()).ok_or_else(|| trial.summary())
    });
    trial.agent();
    assert_eq!(trial.status()["budget_left_hour"], before);
}
