//! An operator's decision: waivers, hold files, and an approval that is good for exactly what was shown.
use wbd_engine::guard::{self, hold};
use wbd_engine::replay::replay;
use wbd_engine::state::Captured;
use wbd_model::action::{Action, Change, Class};
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{Closing, Guard, Phase};
use wbd_model::name::{Code, TargetName};
use wbd_model::plan::Shown;
use wbd_model::settings::Healing;
use wbd_model::time::utc;

use crate::check::{agent_down, check, raise, reload};
use crate::world::{Answer, World};

const CODE: &str = "WBD-6007";
const HOUR_MS: i64 = 3_600_000;
const FILE: &str = "/etc/wbd/hold";

fn waive(world: &mut World, code: &str, target: Option<&str>, until_wall_ms: Option<i64>) {
    let target = target.map(|target| TargetName::new(target).unwrap());
    let subject = Subject { code: Some(Code::new(code).unwrap()), target, ..Subject::default() };
    world.append(subject, Body::Waived { who: "root".to_owned(), why: "a test host".to_owned(), until_wall_ms });
}

fn waive_for(world: &mut World, ms: i64) {
    let until = world.now().wall_ms + ms;
    waive(world, CODE, None, Some(until));
}

fn file_is_there(world: &mut World, text: &str) {
    let held = hold::of_text(FILE, text);
    let body = Body::Hold {
        who: held.who,
        why: held.why,
        until_wall_ms: held.until_wall_ms,
        from_class: held.from_class,
        file: Some(FILE.to_owned()),
        busy: None,
    };
    world.append(Subject::default(), body);
}

fn file_is_gone(world: &mut World) {
    world.append(Subject::default(), Body::Lifted { who: "root".to_owned(), file: Some(FILE.to_owned()) });
}

/// Until its first action; it ends where none comes.
fn run_until_it_acts(world: &mut World) {
    let _ = (0..100).find(|_| {
        world.run(500);
        world.actions() > 0
    });
    assert!(world.actions() > 0, "{}", world.story());
}

#[test]
fn a_waived_failure_opens_nothing_and_its_unwaived_twin_is_healed() {
    for (target, actions) in [(None, 0), (Some("wbd"), 0), (Some("iwss"), 1)] {
        let mut world = World::new(vec![agent_down()]);
        let until = world.now().wall_ms + HOUR_MS;
        waive(&mut world, CODE, target, Some(until));
        world.breaks(0);
        world.run(60_000);
        assert_eq!((world.actions(), world.state.incidents.len()), (actions, actions), "{target:?}: {}", world.story());
    }
}

#[test]
fn a_waiver_that_is_over_lets_the_failure_count_at_once() {
    let mut world = World::new(vec![agent_down()]);
    waive_for(&mut world, 60_000);
    world.breaks(0);
    world.run(59_000);
    assert_eq!(world.actions(), 0, "{}", world.story());
    world.run(2_000);
    assert_eq!(world.actions(), 1, "held long enough while it was waived: {}", world.story());
}

#[test]
fn a_waiver_can_be_ended_early() {
    let mut world = World::new(vec![agent_down()]);
    waive_for(&mut world, HOUR_MS);
    world.breaks(0);
    world.run(20_000);
    waive(&mut world, CODE, None, None);
    world.run(20_000);
    assert_eq!((world.actions(), world.state.waivers.len()), (1, 0), "{}", world.story());
}

#[test]
fn a_later_waiver_replaces_the_one_for_the_same_code_and_target_and_no_other() {
    let mut world = World::new(vec![]);
    for (code, target, until) in [
        (CODE, Some("wbd"), 1),
        (CODE, Some("iwss"), 2),
        (CODE, None, 3),
        ("WBD-5404", Some("wbd"), 4),
        (CODE, Some("wbd"), 5),
    ] {
        waive(&mut world, code, target, Some(until));
    }
    let ends = |world: &World| world.state.waivers.iter().map(|waiver| waiver.until_wall_ms).collect::<Vec<_>>();
    assert_eq!(ends(&world), [2, 3, 4, 5]);
    waive(&mut world, CODE, None, None);
    assert_eq!(ends(&world), [2, 4, 5], "the end of one for every target");
}

#[test]
fn an_open_incident_of_a_waived_failure_is_closed_visibly() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A1, None);
    world.run(20_000);
    assert_eq!(world.held_by(1), Some(Guard::Hold));
    waive_for(&mut world, HOUR_MS);
    world.lift();
    world.run(20_000);
    assert_eq!((world.closed_as(1), world.actions()), (Some(Closing::Waived), 0), "{}", world.story());
}

