//! Budgets, attempts, conflicts: each says no where it must, yes where it may, and lets go when its reason
//! is gone. What people decide stands in `words`.
use wbd_engine::guard;
use wbd_engine::state::Captured;
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::entry::{Body, Entry, Exit, ExitHow, Subject};
use wbd_model::incident::{Closing, Guard, Refusal};
use wbd_model::name::TargetName;

use crate::check::{agent_down, check, raise, reload, restart, start, unit};
use crate::world::{Answer, World};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

fn last_refusal(world: &World) -> &Refusal {
    let refused = |entry: &&Entry| matches!(entry.body, Body::Refused(_));
    let Some(Body::Refused(refusal)) = world.entries.iter().rfind(refused).map(|entry| &entry.body) else {
        panic!("nothing was refused: {}", world.story());
    };
    refusal
}

/// The failure comes again, opens an incident of its own and is healed.
fn heal_once(world: &mut World) {
    world.breaks(0);
    world.run(10_000);
}

/// Enough attempts that only the host's budget counts.
fn patient() -> crate::check::Check {
    let mut check = agent_down();
    check.snapshot.attempts.max = 1_000;
    check
}

#[test]
fn the_fourth_restart_in_an_hour_waits_until_the_first_is_an_hour_and_the_start_deadline_old() {
    let mut world = World::failing(patient());
    for _ in 0..3 {
        heal_once(&mut world);
    }
    assert_eq!(world.actions(), 3);
    let first = world.effects[0].true_ms;
    heal_once(&mut world);
    assert_eq!((world.actions(), world.held_by(4)), (3, Some(Guard::HostBudget)));
    let until = last_refusal(&world).until_ms.unwrap();
    assert_eq!(until, first + HOUR_MS + wbd_engine::state::START_DEADLINE_MS + 1);
    world.true_ms = until - 1;
    world.turn();
    assert_eq!(world.actions(), 3);
    world.true_ms = until;
    world.turn();
    assert_eq!(world.actions(), 4);
}

#[test]
fn the_seventh_restart_in_a_day_waits() {
    let mut world = World::failing(patient());
    for _ in 0..6 {
        heal_once(&mut world);
        world.true_ms += HOUR_MS;
    }
    heal_once(&mut world);
    assert_eq!((world.actions(), world.held_by(7)), (6, Some(Guard::HostBudget)), "{}", world.story());
    world.true_ms = world.effects[0].true_ms + DAY_MS + wbd_engine::state::START_DEADLINE_MS + 1;
    world.turn();
    assert_eq!(world.actions(), 7);
}

#[test]
fn gentle_actions_cost_no_budget_and_need_none() {
    let mut check = check("WBD-5404", "wbd", "inotify-limit").rung(&[reload()]).cured_by(&[reload()]);
    check.snapshot.attempts.max = 1_000;
    let mut world = World::failing(check);
    world.settings.budget.per_hour = 0;
    for _ in 0..10 {
        heal_once(&mut world);
    }
    assert_eq!(world.actions(), 10);
    assert!(world.state.debits.is_empty());
}

#[test]
fn the_budget_is_debited_at_the_intent_whatever_becomes_of_the_action() {
    for answer in [Answer::Done, Answer::Failed, Answer::Late, Answer::LostUndone, Answer::DiesBefore] {
        let mut world = World::failing(agent_down());
        world.answers.push_back(answer);
        world.run(2_500);
        assert_eq!(guard::budget_left(&world.state, &world.settings, &world.now()), (2, 5), "{answer:?}");
    }
}

#[test]
fn what_is_taken_back_by_a_restart_needs_budget_too() {
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]));
    world.run(3_000);
    world.pause(Class::A0, None);
    world.run(10_000);
    world.lift();
    let mut want = world.wanted().unwrap();
    assert!(want.undoes.is_some());
    world.settings.budget.per_hour = 0;
    assert!(world.permit(want.clone()).is_ok(), "a gentle one does not");
    want.action = restart();
    assert_eq!(world.permit(want).unwrap_err().guard, Guard::HostBudget);
}

#[test]
fn actions_that_begin_late_do_not_squeeze_more_of_them_into_an_hour() {
    let mut world = World::failing(patient());
    world.answers.push_back(Answer::Delayed);
    for _ in 0..3 {
        heal_once(&mut world);
    }
    heal_once(&mut world);
    world.run(HOUR_MS + 60_000);
    let at: Vec<u64> = world.effects.iter().map(|effect| effect.true_ms).collect();
    assert_eq!(at.len(), 4, "{}", world.story());
    assert!(at[3] - at[0] > HOUR_MS, "{at:?}");
}

