//! Settings, playbooks and profiles as `config check`, `playbook lint` and doctor judge them: alike, and of files and folders.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]
mod files;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use files::put;

const FD_LEAK: &str = include_str!("../../../playbooks/fd-leak.yaml");
const IWSS: &str = include_str!("../../../playbooks/iwss/ftp.yaml");

/// The exit code, and all that was said.
fn wbdctl(root: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wbdctl"));
    command.arg("--root").arg(root).args(args).env_clear().stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().expect("ended by a signal"), said)
}

fn host() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "usr/lib/wbd/playbooks/fd-leak.yaml", FD_LEAK);
    put(root.path(), "usr/lib/wbd/playbooks/iwss/ftp.yaml", IWSS);
    root
}

/// What doctor says under WBD-LINT.
fn repeated(root: &Path) -> Option<Value> {
    let (_, said) = wbdctl(root, &["-o", "json", "doctor"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    report["causes"].as_array().unwrap().iter().find(|cause| cause["code"] == "WBD-LINT").cloned()
}

fn profile(lines: &str) -> String {
    format!(
        "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: site}}\nspec:\n  present: {{any: [{{file: /etc/site}}]}}\n{lines}"
    )
}

#[test]
fn a_misspelt_playbook_in_the_settings_is_warned_of_and_doctor_repeats_it() {
    let root = host();
    put(root.path(), "etc/wbd/wbd.yaml", "playbooks:\n  fd-leek: {healing: observe}\nfacts: {iwss.biuld: 1393}\n");
    let (code, said) = wbdctl(root.path(), &["config", "check"]);
    assert_eq!(code, 0, "{said}");
    for words in ["did you mean \"fd-leak\"?", "did you mean \"iwss.build\"?", "can be used, with 2 warnings"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let cause = repeated(root.path()).unwrap();
    assert!(cause["severity"] == "warn" && cause["evidence"][0].as_str().unwrap().contains("fd-leek"), "{cause}");
    assert!(cause["guide"].to_string().contains("wbdctl config check"), "{cause}");

    put(root.path(), "etc/wbd/wbd.yaml", "playbooks:\n  fd-leak: {healing: observe}\nfacts: {iwss.build: 1393}\n");
    assert_eq!(wbdctl(root.path(), &["config", "check"]), (0, "The settings are good.\n".to_owned()));
    assert_eq!(repeated(root.path()), None);
}

#[test]
fn a_misspelt_playbook_under_codes_is_warned_of_and_doctor_repeats_it() {
    let root = host();
    put(root.path(), "etc/wbd/playbooks.d/site.yaml", &profile("  codes: {fd-leek: SITE-1}\n"));
    let (code, said) = wbdctl(root.path(), &["playbook", "lint"]);
    assert!(code == 0 && said.contains("did you mean \"fd-leak\"?") && said.contains("1 warning\n"), "{code}: {said}");
    let cause = repeated(root.path()).unwrap();
    assert!(cause["evidence"][0].as_str().unwrap().contains("site.yaml:6:11"), "{cause}");

    put(root.path(), "etc/wbd/playbooks.d/site.yaml", &profile("  codes: {fd-leak: SITE-1}\n"));
    assert!(!wbdctl(root.path(), &["playbook", "lint"]).1.contains("warning"));
    assert_eq!(repeated(root.path()), None);
}

#[test]
fn a_playbook_that_does_not_say_what_healthy_is_goes_on_with_a_warning() {
    let root = host();
    let lint = |place: &str, text: &str| {
        put(root.path(), place, text);
        wbdctl(root.path(), &["playbook", "lint"])
    };
    let healthy = "healthy: \"trend.enough && !trend.leaking\"";
    assert!(FD_LEAK.contains(healthy));
    let (own, shipped) = ("etc/wbd/playbooks.d/fd-leak.yaml", "usr/lib/wbd/playbooks/fd-leak.yaml");
    let without = FD_LEAK.replace(&format!("    {healthy}\n"), "");
    let (code, said) = lint(own, &without);
    assert!(code == 0 && said.contains("detect has no healthy: a state that no case covers passes"), "{code}: {said}");
    assert_eq!(repeated(root.path()), None, "the host is as well as before");
    let narrow = FD_LEAK.replace("&& !trend.leaking", "&& !trend.leaking && trend.per_day == 0");
    let (code, said) = lint(own, &narrow);
    assert!(
        code == 0 && said.contains("neither healthy nor a case covers") && said.contains("trend.per_day = 1"),
        "{said}"
    );
    let wide = FD_LEAK.replace("trend.enough && !trend.leaking", "trend.enough");
    let (code, said) = lint(own, &wide);
    assert!(code == 0 && said.contains("healthy and the case \"due\" hold at once"), "{code}: {said}");
    assert!(!lint(own, FD_LEAK).1.contains("warning"));
    // One that came with wbd has no excuse.
    fs::remove_file(root.path().join(own)).unwrap();
    assert_eq!(lint(shipped, &without).0, 78);
}

#[test]
fn a_test_in_which_a_playbook_contradicts_itself_fails() {
    let root = host();
    let test = "---\nkind: PlaybookTest\nmetadata: {name: t}\nspec:\n  playbook: fd-leak\n  profile: iwss-ftp\n  at:\n    \
                - see: {trend: {enough: true, leaking: true, due: true}}\n  expect:\n    - {after: 1s, verdict: fail}\n";
    let run = |text: &str| {
        put(root.path(), "etc/wbd/playbooks.d/fd-leak.yaml", &format!("{text}{test}"));
        wbdctl(root.path(), &["playbook", "test"])
    };
    let (code, said) = run(&FD_LEAK.replace("trend.enough && !trend.leaking", "trend.enough"));
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(code == 1 && said.contains("healthy and the case \"due\" hold at once"), "{code}: {said}");
    let (code, said) = run(FD_LEAK);
    assert!(code == 0 && said.contains("1 passed, 0 failed"), "{code}: {said}");
}

#[test]
fn what_came_with_wbd_is_not_only_warned_of() {
    let root = host();
    put(root.path(), "usr/lib/wbd/playbooks/site.yaml", &profile("  codes: {fd-leek: SITE-1}\n"));
    let (code, said) = wbdctl(root.path(), &["playbook", "lint"]);
    assert!(code == 78 && said.contains("did you mean \"fd-leak\"?"), "{code}: {said}");
}

#[test]
fn files_and_folders_are_checked_in_the_place_of_those_installed() {
    let root = host();
    put(root.path(), "new/wbd.yaml", "healing: atuo\n");
    put(root.path(), "new/playbooks.d/site.yaml", &profile("  codes: {fd-leek: SITE-1}\n"));
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    for name in ["new", "new/wbd.yaml"] {
        let (code, said) = wbdctl(root.path(), &["config", "check", &path(name)]);
        assert!(code == 78 && said.contains("new/wbd.yaml:1:10"), "{name}: {code}: {said}");
    }
    put(root.path(), "new/wbd.yaml", "healing: auto\n");
    let (code, said) = wbdctl(root.path(), &["config", "check", &path("new")]);
    assert!(code == 0 && said.contains("did you mean \"fd-leak\"?"), "{code}: {said}");
    assert_eq!(wbdctl(root.path(), &["config", "check", &path("new/wbd.yaml")]).1, "The settings are good.\n");
    for name in ["new/playbooks.d", "new/playbooks.d/site.yaml"] {
        let (code, said) = wbdctl(root.path(), &["playbook", "lint", &path(name)]);
        assert!(code == 0 && said.contains("1 file, no problems, 1 warning"), "{name}: {code}: {said}");
    }
    fs::create_dir(root.path().join("empty")).unwrap();
    for args in [["config", "check"], ["playbook", "lint"]] {
        let (code, said) = wbdctl(root.path(), &[&args[..], &[&path("empty")]].concat());
        assert_eq!(code, 78, "{args:?}: {said}");
    }
}

#[test]
fn a_program_that_no_playbook_runs_is_an_error_and_a_lower_class_a_warning() {
    let root = host();
    let lint = |argv: &str, class: &str| {
        let commands = format!("  commands: {{fix: {{argv: {argv}, timeout: 5s{class}}}}}\n");
        put(root.path(), "etc/wbd/playbooks.d/site.yaml", &profile(&commands));
        wbdctl(root.path(), &["playbook", "lint"])
    };
    for argv in
        ["[/bin/sh, -c, reboot]", "[/sbin/reboot]", "[/usr/bin/apt-get, -y, remove, site]", "[/usr/bin/sudo, /x]"]
    {
        let (code, said) = lint(argv, "");
        assert!(code == 78 && said.contains("commands.fix.argv is not run: "), "{argv}: {code}: {said}");
    }
    let (code, said) = lint("[/opt/site/fix]", ", class: A2");
    assert!(code == 0 && said.contains("class A2 counts as A3"), "{code}: {said}");
    assert!(!lint("[/opt/site/fix]", "").1.contains("warning"));
}

#[test]
fn a_program_for_notifications_that_is_a_shell_or_not_there_is_told() {
    let root = host();
    let check = |argv: &str| {
        put(root.path(), "etc/wbd/wbd.yaml", &format!("on_escalation: {argv}\n"));
        wbdctl(root.path(), &["config", "check"])
    };
    for (argv, words) in [("[/opt/no/such/pager]", "it is not there"), ("[/bin/sh, -c, mail root]", "is a shell")] {
        let (code, said) = check(argv);
        assert!(code == 78 && said.contains(words) && said.contains("wbd.yaml:1:17"), "{argv}: {code}: {said}");
    }
    assert_eq!(check("[/usr/bin/true]"), (0, "The settings are good.\n".to_owned()));
}
