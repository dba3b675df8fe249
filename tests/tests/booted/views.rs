//! Doctor and the supervisor say different things of a healthy agent, since one of them reads another playbook: the
//! supervisor looks again, the worse view counts, and both are shown.

use serde_json::Value;
use wbd_tests::json::Answer;
use wbd_tests::product;

const CODE: &str = "WBD-CONFIG";
/// True of a healthy agent.
const PATCH: (&str, &str) =
    ("agent.live && agent.settings_problem != ''", "agent.live && agent.settings_problem == ''");
const PATCHED: &str = "/etc/wbd/playbooks.d/agent-config.yaml";

fn views(answer: &Answer) -> [&Value; 2] {
    let both = answer.list("differing").iter().find(|both| both["code"] == CODE);
    let both = both.unwrap_or_else(|| panic!("nothing differs: {}", answer.json));
    assert!(both["supervisor_age_ms"].is_u64() && both["not_asked"].is_null(), "it did not look again: {both}");
    [&both["here"]["verdict"], &both["supervisor"]["verdict"]]
}

#[test]
fn the_worse_of_two_views_counts_and_both_are_shown() {
    let host = product::shared();
    product::doctor_says(&host, "a healthy host", Answer::is_well);

    // Doctor reads the file, and the supervisor has not read it yet.
    product::patched_playbook(&host, "agent-config", &[PATCH]);
    let answer = product::doctor(&host);
    assert_eq!(views(&answer), ["warn", "pass"], "{}", answer.json);
    assert!(answer.code == 1 && answer.cause(CODE).is_some(), "{}", answer.json);

    product::reload(&host).ok();
    let answer = product::doctor_says(&host, "both say the same", |answer| answer.list("differing").is_empty());
    assert!(answer.code == 1 && answer.cause(CODE).is_some(), "{}", answer.json);

    // The supervisor goes on with a file that is gone.
    host.run(["/usr/bin/rm", PATCHED]).ok();
    let answer = product::doctor(&host);
    assert_eq!(views(&answer), ["pass", "warn"], "{}", answer.json);
    assert_eq!((answer.code, &answer.checks(CODE)[0]["verdict"]), (1, &"warn".into()), "{}", answer.json);
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert!(cause["evidence"].to_string().contains("doctor says pass; the supervisor looked again"), "{cause}");

    product::reload(&host).ok();
    product::doctor_says(&host, "a healthy host", |answer| answer.is_well() && answer.list("differing").is_empty());
    product::healthy(&host);
}