#[test]
fn restarts_of_an_earlier_boot_count_as_made_when_this_one_began() {
    let mut world = World::failing(patient());
    for _ in 0..3 {
        heal_once(&mut world);
    }
    world.true_ms += HOUR_MS;
    world.reboots(DAY_MS);
    assert_eq!(guard::budget_left(&world.state, &world.settings, &world.now()), (0, 3));
    heal_once(&mut world);
    assert_eq!(world.actions(), 3, "{}", world.story());
    world.run(HOUR_MS + wbd_engine::state::START_DEADLINE_MS);
    assert_eq!(world.actions(), 4, "{}", world.story());
}

#[test]
fn a_jump_of_the_wall_clock_buys_nothing() {
    for jump in [-1_000_000_000, 1_000_000_000] {
        let mut world = World::failing(patient());
        for _ in 0..3 {
            heal_once(&mut world);
        }
        world.wall_skew_ms = jump;
        heal_once(&mut world);
        assert_eq!(world.actions(), 3, "{jump}");
    }
}

#[test]
fn an_action_by_hand_costs_nothing_is_recorded_and_ignores_a_spent_budget() {
    let mut world = World::new(vec![]);
    world.settings.budget.per_hour = 0;
    let permit =
        guard::permit_by_hand(&world.state, &world.now(), "root", restart(), None, Captured::default()).unwrap();
    let (subject, intent) = permit.into_parts();
    assert_eq!(intent.by_hand.as_deref(), Some("root"));
    assert_eq!(intent.start_by_ms, world.now().boot_ms + wbd_engine::state::START_DEADLINE_MS);
    world.append(subject, Body::Intent(Box::new(intent)));
    assert!(world.state.debits.is_empty() && world.state.attempts.is_empty());
    assert_eq!(world.state.next_action, 2, "but it has a number of its own");
}

#[test]
fn an_administrators_start_or_restart_takes_back_the_stop_and_nothing_else_does() {
    let world = World::new(vec![]);
    let by_hand = |action| guard::permit_by_hand(&world.state, &world.now(), "root", action, None, Captured::default());
    let takes_back = |permit: guard::Permit| permit.intent().takes_back_stop;
    assert!(takes_back(by_hand(start()).unwrap()));
    assert!(takes_back(by_hand(restart()).unwrap()));
    assert!(!takes_back(by_hand(reload()).unwrap()));
    let first = guard::permit_first_start(&world.state, &world.settings, &world.now());
    assert!(!takes_back(first.unwrap()), "nobody has said it");
}

/// The supervisor begins anew and would start the agent.
fn begins_anew(world: &mut World) -> Result<bool, Guard> {
    let permit = guard::permit_first_start(&world.state, &world.settings, &world.now());
    let (subject, intent) = permit.map_err(|refusal| refusal.guard)?.into_parts();
    let paid = intent.paid;
    world.append(subject, Body::Intent(Box::new(intent)));
    Ok(paid)
}

#[test]
fn a_supervisor_that_begins_again_and_again_starts_the_agent_within_the_budget() {
    let mut world = World::new(vec![]);
    assert_eq!(begins_anew(&mut world), Ok(false), "the first life in a boot is free");
    assert_eq!(guard::budget_left(&world.state, &world.settings, &world.now()), (3, 6));
    for left in [2, 1, 0] {
        assert_eq!(begins_anew(&mut world), Ok(true));
        assert_eq!(guard::budget_left(&world.state, &world.settings, &world.now()).0, left);
    }
    assert_eq!(begins_anew(&mut world), Err(Guard::HostBudget));
    world.true_ms += HOUR_MS + wbd_engine::state::START_DEADLINE_MS + 1;
    assert_eq!(begins_anew(&mut world), Ok(true), "the hour is over");
}

/// A container's clock is the machine's, whose boot may be long ago: "made when this boot began" would be a refill.
#[test]
fn another_name_of_the_same_boot_is_no_new_budget_and_no_free_start() {
    let mut world = World::failing(patient());
    for _ in 0..3 {
        heal_once(&mut world);
    }
    let before = guard::budget_left(&world.state, &world.settings, &world.now());
    for _ in 0..3 {
        world.sees_another_name();
        assert_eq!(guard::budget_left(&world.state, &world.settings, &world.now()), before);
        heal_once(&mut world);
        assert_eq!(world.actions(), 3, "{}", world.story());
        assert_eq!(begins_anew(&mut world), Err(Guard::HostBudget), "the agent has lived in this boot");
    }
}

#[test]
fn a_boot_brings_one_free_start_and_no_new_budget() {
    let mut world = World::new(vec![]);
    for _ in 0..4 {
        assert!(begins_anew(&mut world).is_ok());
    }
    world.reboots(DAY_MS);
    assert_eq!(begins_anew(&mut world), Ok(false));
    assert_eq!(begins_anew(&mut world), Err(Guard::HostBudget));
}

