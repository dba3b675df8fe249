//! The supervisor's part of a trial: it loops as the daemon does and decides nothing of its own. Every decision
//! here is the engine's: `round`, `check`, `permit`, and the fold of the ledger.
use wbd_engine::guard;
use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_engine::round::{Step, round, turn};
use wbd_engine::state::{ActionRequest, Captured, State};
use wbd_model::action::{Action, SysctlRestore, SysctlSet, Undo};
use wbd_model::entry::{Body, Outcome, Subject};
use wbd_model::incident::{Guard, IncidentId, Refusal};
use wbd_model::time::Now;

use crate::book::{entry, without_wall};
use crate::check::{AGENT_DOWN, Check, Sight};
use crate::ghost::{Law, Moment};
use crate::mutant::{Mutant, settings, view};
use crate::trial::Trial;
use crate::world::{ActionRun, World};

/// Looks at everything and does what follows, until nothing more follows.
pub(crate) fn look(trial: &Trial, world: &mut World) {
    let now = world.clock.told(trial.mutant);
    if !world.disk_full {
        world.book.retry(trial.mutant, &now);
        world.ghost.catches_up();
    }
    if trial.mutant == Some(Mutant::StaleTrigger) {
        world.stale.clone_from(&world.sights);
    }
    let rests = turn(|| {
        let steps = steps(trial, world, &now);
        let mut written = false;
        for step in steps {
            match step {
                Step::Write(subject, body) => {
                    write(trial, world, subject, *body);
                    written = true;
                }
                Step::Act(want) => written |= begin(trial, world, *want),
            }
        }
        written
    });
    if !rests {
        world.ghost.law(Law::Settles, false);
    }
}

fn steps(trial: &Trial, world: &mut World, now: &Now) -> Vec<Step> {
    let (snapshots, known) = trial.views.at(&world.sights);
    let seen = view(trial.mutant, &world.book.state, now);
    let settings = settings(trial.mutant, &trial.settings, false);
    // I13: a host whose wall clock nobody touched would do the same, but for which window it is in.
    let untouched = unskewed(now, world.clock.skew_s, trial.mutant);
    let same_window = trial.is_open(now) == trial.is_open(&untouched);
    let blind = (world.clock.skew_s != 0 || world.spent.clock_steps > 0)
        .then(|| round(&rewritten(&seen), &mut world.timers.clone(), snapshots, known, &settings, &untouched));
    let mut told = now.clone();
    if trial.mutant == Some(Mutant::HeldByWall) {
        told.boot_ms = told.boot_ms.saturating_add_signed(i64::from(world.clock.skew_s) * 1_000);
    }
    let steps = round(&seen, &mut world.timers, snapshots, known, &settings, &told);
    let same = |blind: Vec<Step>| without_windows(&blind) == without_windows(&steps);
    world.ghost.law(Law::I13, !same_window || blind.is_none_or(same));
    steps
}

/// Until when a window is closed, and what the wall clock shows then, is the window's own matter.
fn without_windows(steps: &[Step]) -> Vec<Step> {
    let mut steps = steps.to_vec();
    for step in &mut steps {
        if let Step::Write(_, body) = step
            && let Body::Refused(refusal) = body.as_mut()
            && refusal.guard == Guard::Window
        {
            (refusal.reason, refusal.until_ms) = (String::new(), None);
        }
    }
    steps
}

/// As if every record had been written at another wall time.
fn rewritten(state: &State) -> State {
    let mut state = state.clone();
    state.incidents.values_mut().for_each(|incident| without_wall(incident, 4_000_000_000_000));
    state
}

fn unskewed(now: &Now, skew_s: i32, mutant: Option<Mutant>) -> Now {
    let skew_ms = i64::from(skew_s) * 1_000;
    let mut now = Now { wall_ms: now.wall_ms - skew_ms, ..now.clone() };
    if mutant == Some(Mutant::WallClockWindow) {
        now.boot_ms = now.boot_ms.saturating_add_signed(-skew_ms);
    }
    now
}

/// An action that a turn asked for; whether a record was written.
fn begin(trial: &Trial, world: &mut World, want: ActionRequest) -> bool {
    if world.want.is_some() || world.running.iter().any(|run| !run.orphan) {
        return false;
    }
    if !world.book.forbids(&want.action) {
        world.want = Some(Box::new(want));
        return false;
    }
    refuse(trial, world, &want, Refusal { guard: Guard::Ledger, reason: String::new(), until_ms: None })
}

/// Written when the answer changes.
fn refuse(trial: &Trial, world: &mut World, want: &ActionRequest, refusal: Refusal) -> bool {
    let held = world.book.state.incidents.get(&want.incident).and_then(|incident| incident.held());
    let news = held.is_none_or(|held| held.guard != refusal.guard);
    if news {
        write(trial, world, about(want), Body::Refused(refusal));
    }
    news
}

