//! Which of two views counts, and that both are shown; whether the supervisor can be asked is played by a socket.
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use wbd_model::control::SOCKET;
use wbd_model::report::Overall;

use super::*;

fn row(verdict: &str, reason: &str) -> Value {
    json!({"code": "WBD-6007", "target": "wbd", "verdict": verdict, "reason": reason, "duration_ms": 1})
}

/// A report that says this of one check, and of another one what it always says.
fn report(verdict: &str, reason: &str) -> Report {
    let other = json!({"code": "WBD-5404", "target": "wbd", "verdict": "pass", "reason": "", "duration_ms": 1});
    let causes = match verdict {
        "warn" | "fail" => {
            json!([{"code": "WBD-6007", "severity": verdict, "target": "wbd", "title": format!("{verdict}: {reason}"),
            "claim": "", "evidence": ["seen"], "explains": [], "fix": null, "guide": []}])
        }
        _ => json!([]),
    };
    let report: Report = serde_json::from_value(json!({"schema": 1, "host": "h", "started": 1, "duration_ms": 1,
        "verdict": "ok", "causes": causes, "checks": [row(verdict, reason), other], "daemon": null}))
    .unwrap();
    merge::settle(report)
}

fn weighed(here: &str, there: &str) -> Report {
    let (own, theirs) = (report(here, "seen here"), report(there, "seen there"));
    let keys = differing(&own, &theirs);
    let ages = keys.iter().map(|key| (key.clone(), 200)).collect();
    weigh(own, &keys, &Theirs { report: &theirs, ages, unasked: None })
}

#[test]
fn the_worse_view_counts_whosever_it_is_and_both_are_shown() {
    for (here, there, whole) in [
        ("pass", "fail", Overall::Fail),
        ("fail", "pass", Overall::Fail),
        ("warn", "fail", Overall::Fail),
        ("pass", "warn", Overall::Warn),
        ("pass", "unknown", Overall::Unknown),
        ("skip", "fail", Overall::Fail),
    ] {
        let report = weighed(here, there);
        assert_eq!(report.verdict, whole, "{here}, {there}");
        let check = &report.checks[0];
        let said = format!(
            "doctor says {here} (seen here); the supervisor looked again 200 ms ago and says {there} (seen there); the worse one counts"
        );
        assert_eq!(check.reason, said);
        let both = &report.differing[0];
        assert_eq!((both.here.verdict.as_str(), both.supervisor.verdict.as_str()), (here, there));
        assert_eq!(check.verdict, both.here.verdict.max(both.supervisor.verdict));
        // The cause is that of the worse one, once, and tells of the other.
        let worse = if both.here.verdict > both.supervisor.verdict { "seen here" } else { "seen there" };
        match report.causes.as_slice() {
            [cause] => {
                assert_eq!((cause.title.ends_with(worse), cause.evidence.last()), (true, Some(&said)), "{cause:?}");
            }
            causes => assert_eq!((causes.len(), whole), (0, Overall::Unknown)),
        }
        assert_eq!((report.checks[1].reason.as_str(), report.differing.len()), ("", 1), "the other check agrees");
    }
}

#[test]
fn where_both_agree_or_one_could_not_see_there_is_nothing_to_weigh() {
    for both in ["pass", "skip", "warn", "fail", "unknown"] {
        assert_eq!(differing(&report(both, "a"), &report(both, "b")), [], "{both}");
    }
    // What cannot be seen from here is taken over before.
    let mut unseen = report("unknown", "");
    assert_eq!(differing(&unseen, &report("pass", "")), []);
    // Twin: it was seen, and nobody can tell what it means.
    unseen.checks[0].unclear = true;
    assert_eq!(differing(&unseen, &report("pass", "")).len(), 1);
    // After it looked again both say the same.
    let (own, theirs) = (report("pass", ""), report("pass", ""));
    let keys = differing(&own, &report("fail", ""));
    assert_eq!(keys.len(), 1);
    let settled = weigh(own.clone(), &keys, &Theirs { report: &theirs, ages: BTreeMap::new(), unasked: None });
    assert_eq!(settled, own);
}

#[test]
fn a_supervisor_that_does_not_look_again_in_time_counts_as_it_spoke_before() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("run/wbd")).unwrap();
    let _listener = UnixListener::bind(root.path().join(SOCKET)).unwrap();
    let client = Client::new(root.path(), Duration::from_secs(60));
    let until = Instant::now() + Duration::from_millis(300);
    let settled = settle(report("pass", ""), &report("fail", "hung"), &client, until);
    assert_eq!(settled.verdict, Overall::Fail);
    let why = settled.differing[0].not_asked.as_deref().unwrap_or_default();
    assert!(why.contains("did not look again within"), "{why}");
    assert!(settled.checks[0].reason.contains(why), "{:?}", settled.checks[0]);
}
