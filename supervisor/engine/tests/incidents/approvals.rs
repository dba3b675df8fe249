//! What a person decides: the mode, the ceiling, an approval, a denial, a pause. Budgets and conflicts stand in
//! `guards`.
use wbd_engine::round::Step;
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::incident::{Closing, Guard, Phase};
use wbd_model::settings::{Healing, PlaybookPolicy};

use crate::check::{agent_down, check, command, raise, reload, restart, start, unit};
use crate::world::{Answer, World};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

#[test]
fn observe_never_acts_and_tells_once() {
    let mut world = World::failing(agent_down());
    world.settings.healing = Healing::Observe;
    world.run(HOUR_MS);
    assert_eq!(world.story(), "opened refused:mode escalated");
}

#[test]
fn a_playbooks_own_mode_makes_it_stricter_and_not_milder() {
    for (all, own, acts) in [
        (Healing::Auto, Healing::Observe, false),
        (Healing::Observe, Healing::Auto, false),
        (Healing::Auto, Healing::Auto, true),
    ] {
        let mut world = World::failing(agent_down());
        world.settings.healing = all;
        let policy = PlaybookPolicy { healing: Some(own), ceiling: None };
        world.settings.playbooks.insert("agent-down".to_owned(), policy);
        world.run(60_000);
        assert_eq!(world.actions() > 0, acts, "{all:?} {own:?}");
    }
}

#[test]
fn a_mode_that_is_changed_to_auto_lets_a_waiting_incident_go_all_the_way() {
    let check = check("WBD-6007", "wbd", "agent-down").rung(&[start()]).rung(&[restart()]).cured_by(&[restart()]);
    let mut world = World::failing(check);
    world.settings.healing = Healing::Observe;
    world.run(60_000);
    world.settings.healing = Healing::Auto;
    world.run(60_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_person_who_was_told_of_the_mode_is_told_again_when_nothing_helped() {
    let mut check = agent_down().cured_by(&[]);
    check.snapshot.attempts.max = 1;
    let mut world = World::failing(check);
    world.settings.healing = Healing::Observe;
    world.run(60_000);
    world.settings.healing = Healing::Auto;
    world.run(60_000);
    assert_eq!(
        world.story(),
        "opened refused:mode escalated agent.start done unproven refused:attempts escalated closed:handed-over"
    );
}

#[test]
fn approve_waits_for_an_approval_and_acts_on_it() {
    let mut world = World::failing(agent_down());
    world.settings.healing = Healing::Approve;
    world.run(60_000);
    assert_eq!(world.story(), "opened refused:approval escalated");
    world.approve(1);
    world.run(10_000);
    assert_eq!(world.story(), "opened refused:approval escalated approved agent.start done proven closed:healed");
}

#[test]
fn every_action_that_needs_an_approval_waits_for_it_and_the_others_do_not() {
    let cases = [
        (Class::A3, vec![unit("named.service")], false),
        (Class::A2, vec![unit("named.service")], true),
        (Class::A2, vec![restart()], false),
        (Class::A1, vec![reload(), restart()], true),
        (Class::A1, vec![reload()], false),
        (Class::A0, vec![reload()], true),
        (Class::A4, vec![command(Class::A4)], true),
        (Class::A4, vec![command(Class::A3)], false),
    ];
    for (ceiling, steps, waits) in cases {
        let mut world = World::failing(check("AEGIS-DNS", "host", "dns").rung(&steps).cured_by(&steps));
        world.settings.ceiling = ceiling;
        world.run(60_000);
        assert_eq!(world.actions() == 0, waits, "{ceiling} {steps:?}: {}", world.story());
        assert_eq!(world.held_by(1) == Some(Guard::Approval), waits, "{ceiling} {steps:?}");
        if waits {
            world.approve(1);
            world.run(10_000);
            assert_eq!(world.closed_as(1), Some(Closing::Healed), "{ceiling} {steps:?}: {}", world.story());
        }
    }
}

#[test]
fn a_product_that_is_only_observed_is_reported_and_never_acted_for_and_its_twin_is_healed() {
    let steps = [command(Class::A3)];
    for (product, observed) in [("aegis", true), ("iwss-ftp", false), ("host", false)] {
        let target = format!("{product}/a.example:80");
        let mut world = World::failing(check("X-1", &target, "any").rung(&steps).cured_by(&steps));
        let policy = PlaybookPolicy { healing: Some(Healing::Observe), ceiling: None };
        world.settings.products = [("aegis".to_owned(), policy)].into();
        world.run(60_000);
        if observed {
            assert_eq!((world.actions(), world.held_by(1)), (0, Some(Guard::Mode)), "{}", world.story());
            world.approve(1);
            world.run(60_000);
            assert_eq!(world.actions(), 0, "not with an approval either: {}", world.story());
        } else {
            assert_eq!(world.closed_as(1), Some(Closing::Healed), "{product}: {}", world.story());
        }
    }
}

#[test]
fn a_product_may_have_a_lower_ceiling_or_ask_before_each_action() {
    let steps = [command(Class::A3)];
    for policy in [
        PlaybookPolicy { healing: Some(Healing::Approve), ceiling: None },
        PlaybookPolicy { healing: None, ceiling: Some(Class::A2) },
    ] {
        let mut world = World::failing(check("X-1", "aegis", "any").rung(&steps).cured_by(&steps));
        world.settings.products = [("aegis".to_owned(), policy)].into();
        world.run(60_000);
        assert_eq!((world.actions(), world.held_by(1)), (0, Some(Guard::Approval)), "{policy:?}");
        world.approve(1);
        world.run(10_000);
        assert_eq!(world.closed_as(1), Some(Closing::Healed), "{policy:?}: {}", world.story());
    }
}

#[test]
fn a_rung_that_asks_waits_although_healing_is_automatic() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]).cured_by(&[reload()]));
    world.run(60_000);
    assert_eq!((world.actions(), world.held_by(1)), (0, Some(Guard::Approval)));
    world.approve(1);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn an_approval_for_a_higher_rung_counts_for_it() {
    let check = check("AEGIS-DNS", "host", "dns").rung(&[reload()]).asking_rung(&[restart()]).cured_by(&[restart()]);
    let mut world = World::failing(check);
    world.run(60_000);
    assert_eq!((world.actions(), world.held_by(1)), (1, Some(Guard::Approval)), "{}", world.story());
    world.approve(1);
    world.run(60_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn an_approval_is_for_one_try_and_the_next_one_asks_again() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]));
    world.run(60_000);
    world.approve(1);
    world.run(60_000);
    assert_eq!(world.actions(), 1, "{}", world.story());
    assert_eq!(world.held_by(1), Some(Guard::Approval));
    assert!(
        world.story().ends_with("unproven refused:approval escalated"),
        "a person is asked anew: {}",
        world.story()
    );
}

