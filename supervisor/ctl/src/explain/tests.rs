//! What is said of each failure: within the width, and true of this release.
use std::collections::BTreeSet;

use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::name::TargetName;
use wbd_model::report::{Cause, CheckRow, Overall, Report};
use wbd_model::settings::Healing;
use wbd_model::text::columns;

use super::*;
use crate::out::testing::{text_of, utf8_text_within};

fn files(settings: Option<Settings>) -> Files {
    Files { library: built_in(), settings, none: None }
}

fn of(spoken: &str) -> Result<Explained, Failure> {
    explained(&files(Some(Settings::default())), Path::new("/none"), spoken)
}

fn screen(out: &mut Out, explained: &Explained, here: &Here) {
    text::begin(out, explained);
    text::end(out, explained, here);
}

fn not_looked() -> Here {
    Here::NotLooked("a test".to_owned())
}

/// What doctor found: one check, and where it fails its cause.
fn found(code: &str, verdict: Verdict) -> Here {
    let (code, target) = (Code::new(code).unwrap(), TargetName::new("wbd").unwrap());
    let cause = Cause {
        code: code.clone(),
        severity: verdict,
        target: target.clone(),
        title: "Folders are unwatched".into(),
        claim: "37 folders are unwatched.".into(),
        group: None,
        evidence: vec!["watches in use: 8,192 of 8,192".into()],
        seen: vec![],
        explains: vec![],
        incident: None,
        fix: None,
        guide: vec!["sysctl -w fs.inotify.max_user_watches=10287".into()],
    };
    let check = CheckRow { code, target, verdict, reason: "as it should be".into(), duration_ms: 1, unclear: false };
    let causes = if verdict == Verdict::Fail { vec![cause] } else { vec![] };
    Here::Looked(Box::new(Report {
        schema: SCHEMA,
        version: "0.1.0".into(),
        host: "web1".into(),
        started: 0,
        duration_ms: 1,
        verdict: Overall::Ok,
        protection: None,
        causes,
        checks: vec![check],
        differing: vec![],
        waived: vec![],
        waivers_unread: None,
        holds: vec![],
        daemon: None,
    }))
}

#[test]
fn every_row_is_explained_within_the_width() {
    let rows = rows().unwrap();
    assert!(rows.len() >= 60, "{}", rows.len());
    let codes: BTreeSet<&Code> = rows.iter().map(|row| &row.code).collect();
    assert_eq!(codes.len(), rows.len(), "a code stands twice");
    for row in &rows {
        let explained = of(row.code.as_str()).unwrap();
        for width in [40, 80, 100] {
            let text = utf8_text_within(width, |out| screen(out, &explained, &not_looked()));
            assert!(text.starts_with(row.code.as_str()), "{text}");
            let mut rest = text.as_str();
            for section in ["What happened", "How wbd sees it", "Now on this host", "What wbd does by itself", "Source"]
            {
                let (_, after) = rest.split_once(section).unwrap_or_else(|| panic!("{section} in {text}"));
                rest = after;
            }
            for line in text.lines() {
                let one_word = line.split_whitespace().count() <= 2;
                assert!(columns(line) <= width || one_word, "{line}");
            }
        }
    }
}

#[test]
fn a_slip_of_the_finger_is_understood() {
    let failure = |spoken| of(spoken).unwrap_err().message;
    assert!(failure("WBD-54O4").contains("did you mean WBD-5404"));
    // 5404 and 5104 are as near: none of them is meant more than the other.
    assert!(failure("5504").contains("list them all: wbdctl explain"));
    assert!(failure("WBD-60O7").contains("did you mean WBD-6007"));
    assert!(failure("nonsense at all").contains("wbdctl explain"));
}

/// The playbooks say what is looked for; a text that says it too would be wrong some day.
#[test]
fn no_text_says_what_this_release_does() {
    for row in rows().unwrap() {
        for text in [&row.means, &row.does, &row.title].into_iter().chain(&row.guide) {
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
            for claim in ["this release", "agreed response", "agreed answer"] {
                assert!(!flat.contains(claim), "{}: {claim}: {flat}", row.code);
            }
        }
    }
}

/// No verb and no playbook quarantines a file; whoever adds one finds the texts that say so.
#[test]
fn what_a_text_says_that_wbd_has_not_is_not_there() {
    use clap::CommandFactory as _;
    let says = rows().unwrap().iter().filter(|row| row.does.contains("has no quarantine")).count();
    let has = crate::cli::Cli::command().get_subcommands().any(|verb| verb.get_name() == "quarantine");
    assert!((says > 0) != has, "{says} texts say that there is none");
}