#[test]
fn the_start_after_an_end_that_was_seen_is_paid_for() {
    let mut world = World::new(vec![]);
    let exit = Exit { pid: 7, how: ExitHow::Signal, code: 9, asked: false, by: String::new() };
    let subject = Subject { target: TargetName::new("wbd").ok(), ..Subject::default() };
    world.append(subject, Body::Exit(exit));
    assert_eq!(begins_anew(&mut world), Ok(true), "somebody else may have started it, but it has lived");
}

#[test]
fn nobody_asked_in_person_for_the_start_with_which_a_supervisor_begins_so_that_a_hold_keeps_it_back() {
    let mut world = World::new(vec![]);
    world.pause(Class::A0, None);
    assert_eq!(begins_anew(&mut world), Err(Guard::Hold));
    world.lift();
    assert_eq!(begins_anew(&mut world), Ok(false));
}

#[test]
fn an_action_by_hand_waits_for_one_under_way_on_the_same_thing_only() {
    let mut world = World::failing(agent_down());
    world.answers.push_back(Answer::Slow);
    world.run(2_500);
    let by_hand = |action| guard::permit_by_hand(&world.state, &world.now(), "root", action, None, Captured::default());
    assert_eq!(by_hand(reload()).unwrap_err().guard, Guard::Conflict);
    assert!(by_hand(raise(20_000)).is_ok());
}

#[test]
fn a_rung_between_two_steps_keeps_its_things_and_one_that_waits_for_its_next_attempt_does_not() {
    let by_hand = |world: &World, action| {
        guard::permit_by_hand(&world.state, &world.now(), "root", action, None, Captured::default()).is_ok()
    };
    let mut world =
        World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[unit("a.service"), unit("b.service")]));
    world.answers.push_back(Answer::Slow);
    world.run(2_500);
    world.pause(Class::A0, None);
    world.run(10_000);
    assert_eq!((world.actions(), world.held_by(1)), (1, Some(Guard::Hold)), "{}", world.story());
    assert!(!by_hand(&world, unit("a.service")) && !by_hand(&world, unit("b.service")));
    assert!(by_hand(&world, unit("c.service")));
    let mut down = agent_down().cured_by(&[]);
    down.snapshot.attempts.backoff_from_ms = 600_000;
    let reloads = check("WBD-5404", "wbd", "inotify-limit").rung(&[reload()]).cured_by(&[reload()]);
    let mut world = World::new(vec![down, reloads]);
    world.breaks(0);
    world.run(20_000);
    assert_eq!(world.held_by(1), Some(Guard::Backoff), "{}", world.story());
    world.breaks(1);
    world.run(10_000);
    assert_eq!(world.closed_as(2), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn the_pause_doubles_with_each_attempt_up_to_its_bound() {
    let mut check = check("WBD-5404", "wbd", "inotify-limit").rung(&[reload()]);
    check.snapshot.attempts =
        wbd_model::plan::Attempts { max: 8, per_ms: DAY_MS, backoff_from_ms: 20_000, backoff_to_ms: 100_000 };
    let mut world = World::failing(check);
    world.run(1_200_000);
    let starts: Vec<u64> = world.effects.iter().map(|effect| effect.true_ms).collect();
    let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.len(), 7, "{}", world.story());
    for (gap, pause) in gaps.iter().zip([20_000, 40_000, 80_000, 100_000, 100_000, 100_000, 100_000]) {
        assert!((pause..=pause + pause / 10 + 500).contains(gap), "{gaps:?}");
    }
}

#[test]
fn a_new_incident_does_not_wait_but_the_attempts_of_the_last_one_count() {
    let mut world = World::failing(agent_down());
    world.settings.budget.per_hour = 100;
    for _ in 0..3 {
        heal_once(&mut world);
    }
    assert_eq!(world.count("refused:backoff"), 0);
    heal_once(&mut world);
    assert_eq!(world.story_of(4), "opened refused:attempts escalated closed:handed-over");
}