#[test]
fn an_approval_for_all_steps_of_a_rung_is_given_once() {
    let steps = [raise(20_000), reload()];
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").asking_rung(&steps).cured_by(&steps));
    world.run(60_000);
    world.approve(1);
    world.run(10_000);
    assert!(
        world.story().ends_with("approved sysctl.set done agent.reload done proven closed:healed"),
        "{}",
        world.story()
    );
}

#[test]
fn an_approval_given_before_the_playbook_changed_is_none() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]).cured_by(&[reload()]));
    world.run(60_000);
    world.checks[0].edited("digest-2");
    world.approve(1);
    world.run(60_000);
    assert_eq!((world.actions(), world.held_by(1)), (0, Some(Guard::Approval)), "{}", world.story());
}

#[test]
fn an_approval_that_comes_while_an_action_is_verified_starts_nothing() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").rung(&[reload()]));
    world.run(3_000);
    assert_eq!(*world.phase(1), Phase::Verifying);
    world.approve(1);
    assert_eq!(*world.phase(1), Phase::Verifying);
    world.run(3_000);
    assert_eq!(world.actions(), 1, "{}", world.story());
}

#[test]
fn an_approval_that_comes_after_the_end_changes_nothing() {
    let mut world = World::failing(agent_down());
    world.run(30_000);
    world.approve(1);
    world.run(30_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
    assert_eq!(world.actions(), 1);
}

#[test]
fn a_pause_while_a_person_is_asked_does_not_end_the_asking() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]).cured_by(&[reload()]));
    world.run(60_000);
    world.pause(Class::A0, None);
    world.run(60_000);
    assert_eq!(world.closed_as(1), None, "{}", world.story());
    world.lift();
    world.approve(1);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_denial_hands_over_without_an_action() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]).cured_by(&[reload()]));
    world.run(60_000);
    world.deny(1);
    world.run(HOUR_MS);
    assert_eq!(world.story(), "opened refused:approval escalated denied refused:denied closed:handed-over");
    assert_eq!(world.actions(), 0);
}

#[test]
fn an_approval_after_a_denial_counts() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]).cured_by(&[reload()]));
    world.run(60_000);
    world.deny(1);
    world.approve(1);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_question_that_nobody_answers_for_a_day_is_handed_over() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]));
    world.run(60_000);
    world.true_ms += DAY_MS;
    world.run(1_000);
    assert_eq!(world.story(), "opened refused:approval escalated closed:handed-over");
}

#[test]
fn a_reboot_does_not_take_the_question_back() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[reload()]).cured_by(&[reload()]));
    world.run(60_000);
    world.reboots(30_000);
    world.true_ms += 40_000;
    world.run(60_000);
    assert_eq!(world.closed_as(1), None, "{}", world.story());
    world.approve(1);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn a_hold_wins_over_an_action_that_was_already_chosen() {
    let mut world = World::failing(agent_down());
    world.true_ms += 1;
    let _ = world.steps();
    world.true_ms += 2_000;
    let opened = world.steps().remove(0);
    let Step::Write(subject, body) = opened else { panic!("{opened:?}") };
    world.append(subject, *body);
    let want = world.wanted().unwrap();
    assert!(world.permit(want.clone()).is_ok());
    world.pause(Class::A0, None);
    assert_eq!(world.permit(want).unwrap_err().guard, Guard::Hold);
}

