//! What a screen or a log shows of the host's own names cannot pass for a word of wbd's: line feeds, escape sequences and turned text are escaped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use wbd_tests::deadline::wait_until;
use wbd_tests::exec::{self, Ran};
use wbd_tests::{json, places};

use crate::toy::{self, CODE};
use crate::trial::{self, SOON, Trial, put};

/// What somebody would like an operator to read.
const FORGED: &str = "OK: 9 checks pass";
/// A name that tries: a line of its own, a cleared screen, turned text, other line ends, nothing at all.
const EVIL: &str = "x\nOK: 9 checks pass\r\u{1b}[2J\u{202e}\u{2028}\u{200b}y";
/// The same as it is shown.
const SHOWN: &str = "x\\nOK: 9 checks pass\\r\\x1b[2J\\u{202e}\\u{2028}\\u{200b}y";

/// Nothing that a terminal obeys, and no line that the host wrote.
#[track_caller]
fn is_clean(what: &str, text: &str) {
    let bad = |ch: char| {
        (ch.is_control() && ch != '\n')
            || matches!(ch, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(bad), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with(FORGED)), "{what}: {text}");
}

/// In a locale that shows every character.
fn ctl(root: &Path, args: &[&str]) -> Ran {
    let mut wbdctl = Command::new(places::program("wbdctl"));
    exec::run(wbdctl.env("LC_ALL", "C.UTF-8").arg("--root").arg(root).args(args), b"", SOON)
}

fn both(ran: &Ran) -> String {
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

#[test]
fn names_and_texts_of_the_host_are_shown_escaped_and_told_exactly() {
    let root = trial::root("auto");
    let folder = root.path().join("srv").join(EVIL);
    fs::create_dir_all(&folder).expect("scratch folder");
    // Its name and a line of it.
    let file = put(
        root.path(),
        &format!("etc/wbd/playbooks.d/{EVIL}.yaml"),
        "apiVersion: wbd/v1\nkind: \"\u{202e}\u{200b}\"\n",
    );
    let trial = Trial::on(root);
    let target = ["target", "add", "shop", "--web-root", &folder.display().to_string(), "--language", "php"];
    let added = ctl(trial.root(), &target);
    assert_eq!(added.code, Some(0), "{}", added.report());
    ctl(trial.root(), &["pause", "--class", "A3", EVIL]).ok();
    put(trial.root(), "run/wbd/hold", &format!("class: A4\nwhy: {EVIL}\n"));
    let screens: [&[&str]; 13] = [
        &["doctor"],
        &["-o", "nagios", "doctor"],
        &["status"],
        &["incidents", "list"],
        &["ledger", "list"],
        &["agent", "status"],
        &["target", "list"],
        &["playbook", "list"],
        &["playbook", "lint"],
        &["playbook", "show", EVIL],
        &["explain", EVIL],
        &["reload", "--wait"],
        &["config", "check", "--config", EVIL],
    ];
    let mut all = String::new();
    for args in screens {
        let text = both(&ctl(trial.root(), args));
        is_clean(&format!("{args:?}"), &text);
        all.push_str(&text);
    }
    // It is there, and can be read.
    for part in [SHOWN, &format!("playbooks.d/{SHOWN}.yaml")] {
        assert!(all.contains(part), "{part} in {all}");
    }
    let nagios = both(&ctl(trial.root(), &["-o", "nagios", "doctor"]));
    assert_eq!((nagios.lines().count(), nagios.matches('|').count()), (1, 1), "{nagios}");
    // The log: a line an event, each with its time.
    let log = fs::read_to_string(trial.root().join("supervisord.log")).expect("its log");
    is_clean("log", &log);
    assert!(log.contains(SHOWN) && log.lines().all(|line| line.starts_with("20")), "{log}");
    // For programs everything is as it is.
    let lint = json::wbdctl_at(trial.root(), ["playbook", "lint"]);
    assert_eq!(lint.json["problems"][0]["file"].as_str(), Some(&*file.display().to_string()), "{}", lint.json);
    let held = trial.of("hold");
    assert!(
        held.iter()
            .any(|record| record.to_string().contains(&Value::from(EVIL).to_string().trim_matches('"').to_owned())),
        "{held:#?}"
    );
    trial.verifies();
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("our own folder");
}

#[test]
fn a_program_that_others_could_exchange_is_found_before_it_is_needed() {
    let root = toy::root("auto");
    toy::write(root.path(), "match", &toy::playbook("toy", CODE));
    let trial = Trial::on(root);
    let folder = trial.root().join("opt/toy");
    let well = || {
        let lint = json::wbdctl_at(trial.root(), ["playbook", "lint"]);
        assert!(!lint.json.to_string().contains("/opt/toy/fix"), "{}", lint.json);
        let reload = ctl(trial.root(), &["reload", "--wait"]);
        assert!(reload.code == Some(0) && !both(&reload).contains("warning"), "{}", reload.report());
        let doctor = json::wbdctl_at(trial.root(), ["doctor", "--only", "WBD-PROGRAM"]);
        assert_eq!(doctor.checks("WBD-PROGRAM")[0]["verdict"], "pass", "{}", doctor.json);
    };
    well();
    mode(&folder, 0o777);
    let remedy = format!("{} may be written by others (mode 0777); chmod go-w it", folder.display());
    let lint = json::wbdctl_at(trial.root(), ["playbook", "lint"]);
    let problem = lint.list("problems").iter().find(|it| it.to_string().contains("/opt/toy/fix"));
    let problem = problem.unwrap_or_else(|| panic!("{}", lint.json));
    assert!(lint.code == 78 && problem["message"].as_str().is_some_and(|text| text.contains(&remedy)), "{}", lint.json);
    assert!(problem["text"].as_str().is_some_and(|line| line.contains("argv")), "{problem}");
    // The profile stays in use: what it tells of the product's health is no less true.
    let reload = ctl(trial.root(), &["reload", "--wait"]);
    assert!(
        reload.code == Some(0) && both(&reload).replace('\n', " ").contains("warning: profile toy names"),
        "{}",
        reload.report()
    );
    let doctor = json::wbdctl_at(trial.root(), ["doctor", "--only", "WBD-PROGRAM"]);
    let cause = doctor.cause("WBD-PROGRAM").unwrap_or_else(|| panic!("{}", doctor.json));
    assert!(cause["severity"] == "warn" && cause["evidence"].to_string().contains(&remedy), "{cause}");
    mode(&folder, 0o755);
    well();
    // The site's own program, at `config check`.
    let settings = trial.root().join("etc/wbd/wbd.yaml");
    let text = fs::read_to_string(&settings).expect("written before");
    fs::write(&settings, format!("{text}on_escalation: [{}/fix]\n", folder.display())).expect("scratch file");
    ctl(trial.root(), &["config", "check"]).exits(0);
    mode(&folder, 0o777);
    let check = ctl(trial.root(), &["config", "check"]);
    assert!(check.code == Some(78) && both(&check).contains(&remedy), "{}", check.report());
    wait_until("a supervisor that goes on", SOON, || {
        trial.looked_again().or_else(|why| if why.contains("toy") { Ok(()) } else { Err(why) })
    });
}
