//! Tests of what is seen of a role on made-up hosts, each state beside its twin; no service manager is asked.
use wbd_model::name::ProfileName;
use wbd_model::observation::Value;
use wbd_model::profile::ProcessSelector;
use wbd_model::seen::SeenProducts;
use wbd_model::time::BootId;

use super::*;
use crate::ProbeRunner;
use crate::testing::{Host, by_comm, by_exe, known, unknown};

fn role(selector: ProcessSelector) -> Role {
    let product = ProfileName::new("acme").unwrap();
    Role { product, role: "main".into(), selector, unit: None, packages: vec![] }
}

/// A host where the product is known, in this boot.
fn host() -> (Host, ProbeRunner) {
    let host = Host::new();
    host.process(1, "init").write();
    let runner = host.runner();
    runner.remember_products(Ok(SeenProducts::default()), &BootId("now".into()));
    runner.change_products(|seen| seen.see(&ProfileName::new("acme").unwrap(), 1));
    (host, runner)
}

fn ask(host: &Host, runner: &ProbeRunner, role: &Role) -> Observation {
    look(&ProbeContext { runner: runner.clone(), ..host.context() }, role)
}

fn text(seen: &Observation, field: &str) -> String {
    known(seen, field).to_string()
}

#[test]
fn a_process_that_ran_in_this_boot_is_known_to_have_run_when_it_is_gone() {
    let (host, runner) = host();
    let program = host.file("opt/acme/agent", "");
    let main = role(by_comm("agent"));
    let seen = ask(&host, &runner, &main);
    assert_eq!((known(&seen, "runs"), known(&seen, "ran")), (false.into(), false.into()));
    assert_eq!((text(&seen, "program").as_str(), text(&seen, "file").as_str()), ("unnamed", ""));
    let mut process = host.process(7, "agent");
    process.exe = Some(program.clone());
    process.write();
    crate::testing::deadline_passes("it is seen", || known(&ask(&host, &runner, &main), "runs") == true.into());
    let seen = ask(&host, &runner, &main);
    assert_eq!((known(&seen, "pid"), text(&seen, "program").as_str()), (7.into(), "there"));
    assert!(unknown(&seen, "enabled").contains("the process runs"));
    std::fs::remove_dir_all(host.root().join("proc/7")).unwrap();
    let gone = || ask(&host, &runner, &main);
    assert_eq!((known(&gone(), "runs"), known(&gone(), "ran")), (false.into(), true.into()));
    assert_eq!((text(&gone(), "file").as_str(), text(&gone(), "program").as_str()), ("/opt/acme/agent", "there"));
    std::fs::remove_file(&program).unwrap();
    assert_eq!(text(&gone(), "program"), "gone");
    // Twin: after a reboot it has not run.
    let seen = runner.seen_products().unwrap();
    runner.remember_products(Ok(seen), &BootId("next".into()));
    assert_eq!((known(&gone(), "ran"), text(&gone(), "program").as_str()), (false.into(), "gone"));
}

#[test]
fn the_interpreter_of_a_script_is_not_taken_for_the_products_program() {
    let (host, runner) = host();
    for (interpreter, wanted) in
        [("usr/bin/bash", "unnamed"), ("usr/bin/python3.11", "unnamed"), ("opt/a/scan", "there")]
    {
        let mut process = host.process(7, "scan");
        process.exe = Some(host.file(interpreter, ""));
        process.write();
        let main = Role { role: interpreter.into(), ..role(by_comm("scan")) };
        crate::testing::deadline_passes("it runs", || known(&ask(&host, &runner, &main), "runs") == true.into());
        assert_eq!(text(&ask(&host, &runner, &main), "program"), wanted, "{interpreter}");
    }
}

#[test]
fn a_process_in_a_container_is_not_the_products() {
    let (host, runner) = host();
    let program = host.file("opt/acme/agent", "");
    let mut process = host.process(7, "agent");
    (process.exe, process.pid_namespace) = (Some(program.clone()), "pid:[2]");
    process.write();
    let main = role(ProcessSelector { comm: Some("agent".into()), ..by_exe(Path::new("/opt/acme/agent")) });
    let seen = ask(&host, &runner, &main);
    assert_eq!((known(&seen, "runs"), known(&seen, "ran")), (false.into(), false.into()));
    assert!(text(&seen, "others").contains("another pid namespace"), "{seen:?}");
    // Twin: on the host itself.
    process.pid_namespace = crate::testing::PID_NAMESPACE;
    process.write();
    let fresh = host.runner();
    assert_eq!(known(&ask(&host, &fresh, &main), "runs"), true.into());
}

#[test]
fn arguments_tell_apart_what_a_folder_means() {
    let (host, runner) = host();
    let program = host.file("opt/acme/jre/bin/java", "");
    for (pid, line) in [(7, "java\0-jar\0scan.jar\0"), (8, "java\0-jar\0update.jar\0")] {
        let mut process = host.process(pid, "java");
        process.exe = Some(program.clone());
        process.write();
        host.file(&format!("proc/{pid}/cmdline"), line);
    }
    let by = |folder: &str, args: &[&str]| {
        let args = args.iter().map(|word| (*word).to_owned()).collect();
        let selector = ProcessSelector { folder: Some(folder.into()), args, ..ProcessSelector::default() };
        let seen = ask(&host, &runner, &role(selector));
        if known(&seen, "runs") == true.into() { Some(known(&seen, "pid")) } else { None }
    };
    assert_eq!(by("/opt/acme", &["update.jar"]), Some(Value::from(8)));
    assert_eq!(by("/opt/*/jre", &["-jar", "scan.jar"]), Some(Value::from(7)));
    assert_eq!(by("/opt/acme", &["java"]), None, "the program's own name is no argument");
    assert_eq!(by("/opt/acm", &[]), None, "a part of a name is another folder");
    assert_eq!(by("/opt/acme/jre/bin/java", &[]), None, "the program itself is no folder");
}