#[test]
fn a_lifted_hold_lets_go_without_a_restart() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(HOUR_MS);
    assert_eq!(world.actions(), 0);
    world.lift();
    world.run(10_000);
    assert_eq!(world.story(), "hold opened refused:hold lifted agent.start done proven closed:healed");
}

#[test]
fn a_hold_with_an_end_lets_go_at_its_end() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, Some(60_000));
    world.run(59_000);
    assert_eq!(world.actions(), 0);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn a_hold_from_a_class_leaves_gentler_actions_alone() {
    for (from, actions) in [(Class::A1, 0), (Class::A2, 1), (Class::A3, 1)] {
        let mut world =
            World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[reload()]).cured_by(&[reload()]));
        world.pause(from, None);
        world.run(30_000);
        assert_eq!(world.actions(), actions, "from {from}");
    }
}

#[test]
fn a_hold_stops_a_rung_between_its_steps_and_the_rollback_too() {
    let steps = [raise(20_000), reload()];
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&steps));
    world.answers.push_back(Answer::Slow);
    world.run(2_500);
    world.pause(Class::A0, None);
    world.run(60_000);
    assert_eq!(world.story(), "opened sysctl.set hold done refused:hold");
    world.lift();
    world.run(3_000);
    world.pause(Class::A0, None);
    world.run(60_000);
    assert!(world.story().ends_with("agent.reload done hold unproven refused:hold"), "{}", world.story());
}

#[test]
fn a_hold_survives_a_crash_and_a_reboot() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.dies();
    world.run(10_000);
    world.reboots(10_000);
    world.run(60_000);
    assert_eq!(world.actions(), 0);
}

/// A denied incident that is over: a pause held it, so that there was something to deny.
fn denied() -> World {
    let mut world = World::failing(agent_down());
    world.pause(Class::A1, None);
    world.run(10_000);
    world.deny(1);
    world.lift();
    world.run(10_000);
    assert_eq!((world.closed_as(1), world.actions()), (Some(Closing::HandedOver), 0), "{}", world.story());
    world
}

#[test]
fn a_no_outlives_a_resume_and_a_hand_over_without_one_does_not() {
    let mut world = denied();
    world.pause(Class::A1, None);
    world.run(10_000);
    world.lift();
    world.resume();
    world.dies();
    world.run(20_000);
    assert_eq!((world.actions(), world.state.incidents.len()), (0, 1), "{}", world.story());
    let mut given_up = World::failing(agent_down());
    given_up.answers.extend([Answer::Failed; 3]);
    given_up.run(3_600_000);
    assert_eq!((given_up.closed_as(1), given_up.actions()), (Some(Closing::HandedOver), 0), "{}", given_up.story());
    given_up.true_ms += 3_700_000;
    given_up.resume();
    given_up.run(20_000);
    assert_eq!(given_up.actions(), 1, "{}", given_up.story());
}

#[test]
fn a_no_is_over_when_the_failure_was_seen_gone() {
    let mut world = denied();
    world.shows(0, Verdict::Pass);
    world.run(10_000);
    world.breaks(0);
    world.run(20_000);
    assert_eq!(world.actions(), 1, "another failure is another question: {}", world.story());
}

#[test]
fn a_no_is_over_when_the_playbook_is_run_by_hand() {
    let mut world = denied();
    world.answers.extend([Answer::Failed; 3]);
    world.timers.asked = Some(world.checks[0].snapshot.key.clone());
    world.run(3_600_000);
    assert_eq!((world.closed_as(2), world.actions()), (Some(Closing::HandedOver), 0), "{}", world.story());
    world.true_ms += 3_700_000;
    world.resume();
    world.run(20_000);
    assert_eq!(world.actions(), 1, "what was given up after that was not denied: {}", world.story());
}

#[test]
fn a_pause_for_a_time_lasts_that_long_whatever_the_wall_clock_does() {
    let years_ms = 5 * 365 * 24 * 3_600_000_i64;
    for jump in [0, years_ms, -years_ms] {
        let mut world = World::failing(agent_down());
        world.pause(Class::A1, Some(3_600_000));
        world.run(10_000);
        world.wall_skew_ms = jump;
        world.run(59 * 60_000);
        assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Hold), 0), "{jump}: {}", world.story());
        world.run(60_000);
        assert_eq!(world.actions(), 1, "{jump}: {}", world.story());
    }
}

#[test]
fn after_a_reboot_a_pause_ends_at_its_moment_on_the_wall_clock() {
    for (down_ms, actions) in [(30 * 60_000, 0), (70 * 60_000, 1)] {
        let mut world = World::failing(agent_down());
        world.pause(Class::A1, Some(3_600_000));
        world.run(10_000);
        world.reboots(down_ms);
        world.run(60_000);
        assert_eq!(world.actions(), actions, "{down_ms}: {}", world.story());
        world.run(30 * 60_000);
        assert_eq!(world.actions(), 1, "{down_ms}: {}", world.story());
    }
}
