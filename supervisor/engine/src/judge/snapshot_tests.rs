//! What a turn is told of a check depends on where its incident is: only one that was acted on is asked for a proof.
use std::collections::BTreeSet;

use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::incident::{ActionId, Closing, IncidentId};
use wbd_model::observation::Observation;
use wbd_model::problem::Source;
use wbd_model::settings::Settings;
use wbd_model::time::{BootId, Now};

use super::*;
use crate::judge::judge;
use crate::playbook::load;

const FILE: &str = "\
apiVersion: wbd/v1
kind: Profile
metadata: {name: p}
spec:
  present: {any: [{file: /p}]}
  process: {main: {comm: p, user: [root]}}
  health: true
---
kind: Playbook
metadata: {name: full, code: WBD-2}
spec:
  applies: {has: [process.main, health]}
  observe: {fd: {fd.usage: {process: main}}}
  detect:
    for: 10s
    cases:
      - {id: full, level: fail, when: \"fd.open > 100\"}
      - {id: near, level: warn, when: \"fd.open > 50\"}
  rungs:
    - id: reload
      steps: [{agent.reload: {}}]
  verify: {pass: \"fd.open < before.fd.open\", within: 30s}
  text: {en: {full: {title: full, cause: full, guide: [close]}, near: {title: near, cause: near}}}
";

fn open(files: i64) -> Observations {
    let mut fd = Observation::default();
    fd.know("open", files);
    Observations::from([("fd".to_owned(), fd)])
}

fn bound() -> Bound {
    let (library, problems) = load(&[Source { path: "x.yaml".to_owned(), text: FILE.to_owned() }]);
    assert_eq!(problems, []);
    let present: BTreeSet<_> = library.profiles.keys().cloned().collect();
    library.bind(&present, &Settings::default()).remove(0)
}

/// The incident that 200 open files opened.
fn incident(bound: &Bound) -> Incident {
    let subject = Subject {
        incident: Some(IncidentId(1)),
        code: Some(bound.key.code.clone()),
        target: Some(bound.key.target.clone()),
        playbook: Some(bound.playbook.clone()),
    };
    let (digest, case) = (bound.digest.clone(), "full".to_owned());
    let body = Body::Opened { digest, case, evidence: Vec::new(), before: open(200) };
    let at = Now { boot: BootId("b".to_owned()), boot_ms: 0, wall_ms: 0 };
    let entry = Entry { seq: 1, at, subject, body, prev: String::new(), hash: String::new() };
    Incident::opened(IncidentId(1), &entry).unwrap()
}

#[test]
fn only_an_incident_that_was_acted_on_is_asked_for_a_proof() {
    let bound = bound();
    let action = ActionId(1);
    let cases = [
        (Phase::Gated { held: None }, 0, false),
        (Phase::Gated { held: None }, 1, true),
        (Phase::Gated { held: None }, 2, true),
        (Phase::Verifying, 0, true),
        (Phase::Indeterminate { action }, 0, true),
        (Phase::Probation, 0, true),
        (Phase::Acting { action }, 1, false),
        (Phase::RollingBack { action }, 1, false),
        (Phase::Suppressed { by: IncidentId(2) }, 1, false),
        (Phase::Closed { how: Closing::Healed }, 1, false),
    ];
    for (phase, step, asked) in cases {
        let incident = Incident { phase, step, ..incident(&bound) };
        let seen = open(150);
        let judgement = judge(&bound, &seen);
        let snapshot = of(&Seen { bound: &bound, judgement: &judgement, seen: &seen }, Some(&incident), None);
        let evidence = if asked { vec!["fd.open = 150", "before.fd.open = 200"] } else { vec!["fd.open = 150"] };
        let cured = if asked { Verification::Passed } else { Verification::Failed };
        assert_eq!(
            (snapshot.cured, snapshot.evidence),
            (cured, evidence.into_iter().map(str::to_owned).collect()),
            "{:?} {step}",
            incident.phase
        );
    }
}

#[test]
fn only_a_failure_has_to_last() {
    let bound = bound();
    for (files, hold) in [(150, 10_000), (60, 0), (5, 0)] {
        assert_eq!(hold_ms(&bound, &judge(&bound, &open(files))), hold, "{files}");
    }
}