/// What `does` says of wbd's actions stands in a rung of a playbook that tells the code.
#[test]
fn what_a_text_says_that_wbd_does_is_what_its_playbooks_do() {
    const CLAIMS: [(&str, &[&str]); 4] = [
        ("restarts", &["agent.restart", "unit.restart", "command.run"]),
        ("starts", &["agent.start", "agent.restart", "unit.restart", "command.run"]),
        ("raises fs.", &["sysctl.set"]),
        ("reloads", &["agent.reload"]),
    ];
    // What others do, and what wbd leaves alone.
    let others = ["never", "systemd restarts", "supervisor goes on", "agent itself", "wbdctl doctor"];
    for row in rows().unwrap().iter().filter(|row| row.product != OURS) {
        let explained = of(row.code.as_str()).unwrap();
        let actions: BTreeSet<&str> =
            explained.detectors.iter().flat_map(|it| &it.rungs).flat_map(|rung| rung.actions.iter().copied()).collect();
        let flat = row.does.split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in flat.split(". ").filter(|sentence| !others.iter().any(|other| sentence.contains(other))) {
            for (claim, does) in CLAIMS {
                let claimed = sentence.to_lowercase().contains(claim);
                let refers = sentence.contains("that playbook");
                assert!(
                    !claimed || refers || does.iter().any(|action| actions.contains(action)),
                    "{}: {sentence}",
                    row.code
                );
            }
        }
    }
}

/// Doctor's own findings have no playbook; each is made somewhere.
#[test]
fn what_doctor_itself_finds_is_found_by_it() {
    let sources = [
        include_str!("../doctor/own.rs"),
        include_str!("../../../engine/src/judge/report.rs"),
        include_str!("../doctor/examine.rs"),
    ];
    for row in rows().unwrap().iter().filter(|row| row.product == OURS) {
        let made = sources.iter().any(|text| text.contains(&format!("\"{}\"", row.code)));
        assert!(made || !of(row.code.as_str()).unwrap().detectors.is_empty(), "{} is found by nobody", row.code);
    }
}

#[test]
fn detected_is_computed_from_the_playbooks() {
    for (code, detected) in [
        ("WBD-5404", Detected::Yes),
        ("IWSS-HTTPLEAK", Detected::Yes),
        ("WBD-LEDGER", Detected::Yes),
        ("VULN-EOL", Detected::No),
    ] {
        assert_eq!(of(code).unwrap().detected, detected, "{code}");
    }
    let none = Files { library: Library::default(), ..files(None) };
    assert_eq!(explained(&none, Path::new("/none"), "5404").unwrap().detected, Detected::No, "without its playbook");
}

#[test]
fn what_wbd_does_follows_the_settings_of_this_host() {
    let decided = |settings: Option<Settings>| {
        let explained = explained(&files(settings), Path::new("/none"), "6007").unwrap();
        text_of(|out| screen(out, &explained, &not_looked()))
    };
    let auto = decided(Some(Settings { healing: Healing::Auto, ceiling: Class::A3, ..Settings::default() }));
    assert!(auto.contains("class A2 (agent.restart): wbd does it by itself"), "{auto}");
    for (settings, words) in [
        (Some(Settings { healing: Healing::Observe, ..Settings::default() }), "healing: observe"),
        (Some(Settings { healing: Healing::Approve, ..Settings::default() }), "healing: approve"),
        (Some(Settings { healing: Healing::Auto, ceiling: Class::A1, ..Settings::default() }), "above the ceiling A1"),
        (None, "wbd.yaml cannot be read"),
    ] {
        let text = decided(settings).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words) && !text.contains("wbd does it by itself"), "{words} in {text}");
    }
}

#[test]
fn where_it_is_so_now_the_steps_have_this_hosts_values_and_elsewhere_they_do_not_claim_it() {
    let explained = of("5404").unwrap();
    let shown = |here: &Here| text_of(|out| screen(out, &explained, here));
    let there = shown(&found("WBD-5404", Verdict::Fail));
    for part in ["YES (wbd): Folders are unwatched", "37 folders", "8,192 of 8,192", "max_user_watches=10287"] {
        assert!(there.contains(part), "{part} in {there}");
    }
    let well = shown(&found("WBD-5404", Verdict::Pass));
    assert!(well.contains("no (wbd)") && !well.contains("YES") && !well.contains("10287"), "{well}");
    let unseen = shown(&not_looked());
    assert!(unseen.contains("not looked: a test") && !unseen.contains("YES"), "{unseen}");
    let value = document(&explained, &found("WBD-5404", Verdict::Fail)).unwrap();
    assert_eq!((&value["detected"], &value["now"]["checks"][0]["verdict"]), (&"yes".into(), &"fail".into()), "{value}");
    assert_eq!(value["guide_here"][0], "sysctl -w fs.inotify.max_user_watches=10287");
    assert!(value["guide"][0].as_str().is_some_and(|step| !step.contains("10287")), "{value}");
    for key in ["code", "title", "response", "seen", "means", "does", "playbook", "source", "schema"] {
        assert!(!value[key].is_null(), "{key} in {value}");
    }
}
