//! Doctor and the supervisor read different playbooks, so they say different things: the worse view counts.

use serde_json::Value;
use wbd_tests::deadline::wait_until;
use wbd_tests::json::{self, Answer};

use crate::toy::{self, CODE};
use crate::trial::{SOON, Trial};

fn doctor(trial: &Trial) -> Answer {
    json::wbdctl_at(trial.root(), ["doctor", "--only", CODE])
}

#[track_caller]
fn is_told(answer: &Answer, here: &str, supervisor: &str) {
    let both = answer.list("differing").first().cloned().unwrap_or_default();
    let verdict = |view: &str| both[view]["verdict"].clone();
    assert_eq!((verdict("here"), verdict("supervisor")), (here.into(), supervisor.into()), "{}", answer.json);
    assert!(both["supervisor_age_ms"].is_u64(), "it did not look again: {both}");
    let check = answer.checks(CODE)[0];
    assert_eq!((answer.code, &check["verdict"]), (2, &Value::from("fail")), "{}", answer.json);
    let reason = check["reason"].as_str().unwrap_or_default();
    let words = format!("doctor says {here}");
    assert!(reason.starts_with(&words) && reason.ends_with("the worse one counts"), "{reason}");
    assert!(answer.cause(CODE).is_some_and(|cause| cause["evidence"].to_string().contains(&words)), "{}", answer.json);
}

#[test]
fn the_worse_view_counts_whosever_it_is() {
    let root = toy::root("observe");
    let good = toy::playbook("toy", CODE);
    toy::write(root.path(), "toy", &good);
    let trial = Trial::on(root);
    let answer = doctor(&trial);
    assert_eq!((answer.code, answer.list("differing").len()), (0, 0), "{}", answer.json);

    toy::write(trial.root(), "toy", &good.replace("\"!versions.same3\"", "\"versions.same3\""));
    is_told(&doctor(&trial), "fail", "pass");

    toy::write(trial.root(), "toy", &good.replace("\"!versions.same3\"", "\"versions.left == ''\""));
    toy::breaks(trial.root(), "toy");
    let answer = wait_until("the supervisor sees it", SOON, || {
        let answer = doctor(&trial);
        if answer.code == 2 { Ok(answer) } else { Err(answer.json.to_string()) }
    });
    is_told(&answer, "pass", "fail");

    // Twin: both read the same, and both see it.
    toy::write(trial.root(), "toy", &good);
    let answer = doctor(&trial);
    assert_eq!((answer.code, answer.list("differing").len()), (2, 0), "{}", answer.json);
    assert_eq!(toy::acts(trial.root()), 0, "nobody may act on it");
}
