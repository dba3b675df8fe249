//! The program itself, on a root of its own: exit codes, and what stands on which stream.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
mod files;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use files::put;

fn wbdctl(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wbdctl"));
    command.arg("--root").arg(root).args(args);
    command.env_clear().stdin(Stdio::null());
    command
}

fn run(root: &Path, args: &[&str]) -> Output {
    wbdctl(root, args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by a signal")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(value["schema"], 1, "{value}");
    value
}

const PLAYBOOK: &str = "\
apiVersion: wbd/v1
kind: Playbook
metadata: {name: agent-config, code: WBD-CONFIG, source: test}
spec:
  applies: {has: [health]}
  observe: {agent: {agent.health: {}}}
  detect:
    cases:
      - {id: broken, level: warn, when: \"agent.settings != 'current'\"}
  text:
    en: {broken: {title: broken, cause: '{agent.settings_problem}', guide: [look]}}
---
kind: Profile
metadata: {name: wbd}
spec:
  present: {any: [{file: /opt/nbp/wbd/wbd_agent}]}
  process: {main: {health: true}}
  health: true
";

#[test]
fn doctor_on_a_host_without_wbd_says_that_nothing_was_checked() {
    let root = TempDir::new().unwrap();
    let output = run(root.path(), &["doctor"]);
    assert_eq!(code(&output), 3, "{output:?}");
    let text = stdout(&output);
    assert!(text.starts_with("UNKNOWN: "), "{text}");
    assert!(text.contains("The supervisor does not answer; doctor itself"), "{text}");
    assert!(text.contains("there are no playbooks in"), "{text}");
    assert!(stderr(&output).is_empty(), "{output:?}");
    let report = json(&run(root.path(), &["doctor", "-o", "json"]));
    assert_eq!(report["verdict"], "unknown");
    assert_eq!(report["causes"], serde_json::json!([]));
    assert!(
        report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["code"] == "WBD-PLAYBOOK" && row["verdict"] == "unknown")
    );
}

#[test]
fn doctor_sees_for_itself_what_it_can_and_says_what_it_cannot() {
    let root = TempDir::new().unwrap();
    put(root.path(), "usr/lib/wbd/playbooks/agent-config.yaml", PLAYBOOK);
    put(root.path(), "usr/lib/wbd/playbooks/broken.yaml", "kind: Playbok\n");
    put(root.path(), "opt/nbp/wbd/wbd_agent", "");
    put(root.path(), "run/wbd/agent.health.json", "{\"schema\": 1,\n oops");
    put(root.path(), "var/lib/wbd/ledger.db", "this is no database, and long enough to be looked at as one");
    let report = json(&run(root.path(), &["doctor", "-o", "json"]));
    let checks = report["checks"].as_array().unwrap();
    let row = |code: &str| checks.iter().find(|row| row["code"] == code).unwrap_or_else(|| panic!("{code}: {report}"));
    let config = row("WBD-CONFIG");
    assert_eq!(config["verdict"], "unknown", "{config}");
    assert!(config["reason"].as_str().unwrap().contains("agent.health.json:2:"), "{config}");
    let playbook = row("WBD-PLAYBOOK");
    assert_eq!(playbook["verdict"], "unknown");
    assert!(playbook["reason"].as_str().unwrap().contains("broken.yaml:1:"), "{playbook}");
    assert_eq!(row("WBD-SUPERVISOR")["verdict"], "warn", "a ledger is there, so a supervisor belongs here");
    assert_eq!(row("WBD-LEDGER")["verdict"], "fail");
    assert_eq!(report["verdict"], "fail");
    let ledger = report["causes"].as_array().unwrap().iter().find(|cause| cause["code"] == "WBD-LEDGER").unwrap();
    assert!(ledger["guide"].to_string().contains("wbdctl ledger rotate --reason"), "{ledger}");
    assert_eq!(code(&run(root.path(), &["doctor"])), 2);
}

#[test]
fn doctor_looks_only_at_what_is_asked_for() {
    let root = TempDir::new().unwrap();
    let report = json(&run(root.path(), &["doctor", "--only", "6007", "-o", "json"]));
    assert_eq!(report["checks"].as_array().unwrap().len(), 1);
    assert_eq!(report["checks"][0]["code"], "WBD-6007");
    let slip = run(root.path(), &["doctor", "--skip", "WBD-6008", "WBD-60O7"]);
    assert_eq!(code(&slip), 64);
    assert!(stderr(&slip).contains("did you mean WBD-6007"), "{slip:?}");
    assert_eq!(code(&run(root.path(), &["doctor", "--profile", "nothing"])), 64);
}

#[test]
fn a_kind_of_record_that_there_is_not_is_no_empty_list() {
    let root = TempDir::new().unwrap();
    put(root.path(), "var/lib/wbd/ledger.db", "");
    let slip = run(root.path(), &["ledger", "list", "--kind", "intnet"]);
    assert_eq!(code(&slip), 64, "{slip:?}");
    assert!(stderr(&slip).contains("intent"), "{slip:?}");
    let known = run(root.path(), &["ledger", "list", "--kind", "intent"]);
    assert_ne!(code(&known), 64, "{known:?}");
}

#[test]
fn a_rotation_without_a_reason_is_refused_before_anything_is_looked_at() {
    let root = TempDir::new().unwrap();
    for reason in ["", " "] {
        let refused = run(root.path(), &["ledger", "rotate", "--reason", reason]);
        assert!(code(&refused) == 1 && stderr(&refused).contains("needs a reason"), "{refused:?}");
    }
    let told = run(root.path(), &["ledger", "rotate", "--reason", "it is bad"]);
    assert!(!stderr(&told).contains("needs a reason"), "{told:?}");
}

#[test]
fn a_doubled_key_is_told_in_our_words_with_all_the_other_problems() {
    let root = TempDir::new().unwrap();
    let text = "healing: auto\nevery: 1s\nhealing: observe\nbugdet: {per_hour: 1}\nevery: 2s\n";
    put(root.path(), "etc/wbd/wbd.yaml", text);
    let output = run(root.path(), &["config", "check"]);
    assert_eq!(code(&output), 78, "{output:?}");
    let told = stderr(&output);
    assert!(!told.contains("DuplicateKeyPolicy"), "{told}");
    for part in ["wbd.yaml:3:1", "\"healing\" stands here twice", "line 1", "wbd.yaml:5:1", "wbd.yaml:4:1", "budget"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn monitoring_gets_one_line_and_the_same_code() {
    let root = TempDir::new().unwrap();
    let output = run(root.path(), &["doctor", "-o", "nagios"]);
    assert_eq!(code(&output), 3);
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("WBD UNKNOWN - ") && text.contains(" | failed=0;;1 "), "{text}");
}

#[test]
fn a_code_may_be_spoken_shortly() {
    let root = TempDir::new().unwrap();
    let (short, long) = (run(root.path(), &["explain", "5404"]), run(root.path(), &["explain", "WBD-5404"]));
    assert_eq!(code(&short), 0);
    assert_eq!(short.stdout, long.stdout);
    assert!(stdout(&short).contains("What you can do"));
    let told = json(&run(root.path(), &["-o", "json", "explain", "5404"]));
    assert_eq!((&told["code"], &told["detected"]), (&"WBD-5404".into(), &"yes".into()), "{told}");
    // Without playbooks on the host nothing is looked at, and nothing is claimed.
    assert!(stdout(&short).contains("not looked: no playbooks"), "{short:?}");
    assert_eq!((&told["now"]["looked"], &told["now"]["checks"]), (&false.into(), &serde_json::json!([])), "{told}");
    let slip = run(root.path(), &["explain", "WBD-54O4"]);
    assert_eq!(code(&slip), 1);
    assert!(slip.stdout.is_empty() && stderr(&slip).contains("did you mean WBD-5404"), "{slip:?}");
}

#[test]
fn a_wrong_command_line_is_64_with_a_suggestion_on_standard_error() {
    let root = TempDir::new().unwrap();
    for args in [
        &["doktor"][..],
        &[],
        &["-o", "nagios", "status"],
        &["-o", "toml", "status"],
        &["doctor", "--fix", "--watch"],
        &["approve", "A4"],
        &["pause"],
        &["--timeout", "10", "status"],
        &["ledger", "rotate"],
    ] {
        let output = run(root.path(), args);
        assert_eq!(code(&output), 64, "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}: {output:?}");
    }
    assert!(stderr(&run(root.path(), &["doktor"])).contains("doctor"));
    assert_eq!(code(&run(root.path(), &["--help"])), 0);
}

#[test]
fn without_a_supervisor_what_needs_one_is_69_with_the_remedy() {
    let root = TempDir::new().unwrap();
    for args in [
        &["status"][..],
        &["incidents", "list"],
        &["approve", "I1"],
        &["deny", "1"],
        &["pause", "--for", "2h", "kernel", "update"],
        &["resume"],
        &["undo", "A1"],
        &["reload", "--wait"],
        &["agent", "stop"],
        &["agent", "status"],
        &["target", "list"],
        &["target", "add", "shop", "--web-root", "/srv", "--language", "php"],
        &["playbook", "run", "agent-down"],
    ] {
        let output = run(root.path(), args);
        assert_eq!(code(&output), 69, "{args:?}: {output:?}");
        assert!(
            output.stdout.is_empty() && stderr(&output).contains("systemctl start wbd-supervisord"),
            "{args:?}: {output:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let root = TempDir::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = wbdctl(root.path(), &["explain"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = wbdctl(root.path(), &["doctor"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(code(&output), 3, "the verdict's code: {output:?}");
}

#[test]
fn a_full_disk_is_one_line() {
    let root = TempDir::new().unwrap();
    for args in [&["explain"][..], &["doctor"], &["--help"], &["-o", "json", "doctor"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = wbdctl(root.path(), args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(code(&output), 1, "{args:?}");
        let text = stderr(&output);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("No space left"), "{text}");
    }
}

#[test]
fn broken_files_are_78_with_their_place() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("site.yaml");
    fs::write(&file, PLAYBOOK.replace("detect:", "detcet:")).unwrap();
    let output = run(root.path(), &["playbook", "lint", file.to_str().unwrap()]);
    assert_eq!(code(&output), 78, "{output:?}");
    let text = stderr(&output);
    assert!(text.contains("site.yaml:7:3") && text.contains("did you mean \"detect\""), "{text}");
    let value = json(&run(root.path(), &["-o", "json", "playbook", "lint", file.to_str().unwrap()]));
    assert!(value["problems"].as_array().unwrap().iter().any(|problem| problem["line"] == 7), "{value}");
    fs::write(&file, PLAYBOOK).unwrap();
    assert_eq!(code(&run(root.path(), &["playbook", "lint", file.to_str().unwrap()])), 0);
    assert_eq!(code(&run(root.path(), &["playbook", "lint", "/nonexistent.yaml"])), 78);

    // A profile that goes by a name alone: a site's is warned of, a shipped one is refused.
    let profile = "apiVersion: wbd/v1\nkind: Profile\nmetadata: {name: p}\nspec:\n  present: {any: [{file: /p}]}\n  \
                   process: {main: {comm: p}}\n";
    fs::write(&file, profile).unwrap();
    let output = run(root.path(), &["playbook", "lint", file.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("site.yaml:6:19: process.main names a process by comm alone"), "{text}");
    assert!(text.contains("1 file, no problems, 1 warning"), "{text}");
    let value = json(&run(root.path(), &["-o", "json", "playbook", "lint", file.to_str().unwrap()]));
    assert_eq!((value["problems"].clone(), &value["warnings"][0]["line"]), (serde_json::json!([]), &6.into()));
    put(root.path(), "usr/lib/wbd/playbooks/p/profile.yaml", profile);
    assert_eq!(code(&run(root.path(), &["playbook", "lint"])), 78);

    put(root.path(), "etc/wbd/wbd.yaml", "healing: atuo\n");
    let output = run(root.path(), &["config", "check"]);
    assert_eq!(code(&output), 78);
    assert!(stderr(&output).contains("wbd.yaml:1:10"), "{output:?}");
    put(root.path(), "etc/wbd/wbd.yaml", "healing: approve\n");
    assert_eq!(code(&run(root.path(), &["config", "check"])), 0);
    assert!(stdout(&run(root.path(), &["config", "cat"])).contains("healing: approve"));
    assert_eq!(json(&run(root.path(), &["-o", "json", "config", "cat"]))["budget"]["per_hour"], 3);
}

/// What is explained is looked for on the host at hand: there, gone, and not to be seen.
#[test]
fn explain_says_whether_it_is_so_now() {
    let root = TempDir::new().unwrap();
    put(root.path(), "usr/lib/wbd/playbooks/agent-config.yaml", PLAYBOOK);
    let now = || json(&run(root.path(), &["-o", "json", "explain", "WBD-CONFIG"]));
    let absent = now();
    assert_eq!(
        (&absent["now"]["looked"], &absent["now"]["checks"][0]["verdict"]),
        (&true.into(), &"unknown".into()),
        "{absent}"
    );
    let looked = run(root.path(), &["explain", "WBD-SETTINGS"]);
    assert!(code(&looked) == 0 && stdout(&looked).contains("no (host)"), "{looked:?}");
    put(root.path(), "etc/wbd/wbd.yaml", "healing: atuo\n");
    let broken = run(root.path(), &["explain", "WBD-SETTINGS"]);
    assert!(code(&broken) == 0 && stdout(&broken).contains("YES"), "{broken:?}");
    assert!(stdout(&broken).contains("wbd.yaml:1:10"), "with its place: {broken:?}");
}

#[test]
fn a_code_of_the_sites_own_is_explained_by_its_playbook() {
    let root = TempDir::new().unwrap();
    put(root.path(), "etc/wbd/playbooks.d/shop.yaml", &PLAYBOOK.replace("WBD-CONFIG", "SHOP-CONFIG"));
    let profile = "apiVersion: wbd/v1\nkind: Profile\nmetadata: {name: shop}\nspec:\n  present: {any: [{file: /srv/shop}]}\n  codes: {agent-config: SHOP-AGENT}\n";
    put(root.path(), "etc/wbd/playbooks.d/profile.yaml", profile);
    for own in ["SHOP-CONFIG", "SHOP-AGENT"] {
        let output = run(root.path(), &["explain", own]);
        assert_eq!(code(&output), 0, "{output:?}");
        assert!(stdout(&output).contains("wbdctl playbook show agent-config"), "{output:?}");
    }
    let told = json(&run(root.path(), &["-o", "json", "explain", "SHOP-AGENT"]));
    assert_eq!((&told["code"], &told["playbook"]), (&"SHOP-AGENT".into(), &"agent-config".into()), "{told}");
    assert_eq!(code(&run(root.path(), &["explain", "SHOP-OTHER"])), 1);
}

#[test]
fn playbooks_are_listed_shown_and_tested() {
    let root = TempDir::new().unwrap();
    put(root.path(), "usr/lib/wbd/playbooks/agent-config.yaml", PLAYBOOK);
    assert!(stdout(&run(root.path(), &["playbook", "list"])).contains("agent-config"));
    let shown = stdout(&run(root.path(), &["playbook", "show", "agent-config"]));
    assert!(shown.contains("WBD-CONFIG") && shown.contains("agent.health"), "{shown}");
    let slip = run(root.path(), &["playbook", "show", "agent-confg"]);
    assert_eq!(code(&slip), 1);
    assert!(stderr(&slip).contains("did you mean agent-config"), "{slip:?}");

    let test = |settings: &str| {
        format!(
            "apiVersion: wbd/v1\nkind: PlaybookTest\nmetadata: {{name: broken-settings}}\nspec:\n  playbook: agent-config\n  profile: wbd\n  at:\n    - {{after: 0s, see: {{agent: {{settings: {settings}}}}}}}\n  expect:\n    - {{after: 1s, verdict: warn, case: broken}}\n"
        )
    };
    put(root.path(), "usr/lib/wbd/playbooks/agent-config.test.yaml", &test("good"));
    let output = run(root.path(), &["playbook", "test"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("1 passed, 0 failed"), "{output:?}");
    put(root.path(), "usr/lib/wbd/playbooks/agent-config.test.yaml", &test("current"));
    let output = run(root.path(), &["playbook", "test"]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(stdout(&output).contains("0 passed, 1 failed"), "{output:?}");
    let schema: Value = serde_json::from_slice(&run(root.path(), &["playbook", "schema"]).stdout).unwrap();
    assert!(schema.is_object());
}

#[test]
fn yaml_says_the_same_as_json() {
    let root = TempDir::new().unwrap();
    let yaml = stdout(&run(root.path(), &["-o", "yaml", "explain", "6007"]));
    let value: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"));
    assert_eq!(value, json(&run(root.path(), &["-o", "json", "explain", "6007"])));
}

#[test]
fn text_is_ascii_without_a_utf8_locale_and_plain_without_a_terminal() {
    let root = TempDir::new().unwrap();
    for args in [&["explain"][..], &["explain", "6007"], &["doctor"]] {
        let text = run(root.path(), args).stdout;
        assert!(text.is_ascii() && !text.contains(&0x1b), "{args:?}");
        // A list has one line an entry there, however long.
        let is_list = args == ["explain"];
        assert!(
            stdout(&run(root.path(), args))
                .lines()
                .all(|line| is_list || line.chars().count() <= 80 || line.split_whitespace().count() < 4),
            "{args:?}"
        );
    }
}

/// The columns of the widest line that `wbdctl ARGS` writes to a terminal of so many columns, words that cannot be broken
/// left out; with `None` to no terminal.
fn widest(root: &Path, args: &[&str], terminal: Option<u16>) -> (usize, String) {
    let text = match terminal {
        None => stdout(&wbdctl(root, args).env("LC_ALL", "C.UTF-8").output().unwrap()),
        Some(columns) => {
            let line = format!("stty cols {columns} rows 50; exec \"$WBDCTL\" --root \"$ROOT\" {}", args.join(" "));
            let mut script = Command::new("/usr/bin/script");
            script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null()).env_clear();
            script.env("WBDCTL", env!("CARGO_BIN_EXE_wbdctl")).env("ROOT", root).env("SHELL", "/bin/sh");
            script.env("PATH", "/usr/bin:/bin").env("TERM", "dumb").env("LC_ALL", "C.UTF-8");
            stdout(&script.output().unwrap()).replace('\r', "")
        }
    };
    let breakable = text.lines().filter(|line| line.split_whitespace().count() > 3);
    (breakable.map(wbd_model::text::columns).max().unwrap(), text)
}

#[test]
fn lines_are_as_wide_as_the_terminal_and_80_columns_where_there_is_none() {
    let root = TempDir::new().unwrap();
    for args in [&["explain", "6007"][..], &["explain"]] {
        let ((plain, text), (narrow, narrow_text)) =
            (widest(root.path(), args, None), widest(root.path(), args, Some(50)));
        assert!((plain <= 80 || args == ["explain"]) && plain > 60 && !text.contains("..."), "{plain}: {text}");
        assert!(narrow <= 50 && narrow > 30, "{narrow}: {narrow_text}");
    }
    let (wide, text) = widest(root.path(), &["explain", "6007"], Some(160));
    assert!(wide <= 160 && wide > 120, "{wide}: {text}");
}

#[test]
fn a_japanese_line_of_a_file_is_marked_below_the_right_character() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("a.yaml");
    fs::write(&file, PLAYBOOK.replace("source: test", "source: 「試験」の、, detcet: 1")).unwrap();
    let output = wbdctl(root.path(), &["playbook", "lint", file.to_str().unwrap()]).env("LC_ALL", "C.UTF-8").output();
    let text = stderr(&output.unwrap());
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains("「試験」の、, detcet")).unwrap();
    let (before, mark) = (lines[at].split_once("detcet").unwrap().0, lines[at + 1].split_once('^').unwrap().0);
    assert_eq!(wbd_model::text::columns(before), mark.len(), "{text}");
}

#[test]
fn completions_name_every_verb() {
    let root = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout(&run(root.path(), &["completions", shell]));
        for verb in ["doctor", "explain", "rotate"] {
            assert!(text.contains(verb), "{shell}: {verb}");
        }
    }
}

#[test]
fn watching_ends_when_the_reader_goes_away() {
    let root = TempDir::new().unwrap();
    let mut child = wbdctl(root.path(), &["doctor", "--watch", "-o", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{");
    drop(child.stdout.take());
    // The next look notices it; a child that never ended would hang here and fail by the suite's own limit.
    assert_eq!(child.wait().unwrap().code(), Some(3));
}