#[test]
fn an_action_under_way_is_seen_to_its_end_before_its_incident_is_closed_as_waived() {
    let mut world = World::failing(agent_down());
    world.answers.push_back(Answer::Slow);
    run_until_it_acts(&mut world);
    waive_for(&mut world, HOUR_MS);
    world.run(1_000);
    assert!(matches!(world.phase(1), Phase::Acting { .. }), "{}", world.story());
    world.run(10_000);
    assert!(world.story().ends_with("waived done closed:waived"), "{}", world.story());
}

#[test]
fn an_action_that_was_asked_for_just_before_the_waiver_is_not_permitted() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A1, None);
    world.run(20_000);
    world.lift();
    let want = world.wanted().unwrap();
    waive_for(&mut world, HOUR_MS);
    let refusal = world.permit(want).unwrap_err();
    assert!(refusal.guard == Guard::Hold && refusal.reason.contains("a test host"), "{refusal:?}");
}

#[test]
fn a_hold_file_and_a_pause_are_lifted_each_by_itself() {
    let mut world = World::failing(agent_down());
    world.audited = true;
    file_is_there(&mut world, "why: kernel upgrade");
    world.pause(Class::A1, None);
    world.run(20_000);
    world.lift();
    world.run(20_000);
    assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Hold), 0), "the file still holds");
    world.pause(Class::A1, None);
    file_is_gone(&mut world);
    world.run(20_000);
    assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Hold), 0), "the pause still holds");
    world.lift();
    world.run(20_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_hold_file_with_an_end_lets_go_at_its_end_and_its_twin_without_one_does_not() {
    for (end, actions) in [(Some(HOUR_MS), 1), (None, 0)] {
        let mut world = World::failing(agent_down());
        let until = end.map_or_else(String::new, |ms| format!(", until: {:?}", utc(world.now().wall_ms + ms)));
        file_is_there(&mut world, &format!("{{why: kernel upgrade{until}}}"));
        world.run(50 * 60_000);
        assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Hold), 0), "{}", world.story());
        world.run(20 * 60_000);
        assert_eq!(world.actions(), actions, "{}", world.story());
    }
}

#[test]
fn a_hold_file_outlives_crash_and_reboot_and_comes_between_two_steps() {
    let two = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000), reload()]).cured_by(&[reload()]);
    let mut world = World::failing(two);
    world.answers.push_back(Answer::Slow);
    run_until_it_acts(&mut world);
    file_is_there(&mut world, "");
    world.run(20_000);
    assert_eq!(world.actions(), 1, "the second step waits: {}", world.story());
    world.dies();
    world.run(20_000);
    world.reboots(60_000);
    world.run(20_000);
    assert_eq!((world.actions(), world.held_by(1)), (1, Some(Guard::Hold)), "{}", world.story());
    file_is_gone(&mut world);
    world.run(20_000);
    assert!(world.actions() > 1, "{}", world.story());
}

#[test]
fn a_hold_file_that_names_a_class_lets_gentler_actions_pass() {
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[reload()]).cured_by(&[reload()]));
    file_is_there(&mut world, "class: A2");
    world.run(20_000);
    assert_eq!(world.actions(), 1, "{}", world.story());
    let mut world = World::failing(agent_down());
    file_is_there(&mut world, "class: A2");
    world.run(20_000);
    assert_eq!((world.actions(), world.held_by(1)), (0, Some(Guard::Hold)));
}

/// A world in which raising a limit waits for an approval, and what it would change.
fn asking(value: i64) -> (World, Shown) {
    let mut world = World::failing(limits(value));
    world.settings.healing = Healing::Approve;
    world.run(20_000);
    assert_eq!(world.held_by(1), Some(Guard::Approval), "{}", world.story());
    assert_eq!(asks_for(&world), "waits for an operator: wbdctl approve I1");
    let plan = world.snapshots()[0].ladder[0].clone();
    (world, Shown { plan, changes: vec![vec![raised("8192", value)], vec![restarted()]] })
}

fn limits(value: i64) -> crate::check::Check {
    check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(value), reload()]).cured_by(&[reload()])
}

fn raised(before: &str, after: i64) -> Change {
    Change { what: "watches".to_owned(), before: Some(before.to_owned()), after: after.to_string() }
}

fn restarted() -> Change {
    Change { what: "wbd-agent.service".to_owned(), before: None, after: "reloaded".to_owned() }
}

fn approve(world: &mut World, shown: &Shown) {
    let body = Body::Approved { who: "root".to_owned(), shown: Some(Box::new(shown.clone())) };
    world.append(world.about(1), body);
}

fn asks_for(world: &World) -> &str {
    world.state.incidents.values().next().and_then(|incident| incident.held()).map_or("", |held| &held.reason)
}

/// What the guard says when the host would change like this.
fn permitted(world: &mut World, changes: &[Change]) -> Result<Action, wbd_model::incident::Refusal> {
    let want = world.wanted().unwrap();
    let before = world.snapshots()[0].seen.clone();
    let captured = Captured { changes: changes.to_vec(), undo: None, before };
    let permit = guard::permit(&world.state, &world.settings, &world.now(), want, captured)?;
    Ok(permit.intent().action.clone())
}

