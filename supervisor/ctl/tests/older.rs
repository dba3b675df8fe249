//! What an older version wrote goes on working: its ledger, settings, waivers and playbooks, kept in tests/fixtures/b5ac715
//! as the programs of that commit left them on a stand-alone host. Starts no supervisor.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wbd_engine::replay::replay;
use wbd_engine::state::State;
use wbd_ledger::{Filter, Reader};
use wbd_model::incident::{Closing, Guard, IncidentId, Phase};

/// Its ledger was rotated once: this is the part before.
const BEFORE: &str = "ledger-1796053527310.db";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/b5ac715")
}

/// A root with the older version's files, `ledger` among them as the ledger; not writable by others, whatever the umask.
fn root(ledger: &str) -> TempDir {
    let root = TempDir::new().unwrap();
    for (from, to) in [
        ("etc/wbd/wbd.yaml", "etc/wbd/wbd.yaml"),
        ("etc/wbd/playbooks.d/toy.yaml", "etc/wbd/playbooks.d/toy.yaml"),
        (&format!("var/lib/wbd/{ledger}"), "var/lib/wbd/ledger.db"),
    ] {
        let mut folder = root.path().to_path_buf();
        for part in Path::new(to).parent().unwrap() {
            folder.push(part);
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let to = root.path().join(to);
        fs::write(&to, fs::read(fixture().join(from)).unwrap()).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
    }
    root
}

fn wbdctl(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wbdctl"));
    command.arg("--root").arg(root).args(args).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn state(root: &Path) -> State {
    let mut entries = Vec::new();
    let read = Reader::open(&wbd_ledger::state_dir(root)).unwrap().each(&Filter::default(), |entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    });
    read.unwrap();
    replay(&entries)
}

fn id(number: u64) -> IncidentId {
    IncidentId(number)
}

/// What the older version would go on with, said by today's: two healed ends of the agent, a failure that waits for an
/// operator, a waiver, a pause.
fn stands(state: &State) {
    for healed in [1, 2] {
        let incident = &state.incidents[&id(healed)];
        assert!(matches!(incident.phase, Phase::Closed { how: Closing::Healed }), "{incident:?}");
    }
    assert_eq!(state.debits.len(), 2, "two restarts of the agent");
    let waits = &state.incidents[&id(3)];
    assert_eq!((waits.key.code.as_str(), waits.key.target.as_str()), ("TOY-1", "toy"));
    assert!(matches!(waits.phase, Phase::Gated { .. }), "{waits:?}");
    assert_eq!(state.open.get(&waits.key), Some(&id(3)));
    let hold = state.hold.as_ref().unwrap();
    assert_eq!((hold.who.as_str(), hold.why.as_str()), ("root", "change 4711: the web servers move"));
    let [waiver] = &state.waivers[..] else { panic!("{:?}", state.waivers) };
    assert_eq!((waiver.code.as_str(), waiver.until_wall_ms), ("WBD-5404", 1_827_619_200_000));
    assert_eq!(waiver.why, "the limit is raised with the next kernel");
}

#[test]
fn an_older_ledger_verifies_and_everything_that_stood_stands() {
    for (ledger, records) in [(BEFORE, 21), ("ledger.db", 4)] {
        let root = root(ledger);
        let verified = wbdctl(root.path(), &["-o", "json", "ledger", "verify"]);
        assert!(verified.status.success(), "{verified:?}");
        let listed = json(&wbdctl(root.path(), &["-o", "json", "ledger", "list"]));
        assert_eq!(listed["entries"].as_array().unwrap().len(), records);
        // The later part begins with the state that the older version carried over.
        stands(&state(root.path()));
    }
}

#[test]
fn an_older_ledger_that_was_changed_does_not_verify() {
    let root = root(BEFORE);
    let path = root.path().join("var/lib/wbd/ledger.db");
    let mut bytes = fs::read(&path).unwrap();
    let text = b"change 4711";
    let at = bytes.windows(text.len()).position(|part| part == text).unwrap();
    bytes[at] = b'C';
    fs::write(&path, bytes).unwrap();
    assert_eq!(wbdctl(root.path(), &["ledger", "verify"]).status.code(), Some(1));
}

#[test]
fn what_happened_after_the_rotation_is_shown() {
    let root = root("ledger.db");
    let state = state(root.path());
    let held = &state.incidents[&id(4)];
    assert_eq!(held.key.code.as_str(), "WBD-6007");
    assert!(held.held().is_some_and(|refusal| refusal.guard == Guard::Hold), "{held:?}");
    let text = |args: &[&str]| String::from_utf8(wbdctl(root.path(), args).stdout).unwrap();
    let listed = text(&["ledger", "list", "--incident", "I4"]);
    assert!(listed.contains("opened    WBD-6007 on wbd: failure found (case dead)"), "{listed}");
    assert!(listed.contains("refused   no action now (hold): paused by root"), "{listed}");
    let doctor = text(&["doctor"]);
    assert!(doctor.contains("change 4711: the web servers move"), "{doctor}");
}

#[test]
fn a_list_of_records_goes_back_as_far_as_it_is_asked_to_and_cuts_none_of_them() {
    let root = root("ledger.db");
    let text = |args: &[&str]| String::from_utf8(wbdctl(root.path(), args).stdout).unwrap();
    let all = text(&["ledger", "list"]);
    assert!(all.lines().count() >= 5 && !all.contains("..."), "{all}");
    assert_eq!(text(&["ledger", "list", "--since", "1ms"]), "No records.\n");
    let of_one = text(&["ledger", "list", "--code", "WBD-6007", "--incident", "I4"]);
    assert!(of_one.lines().count() < all.lines().count() && of_one.contains("WBD-6007 on wbd: "), "{of_one}");
    // In a pipe a record is one line, however long it is.
    assert!(all.lines().any(|line| line.len() > 80), "{all}");
}

#[test]
fn older_settings_and_playbooks_have_no_problem() {
    let root = root("ledger.db");
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    for args in
        [&["config", "check"][..], &["playbook", "lint"], &["playbook", "lint", &path("etc/wbd/playbooks.d/toy.yaml")]]
    {
        let said = wbdctl(root.path(), args);
        assert!(said.status.success(), "{args:?}: {said:?}");
    }
    let settings = json(&wbdctl(root.path(), &["-o", "json", "config", "cat"]));
    let text = settings.to_string();
    for kept in ["\"A2\"", "toy-match", "approve", "Asia/Tokyo", "9.5.3.2754"] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    // The Japanese text of a site's own playbook too.
    let listed = json(&wbdctl(root.path(), &["-o", "json", "playbook", "show", "toy-match"]));
    assert!(listed["text"].as_str().unwrap().contains("版が違います"), "{listed}");
}
