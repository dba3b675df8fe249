//! Playbooks that would loop, that select nothing or everything, whose proof can never come; and words for what is
//! over. Each ends in an error that names the matter or in a hand-over, and the same without the defect acts.

use std::fs;

use wbd_tests::deadline::wait_until;
use wbd_tests::exec::Ran;

use crate::toy::{self, CODE};
use crate::trial::{SOON, Trial};

/// Refused with these words, by `reload --wait` and by the linter alike.
#[track_caller]
fn is_refused(trial: &Trial, texts: &[(&str, String)], words: &str) {
    for (name, text) in texts {
        toy::write(trial.root(), name, text);
    }
    let said = |ran: &Ran| String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr[..]].concat()).into_owned();
    let reload = trial.ctl(&["reload", "--wait"]).exits(78);
    assert!(said(&reload).contains(words), "{words}: {}", reload.report());
    let file = trial.root().join(format!("etc/wbd/playbooks.d/{}.yaml", texts[0].0));
    let lint = trial.ctl(&["playbook", "lint", &file.to_string_lossy()]);
    if texts.len() == 1 {
        let lint = lint.exits(78);
        assert!(said(&lint).contains(words), "{words}: {}", lint.report());
    }
    for (name, _) in texts {
        std::fs::remove_file(trial.root().join(format!("etc/wbd/playbooks.d/{name}.yaml"))).expect("put there above");
    }
}

#[test]
fn playbooks_that_loop_or_select_nothing_or_everything_are_refused_and_nothing_is_done() {
    let root = toy::root("auto");
    toy::breaks(root.path(), "toy");
    let trial = Trial::on(root);
    let good = toy::playbook("toy", CODE);
    for (from, to, words) in [
        ("{has: [version.toyleft, version.toyright, commands.fix]}", "{has: []}", "applies to nothing"),
        ("  applies: {has: [version.toyleft, version.toyright, commands.fix]}\n", "  applies: {}\n", "has"),
        ("      steps:\n        - command.run: {command: fix}\n", "      steps: []\n", "steps"),
        ("command: fix}", "command: other}", "other"),
        ("  verify: {pass: \"versions.same3\", within: 1s, hold: 500ms}\n", "", "must prove the cure"),
        ("!versions.same3", "true", "it selects everything"),
        ("pass: \"versions.same3\"", "pass: \"true\"", "proves nothing"),
        ("  rungs:", "  explains: [toy-match]\n  rungs:", "own consequence"),
        (
            "  verify:",
            "    - id: fix\n      steps:\n        - command.run: {command: fix}\n  verify:",
            "stands here twice",
        ),
    ] {
        assert!(good.contains(from), "the toy no longer says {from:?}");
        is_refused(&trial, &[("toy", good.replacen(from, to, 1))], words);
    }
    let explains = |name: &str, code: &str, other: &str| {
        let text = toy::playbook("toy", code).replace("toy-match", name);
        (text.replacen("  rungs:", &format!("  explains: [{other}]\n  rungs:"), 1), name.to_owned())
    };
    let (one, _) = explains("one", "TOY-1", "two");
    let (two, _) = explains("two", "TOY-2", "one");
    is_refused(&trial, &[("one", one), ("two", two)], "own consequence");
    toy::stays_at(&trial, 0, "defective playbooks");
    assert!(trial.incidents(CODE).is_empty(), "{}", trial.summary());

    toy::write(trial.root(), "toy", &good);
    trial.ctl(&["reload", "--wait"]).ok();
    trial.healed(CODE, 0, &["command.run"]);
    assert_eq!(toy::acts(trial.root()), 1);
}

#[test]
fn a_playbook_for_which_no_product_has_what_it_needs_does_nothing() {
    let root = toy::root("auto");
    toy::breaks(root.path(), "toy");
    // No endpoint to reach and no such command: valid, and of no product here.
    let each = toy::playbook("toy", CODE)
        .replace("{has: [version.toyleft,", "{has: [endpoints, version.toyleft,")
        .replace("  every: 1s\n", "  every: 1s\n  each: {endpoint: profile.endpoints}\n");
    toy::write(root.path(), "toy", &each);
    let trial = Trial::on(root);
    trial.ctl(&["reload", "--wait"]).ok();
    toy::stays_at(&trial, 0, "a playbook that selects nothing");
    assert!(trial.incidents(CODE).is_empty(), "{}", trial.summary());
}