#[test]
fn an_approval_is_of_what_was_shown_and_of_nothing_else() {
    let (mut world, shown) = asking(20_000);
    approve(&mut world, &shown);
    assert_eq!(permitted(&mut world, &[raised("8192", 20_000)]), Ok(raise(20_000)));
    for other in [vec![raised("9000", 20_000)], vec![], vec![raised("8192", 20_000), restarted()]] {
        let refusal = permitted(&mut world, &other).unwrap_err();
        let asks = refusal.reason.starts_with("what it would change is no longer what was approved: ");
        assert!(refusal.guard == Guard::Approval && asks, "{refusal:?}");
    }
}

#[test]
fn the_value_that_was_shown_is_set_though_another_one_is_measured_now() {
    let (mut world, shown) = asking(20_000);
    approve(&mut world, &shown);
    world.checks[0] = limits(20_001);
    world.breaks(0);
    assert_eq!(permitted(&mut world, &[raised("8192", 20_000)]), Ok(raise(20_000)));
}

#[test]
fn another_plan_of_the_same_playbook_needs_another_approval() {
    let (mut world, shown) = asking(20_000);
    approve(&mut world, &shown);
    world.checks[0] = check("WBD-5404", "wbd", "inotify-limit").rung(&[reload()]).cured_by(&[reload()]);
    world.breaks(0);
    let refusal = permitted(&mut world, &[restarted()]).unwrap_err();
    assert!(refusal.reason.contains("it would now reload the agent instead of set "), "{refusal:?}");
}

#[test]
fn a_changed_playbook_needs_another_yes_and_takes_it() {
    let (mut world, shown) = asking(20_000);
    approve(&mut world, &shown);
    world.checks[0].edited("another");
    world.run(20_000);
    assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Approval), 0), "{}", world.story());
    assert!(world.story().ends_with("approved refused:approval escalated"), "asked anew: {}", world.story());
    let anew = "waits for an operator anew, since what it would change has changed: wbdctl approve I1";
    assert_eq!(asks_for(&world), anew);
    let plan = world.snapshots()[0].ladder[0].clone();
    approve(&mut world, &Shown { plan, ..shown });
    assert_eq!(permitted(&mut world, &[raised("8192", 20_000)]), Ok(raise(20_000)));
}

#[test]
fn what_no_longer_fits_is_refused_once_and_asked_anew_in_the_middle_of_a_rung_too() {
    let (mut world, shown) = asking(20_000);
    world.audited = true;
    approve(&mut world, &shown);
    // The first step is done; then somebody else changes what the second one would.
    let want = world.wanted().unwrap();
    let captured =
        Captured { changes: vec![raised("8192", 20_000)], undo: None, before: world.snapshots()[0].seen.clone() };
    let permit = guard::permit(&world.state, &world.settings, &world.now(), want, captured).unwrap();
    let (subject, intent) = permit.into_parts();
    let action = intent.action_id;
    world.append(subject.clone(), Body::Intent(Box::new(intent)));
    let done = wbd_model::entry::Outcome::Done;
    world.append(subject.clone(), Body::Outcome { action, result: done, detail: String::new(), took_ms: 0 });
    assert_eq!(permitted(&mut world, &[restarted()]), Ok(reload()));
    let other = Change { after: "stopped".to_owned(), ..restarted() };
    let refusal = permitted(&mut world, &[other]).unwrap_err();
    world.append(subject, Body::Refused(refusal));
    world.run(20_000);
    assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Approval), 0), "{}", world.story());
    assert!(world.state.incidents.values().all(|incident| incident.is_mid_rung() && incident.asks));
    approve(&mut world, &shown);
    assert_eq!(permitted(&mut world, &[restarted()]), Ok(reload()));
    assert_eq!(world.state, replay(&world.entries));
}

#[test]
fn what_an_earlier_step_changes_is_no_difference_for_a_later_one() {
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000), raise(30_000)]));
    world.settings.healing = Healing::Approve;
    world.run(20_000);
    let plan = world.snapshots()[0].ladder[0].clone();
    let shown = Shown { plan, changes: vec![vec![raised("8192", 20_000)], vec![raised("8192", 30_000)]] };
    approve(&mut world, &shown);
    let mut want = world.wanted().unwrap();
    (want.step, want.action) = (1, raise(30_000));
    let captured = |before: &str, after| Captured {
        changes: vec![raised(before, after)],
        undo: None,
        before: world.snapshots()[0].seen.clone(),
    };
    let ask = |captured| guard::permit(&world.state, &world.settings, &world.now(), want.clone(), captured);
    assert!(ask(captured("20000", 30_000)).is_ok(), "its own first step raised it");
    assert_eq!(ask(captured("20000", 30_001)).unwrap_err().guard, Guard::Approval);
}