/// Looks once more, asks the guards, writes the intent, hands it over.
pub(crate) fn go(trial: &Trial, world: &mut World) {
    let Some(want) = world.want.take() else { return };
    let check = trial.checks.iter().position(|check| check.snapshot.key == want.key).unwrap();
    let sights = if trial.mutant == Some(Mutant::StaleTrigger) { &world.stale } else { &world.sights };
    let still = |sights: &[Sight]| match sights[check] {
        Sight::Fail => true,
        Sight::Pass => want.step > 0,
        Sight::Unknown | Sight::Gone => false,
    };
    if want.undoes.is_none() && !still(sights) {
        return;
    }
    let fresh = want.undoes.is_some() || still(&world.sights);
    let now = world.clock.told(trial.mutant);
    let captured = captured(trial, world, &want, &trial.checks[check].snapshot);
    let seen = view(trial.mutant, &world.book.state, &now);
    let allowed = guard::check(&world.book.state, &trial.settings, &now, &want).is_ok();
    let told = settings(trial.mutant, &trial.settings, true);
    let permit = match guard::permit(&seen, &told, &now, want.as_ref().clone(), captured) {
        Ok(permit) => permit,
        Err(refusal) => {
            refuse(trial, world, &want, refusal);
            return;
        }
    };
    let (subject, intent) = permit.into_parts();
    let written = entry(&now, subject, Body::Intent(Box::new(intent.clone())));
    let Some(record) = world.book.record(trial.mutant, world.disk_full, &written) else { return };
    let most_attempts = want.attempts.max;
    let moment = Moment {
        incident: want.incident,
        code: &want.key.code,
        intent: &intent,
        record,
        fresh: fresh && allowed,
        most_attempts,
        in_window: trial.is_open(&world.clock.now()),
        now_s: world.clock.true_s,
    };
    world.ghost.intends(&moment);
    world.timers.in_flight = Some(intent.action_id);
    let (incident, intended_s) = (want.incident, world.clock.true_s);
    world.running.push(ActionRun { incident, intent, intended_s, begun: false, orphan: false });
    world.spent.intents += 1;
    note(trial, world, Some(incident));
}

fn captured(trial: &Trial, world: &World, want: &ActionRequest, snapshot: &CheckSnapshot) -> Captured {
    let undo = match &want.action {
        Action::SysctlSet(SysctlSet { key, .. }) | Action::SysctlRestore(SysctlRestore { key, .. }) => Some(Undo {
            action: Action::SysctlRestore(SysctlRestore { key: key.clone(), value: world.limit, dropin: None }),
        }),
        _ => None,
    };
    let undo = undo.filter(|_| trial.mutant != Some(Mutant::NoCapture));
    Captured { changes: Vec::new(), undo, before: snapshot.seen.clone() }
}

/// The reply for an action of this supervisor.
pub(crate) fn ended(trial: &Trial, world: &mut World, run: &ActionRun, result: Outcome) {
    world.timers.in_flight = None;
    let incident = &world.book.state.incidents.get(&run.incident);
    let subject = incident.map(|incident| Subject {
        incident: Some(incident.id),
        code: Some(incident.key.code.clone()),
        target: Some(incident.key.target.clone()),
        playbook: Some(incident.playbook.clone()),
    });
    let body = Body::Outcome { action: run.intent.action_id, result, detail: String::new(), took_ms: 0 };
    write(trial, world, subject.unwrap_or_default(), body);
}

/// A record about a check's open incident, if it has one.
pub(crate) fn write_about(trial: &Trial, world: &mut World, check: &Check, body: Body) {
    if let Some(subject) = world.subject(check) {
        write(trial, world, subject, body);
    }
}

pub(crate) fn write(trial: &Trial, world: &mut World, subject: Subject, body: Body) {
    let entry = entry(&world.clock.told(trial.mutant), subject, body);
    world.book.append(trial.mutant, world.disk_full, &entry);
    world.ghost.reads(&entry, &world.book.state, !world.book.degraded(), world.clock.true_s);
    if let Body::Refused(refusal) = &entry.body
        && entry.subject.code.as_ref().is_some_and(|code| code.as_str() == AGENT_DOWN)
    {
        world.ghost.refuses_agent(refusal.guard, &trial.windows(), world.clock.true_s);
    }
    trial.reached.note_record(&entry.body, &world.book.state);
    note(trial, world, entry.subject.incident);
}

fn note(trial: &Trial, world: &World, incident: Option<IncidentId>) {
    let incident = incident.and_then(|id| world.book.state.incidents.get(&id));
    incident.into_iter().for_each(|incident| trial.reached.note(incident));
}

fn about(want: &ActionRequest) -> Subject {
    Subject {
        incident: Some(want.incident),
        code: Some(want.key.code.clone()),
        target: Some(want.key.target.clone()),
        playbook: Some(want.playbook.clone()),
    }
}