/// It selects everything: whatever is seen, it fails.
#[test]
fn a_case_that_is_always_true_ends_with_a_person_after_its_attempts() {
    let root = toy::root("auto");
    let always = toy::playbook("toy", CODE).replace("!versions.same3", "versions.same3 || !versions.same3");
    toy::write(root.path(), "toy", &always);
    let trial = Trial::on(root);
    let told = trial.closed(CODE, 0);
    assert_eq!((told.ending(), told.of("intent").len()), (Some("handed-over"), 3), "{told}");
    toy::stays_at(&trial, 3, "a hand-over");
}

#[test]
fn a_proof_that_can_never_come_ends_with_a_person_after_its_attempts() {
    let root = toy::root("auto");
    toy::fixes_by(root.path(), "toy", "true");
    toy::breaks(root.path(), "toy");
    toy::write(root.path(), "toy", &toy::playbook("toy", CODE));
    let trial = Trial::on(root);
    let told = trial.closed(CODE, 0);
    assert_eq!(
        (told.ending(), told.of("intent").len(), told.of("escalated").len()),
        (Some("handed-over"), 3, 1),
        "{told}"
    );
    assert_eq!(toy::acts(trial.root()), 3);
    toy::stays_at(&trial, 3, "a hand-over");
    assert_eq!(trial.incidents(CODE).len(), 1, "{}", trial.summary());
}

#[test]
fn a_playbook_whose_proofs_keep_failing_is_suspended_and_said_to_be() {
    let root = toy::root("auto");
    toy::fixes_by(root.path(), "toy", "true");
    toy::breaks(root.path(), "toy");
    let many = toy::playbook("toy", CODE)
        .replace("attempts: 3", "attempts: 30")
        .replace("within: 1s, hold: 500ms", "within: 200ms, hold: 0s");
    toy::write(root.path(), "toy", &many);
    let trial = Trial::on(root);
    let told = wait_until("a person is told of the suspension", SOON * 2, || {
        let told = trial.incidents(CODE).into_iter().next();
        told.filter(|told| told.of("escalated").len() == 1).ok_or_else(|| trial.summary())
    });
    assert_eq!(trial.status()["suspended"], serde_json::json!(["toy-match"]));
    assert!(trial.of("suspended").len() == 1 && told.words().contains("suspended"), "{told}");
    assert_eq!(told.ending(), None, "it waits for its one try, or for a person");
    let acts = toy::acts(trial.root());
    assert_eq!(acts, 9, "{told}");
    toy::stays_at(&trial, acts, "a suspension");
    // The twin: with a fix that works, and a person who lifts it, it acts again.
    toy::fixes_by(trial.root(), "toy", "cp ROOT/etc/toy/right ROOT/etc/toy/left");
    trial.ctl(&["resume"]).ok();
    trial.healed(CODE, 0, &["command.run"; 10]);
    assert_eq!(trial.status()["suspended"], serde_json::json!([]));
}

#[test]
fn two_playbooks_that_raise_each_others_fault_end_with_a_person_and_not_in_a_loop() {
    let root = toy::root("auto");
    toy::add(root.path(), "yot", "cp ROOT/etc/yot/right ROOT/etc/yot/left; echo 0.9.0 >ROOT/etc/toy/left");
    toy::fixes_by(root.path(), "toy", "cp ROOT/etc/toy/right ROOT/etc/toy/left; echo 0.9.0 >ROOT/etc/yot/left");
    toy::breaks(root.path(), "toy");
    toy::write(root.path(), "toy", &toy::playbook("toy", CODE));
    toy::write(root.path(), "yot", &toy::playbook("yot", "TOY-2"));
    let trial = Trial::on(root);
    wait_until("both handed over", SOON * 2, || {
        let closed = trial.of("closed");
        let over = |code: &str| closed.iter().any(|record| record["code"] == code && record["result"] == "handed-over");
        if over(CODE) || over("TOY-2") { Ok(()) } else { Err(trial.summary()) }
    });
    // Nobody raises the other's fault any more: three attempts each, and one last one at most.
    wait_until("the last proof", SOON, || {
        let open = trial.status()["open"].clone();
        if open == serde_json::json!([]) { Ok(()) } else { Err(open.to_string()) }
    });
    let acts = toy::acts(trial.root());
    assert!((3..=6).contains(&acts), "{acts} acts\n{}", trial.summary());
    toy::stays_at(&trial, acts, "two playbooks against each other");
}