#[test]
fn the_package_is_told_while_it_is_installed() {
    let (host, runner) = host();
    let main = Role { packages: vec!["none".into(), "acme".into()], ..role(by_comm("agent")) };
    assert_eq!(text(&ask(&host, &runner, &main), "package"), "", "there are no packages here");
    let status = |state: &str| format!("Package: acme\nStatus: {state}\nVersion: 1.0\n\n");
    host.file("var/lib/dpkg/status", &status("install ok installed"));
    assert_eq!(text(&ask(&host, &runner, &main), "package"), "acme");
    host.file("var/lib/dpkg/status", &status("deinstall ok config-files"));
    assert_eq!(text(&ask(&host, &runner, &main), "package"), "");
    assert_eq!(text(&ask(&host, &runner, &role(by_comm("agent"))), "package"), "", "the profile names none");
    std::fs::remove_file(host.root().join("var/lib/dpkg/status")).unwrap();
    host.link("var/lib/dpkg/status", "status");
    assert!(unknown(&ask(&host, &runner, &main), "package").contains("dpkg/status"));
}

fn unit(active: &str, times: [u64; 3]) -> UnitState {
    let [exec_start, exec_exit, active_exit] = times;
    let was_active = active_exit != 0 || active == "active";
    let unit = UnitState { active: active.into(), result: "success".into(), was_active, ..UnitState::default() };
    UnitState { exec_start, exec_exit, active_exit, ..unit }
}

#[test]
fn a_stop_is_told_from_an_end_by_who_ended_first() {
    for (unit, wanted) in [
        (unit("inactive", [10, 30, 20]), true),
        (unit("failed", [10, 30, 20]), true),
        (unit("inactive", [10, 20, 30]), false),
        (unit("failed", [10, 20, 30]), false),
        (unit("inactive", [0, 0, 0]), false),
        (unit("active", [10, 0, 0]), false),
        // The stop of the run before.
        (unit("failed", [40, 50, 20]), false),
        // On its way: by a job, and after its own end.
        (unit("deactivating", [10, 0, 20]), true),
        (unit("deactivating", [10, 15, 20]), false),
        // An init script's: it stays active without processes, until a job stops it.
        (UnitState { remains: true, ..unit("inactive", [0, 0, 20]) }, true),
        (unit("inactive", [0, 0, 20]), false),
    ] {
        assert_eq!(is_stopped(&unit), wanted, "{unit:?}");
    }
    let killed = UnitState { result: "oom-kill".into(), ..unit("failed", [10, 30, 20]) };
    assert!(!is_stopped(&killed), "nobody asked for that");
}

/// What is said of a unit that is both the profile's and the one that the process ran in.
fn said(unit: &UnitState, ran: bool, outside: bool) -> Vec<&'static str> {
    let mut seen = Observation::default();
    describe(unit, Some(unit), ran, outside, &mut seen);
    let all = ["enabled", "ran", "stopped", "masked", "condition_failed", "collected"];
    all.into_iter().filter(|field| known(&seen, field) == true.into()).collect()
}

#[test]
fn what_a_unit_says_is_told_field_by_field() {
    let file = |file: &str, unit: UnitState| UnitState { file: file.into(), ..unit };
    let stopped = || unit("inactive", [10, 30, 20]);
    assert_eq!(said(&file("enabled", stopped()), true, false), ["enabled", "ran", "stopped"]);
    assert_eq!(said(&file("disabled", stopped()), false, false), ["ran", "stopped"]);
    assert_eq!(said(&file("enabled", unit("failed", [10, 20, 30])), false, false), ["enabled", "ran"]);
    assert_eq!(said(&file("masked", stopped()), true, false), ["ran", "stopped", "masked"]);
    // It ran outside of the unit, whose stop says nothing of it.
    assert_eq!(said(&file("enabled", stopped()), true, true), ["enabled", "ran"]);
    let never = || unit("inactive", [0, 0, 0]);
    assert_eq!(said(&file("disabled", never()), true, false), ["ran", "collected"]);
    assert_eq!(said(&file("disabled", never()), false, false), [""; 0]);
    assert_eq!(said(&file("enabled", never()), false, false), ["enabled"]);
    assert_eq!(said(&file("static", never()), false, false), [""; 0]);
    assert_eq!(said(&file("generated", never()), false, false), [""; 0]);
    assert_eq!(said(&UnitState { wanted: true, ..file("generated", never()) }, false, false), ["enabled"]);
    let refused = UnitState { condition_asked: true, condition_failed: true, ..file("enabled", never()) };
    assert_eq!(said(&refused, false, false), ["enabled", "condition_failed"]);
    assert_eq!(said(&UnitState { condition_asked: false, ..refused }, false, false), ["enabled"], "nobody tried");
}