#[test]
fn the_attempts_are_free_again_after_their_time() {
    let mut world = World::failing(agent_down());
    for _ in 0..3 {
        heal_once(&mut world);
    }
    world.true_ms += HOUR_MS + wbd_engine::state::START_DEADLINE_MS;
    heal_once(&mut world);
    assert_eq!(world.closed_as(4), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn spent_attempts_name_the_moment_from_which_there_is_one_more() {
    let mut world = World::failing(agent_down());
    world.run(10_000);
    world.breaks(0);
    world.pause(Class::A0, None);
    world.run(10_000);
    world.lift();
    let mut want = world.wanted().unwrap();
    want.attempts.max = 1;
    let free = world.effects[0].true_ms + HOUR_MS + wbd_engine::state::START_DEADLINE_MS + 1;
    for at in [world.true_ms, free - 1] {
        world.true_ms = at;
        let refusal = world.permit(want.clone()).unwrap_err();
        assert_eq!((refusal.guard, refusal.until_ms), (Guard::Attempts, Some(free)));
    }
    world.true_ms = free;
    assert!(world.permit(want).is_ok());
}

#[test]
fn a_pause_between_attempts_names_its_end_and_lets_go_then() {
    let mut check = agent_down().cured_by(&[]);
    check.snapshot.attempts.backoff_from_ms = 60_000;
    let mut world = World::failing(check);
    world.run(20_000);
    let refusal = last_refusal(&world).clone();
    let until = refusal.until_ms.unwrap();
    let pause = until - world.effects[0].true_ms;
    assert!((60_000..=66_000).contains(&pause), "{pause}");
    let reason = format!("waits {} s after attempt 1", pause.div_ceil(1_000));
    assert_eq!((refusal.guard, refusal.reason), (Guard::Backoff, reason));
    for (at, actions) in [(until - 1, 1), (until, 2)] {
        world.true_ms = at;
        world.turn();
        assert_eq!(world.actions(), actions, "{}", world.story());
    }
}

#[test]
fn the_attempts_of_another_target_do_not_count() {
    let mut one = agent_down();
    one.snapshot.attempts.max = 1;
    let mut other = check("WBD-6007", "other", "agent-down").rung(&[reload()]).cured_by(&[reload()]);
    other.snapshot.attempts.max = 1;
    let mut world = World::new(vec![one, other]);
    world.breaks(0);
    world.run(10_000);
    world.breaks(1);
    world.run(10_000);
    assert_eq!(world.closed_as(2), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn two_incidents_do_not_act_on_one_thing_at_once() {
    let reloads = check("WBD-5404", "wbd", "inotify-limit").rung(&[reload()]).cured_by(&[reload()]);
    let mut world = World::new(vec![agent_down(), reloads]);
    world.breaks(0);
    world.breaks(1);
    world.run(3_000);
    assert_eq!((world.actions(), world.held_by(2)), (1, Some(Guard::Conflict)), "{}", world.story());
    world.run(10_000);
    assert_eq!([world.closed_as(1), world.closed_as(2)], [Some(Closing::Healed); 2], "{}", world.story());
}

#[test]
fn two_incidents_act_on_different_things_at_once() {
    let raises = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]).cured_by(&[raise(20_000)]);
    let mut world = World::new(vec![agent_down(), raises]);
    world.breaks(0);
    world.breaks(1);
    world.run(2_500);
    assert_eq!(world.actions(), 2);
}

#[test]
fn nobody_touches_what_another_incident_may_have_to_take_back() {
    let mut first = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000), reload()]);
    first.snapshot.attempts.max = 1;
    let second = check("WBD-5405", "wbd", "inotify-other").rung(&[raise(30_000)]).cured_by(&[raise(30_000)]);
    let mut world = World::new(vec![first, second]);
    world.breaks(0);
    world.run(4_000);
    world.breaks(1);
    world.run(5_000);
    assert_eq!(world.held_by(2), Some(Guard::Conflict), "{}", world.story());
    world.run(10_000);
    assert_eq!(world.sysctl["fs.inotify.max_user_watches"], 30_000, "{}", world.story());
    assert_eq!(world.closed_as(2), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_refusal_is_written_when_it_changes_and_not_at_each_asking() {
    let mut world = World::failing(patient());
    for _ in 0..3 {
        heal_once(&mut world);
    }
    world.breaks(0);
    world.run(60_000);
    world.pause(Class::A0, None);
    world.run(60_000);
    world.lift();
    world.run(60_000);
    assert_eq!(world.story_of(4), "opened refused:host-budget refused:hold refused:host-budget");
}

#[test]
fn nothing_is_permitted_without_a_look_just_before() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(3_000);
    world.lift();
    let want = world.wanted().unwrap();
    let blind = guard::permit(&world.state, &world.settings, &world.now(), want.clone(), Captured::default());
    assert_eq!(blind.unwrap_err().guard, Guard::Conflict);
    let permit = world.permit(want.clone()).unwrap();
    assert_eq!((permit.subject(), &permit.intent().action), (&world.about(1), &want.action));
}

#[test]
fn nothing_is_permitted_for_an_incident_that_ended_meanwhile() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(3_000);
    world.lift();
    let want = world.wanted().unwrap();
    world.shows(0, Verdict::Pass);
    world.run(5_000);
    assert_eq!(world.closed_as(1), Some(Closing::SelfHealed));
    assert!(world.permit(want).is_err());
}