#[test]
fn decisions_on_what_is_over_or_was_never_asked_are_refused_by_name_and_nothing_is_done() {
    let root = toy::root("approve");
    toy::breaks(root.path(), "toy");
    toy::write(root.path(), "toy", &toy::playbook("toy", CODE));
    let trial = Trial::on(root);
    let incident = trial.held_by(CODE, "approval");
    let refused = |args: &[&str], words: &str| {
        let ran = trial.ctl(args).exits(1);
        assert!(String::from_utf8_lossy(&ran.stderr).contains(words), "{}", ran.report());
    };
    refused(&["approve", "--yes", "I4711"], "I4711");
    trial.ctl(&["deny", &incident]).ok();
    assert_eq!(trial.closed(CODE, 0).ending(), Some("handed-over"));
    refused(&["approve", "--yes", &incident], &incident);
    refused(&["deny", &incident], &incident);
    toy::stays_at(&trial, 0, "a denial, and an approval after it");
    assert_eq!((trial.of("approved").len(), trial.incidents(CODE).len()), (0, 1), "{}", trial.summary());

    // The end of a pause is no approval, and `resume` by itself neither.
    trial.ctl(&["pause", "something else"]).ok();
    for words in ["resumed", "still denied"] {
        let resumed = trial.ctl(&["resume"]).ok();
        assert!(String::from_utf8_lossy(&resumed.stdout).contains(words), "{}", resumed.report());
    }
    toy::stays_at(&trial, 0, "a denial after a resume");
    assert_eq!((trial.incidents(CODE).len(), trial.of("resumed").len()), (1, 0), "{}", trial.summary());

    // It goes away and comes back: that is another question, and the twin of all this is an approval in time.
    let left = trial.root().join("etc/toy/left");
    fs::copy(trial.root().join("etc/toy/right"), left).expect("scratch file");
    wait_until("it is seen gone", SOON, || if trial.of("cleared").len() == 1 { Ok(()) } else { Err(trial.summary()) });
    toy::breaks(trial.root(), "toy");
    let again = wait_until("another question", SOON, || {
        let open = trial.status()["open"].clone();
        let waits = open[0]["held"]["guard"] == "approval";
        waits.then(|| trial.incidents(CODE)[1].id.clone()).ok_or_else(|| open.to_string())
    });
    trial.ctl(&["approve", "--yes", &again]).ok();
    trial.healed(CODE, 1, &["command.run"]);
    assert_eq!(toy::acts(trial.root()), 1);
    refused(&["approve", "--yes", &again], &again);
}

#[test]
fn an_approval_of_one_plan_is_none_of_another() {
    for changes in [true, false] {
        let root = toy::root("approve");
        toy::breaks(root.path(), "toy");
        toy::write(root.path(), "toy", &toy::playbook("toy", CODE));
        let trial = Trial::on(root);
        let incident = trial.held_by(CODE, "approval");
        trial.ctl(&["pause", "between the approval and the action"]).ok();
        let approved = trial.ctl(&["approve", "--yes", &incident]).exits(1);
        assert!(String::from_utf8_lossy(&approved.stderr).contains("refused by hold"), "{}", approved.report());
        if changes {
            let other =
                toy::playbook("toy", CODE).replace("steps:\n", "steps:\n        - command.run: {command: fix}\n");
            toy::write(trial.root(), "toy", &other);
            trial.ctl(&["reload", "--wait"]).ok();
        }
        toy::stays_at(&trial, 0, "a pause");
        let resumed = trial.ctl(&["resume"]);
        assert_eq!(resumed.code, Some(i32::from(changes)), "{}", resumed.report());
        if changes {
            trial.held_by(CODE, "approval");
            toy::stays_at(&trial, 0, "an approval of another plan");
        } else {
            trial.healed(CODE, 0, &["command.run"]);
            assert_eq!(toy::acts(trial.root()), 1);
        }
    }
}

#[test]
fn what_was_given_up_is_tried_again_by_a_resume_of_its_own_and_not_by_the_end_of_a_pause() {
    let root = toy::root("auto");
    toy::fixes_by(root.path(), "toy", "true");
    toy::breaks(root.path(), "toy");
    toy::write(root.path(), "toy", &toy::playbook("toy", CODE));
    let trial = Trial::on(root);
    assert_eq!(trial.closed(CODE, 0).ending(), Some("handed-over"));
    let acts = toy::acts(trial.root());
    trial.ctl(&["pause", "something else"]).ok();
    let resumed = trial.ctl(&["resume"]).ok();
    assert!(String::from_utf8_lossy(&resumed.stdout).contains("wbdctl resume once more"), "{}", resumed.report());
    toy::stays_at(&trial, acts, "the end of a pause");
    assert_eq!(trial.incidents(CODE).len(), 1, "{}", trial.summary());
    let resumed = trial.ctl(&["resume"]).exits(1);
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("handed over to a person"), "{}", resumed.report());
    trial.closed(CODE, 1);
}
