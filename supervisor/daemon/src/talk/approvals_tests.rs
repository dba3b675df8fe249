//! What a fix would do, and what a word is good for.
use wbd_engine::judge;
use wbd_model::action::Undo;
use wbd_model::entry::Subject;
use wbd_model::incident::ActionId;
use wbd_model::observation::{Observation, Observations};
use wbd_probes::clock::now;

use super::*;
use crate::look::checks::{self, Looked};
use crate::supervisor::Supervisor;
use crate::talk::requests::about;
use crate::testing;
use wbd_model::control::Mode;

/// A unit that failed, nobody asked for that, as the only check; its key.
fn dead_unit(supervisor: &mut Supervisor) -> CheckKey {
    supervisor.check_runner.checks.replace(checks::tests::bound(&[checks::tests::DOWN]), 0);
    let check = &mut supervisor.check_runner.checks.all[0];
    let mut seen = Observations::new();
    for (name, probe) in &check.bound.probes {
        seen.insert(name.clone(), Observation::unseen(probe.name().fields(), "a test"));
    }
    seen.get_mut("proc").unwrap().know("alive", false);
    let unit = seen.get_mut("svc").unwrap();
    unit.know("manager", "systemd").know("active", "failed").know("stop_noted", false);
    unit.know("masked", false).know("start_limit_hit", false);
    let judgement = judge::judge(&check.bound, &seen);
    assert_eq!(judgement.case.as_deref(), Some("dead-unit"), "{judgement:?}");
    check.last = Some(Looked { seen, judgement, began_ms: 0, took_ms: 0 });
    check.bound.key.clone()
}

#[test]
fn what_a_fix_would_do_is_what_its_incident_goes_on_with() {
    let (_root, mut supervisor) = testing::supervisor(Mode::Systemd);
    let key = dead_unit(&mut supervisor);
    let steps = |supervisor: &Supervisor| {
        about(&supervisor.view(), &now()).fix_plan(&key).map(|(plan, begun)| (plan.steps, begun))
    };
    assert_eq!(steps(&supervisor), Ok((vec![Action::AgentStart {}], 0)), "nothing was tried");
    let id = IncidentId(1);
    let (code, target) = (Some(key.code.clone()), Some(key.target.clone()));
    let about = Subject { incident: Some(id), code, target, playbook: PlaybookName::new("agent-down").ok() };
    let (digest, case) = (supervisor.check_runner.checks.all[0].bound.digest.clone(), "dead-unit".to_owned());
    let opened = Body::Opened { digest, case, evidence: Vec::new(), before: Observations::new() };
    supervisor.writer.write(&now(), about, opened);
    assert_eq!(steps(&supervisor), Ok((vec![Action::AgentStart {}], 0)), "it waits for its first try");
    // The start failed; the incident waits for its next try.
    let incident = supervisor.writer.state.incidents.get_mut(&id).unwrap();
    (incident.attempts, incident.rung) = (1, 0);
    assert_eq!(steps(&supervisor), Ok((vec![Action::AgentRestart {}], 0)));
    let undo = Undo { action: Action::AgentStart {} };
    supervisor.writer.state.incidents.get_mut(&id).unwrap().rollback.push((ActionId(1), undo));
    assert!(steps(&supervisor).unwrap_err().contains("taken back first"));
}
