//! Maintenance windows: what disturbs waits for one, unless a person says otherwise; everything else goes on.
use wbd_engine::round::next_plan;
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::entry::Body;
use wbd_model::incident::{Closing, Guard, IncidentId};
use wbd_model::maintenance::{Day, Maintenance, MaintenanceWindow, TimeOfDay};
use wbd_model::plan::{Shown, Waits};

use crate::check::{Check, agent_down, check, command, raise, unit};
use crate::world::{Answer, World};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Windows in Berlin, where a world begins on Tuesday, 14 November, at 23:30.
fn windows(days: &[Day], from: &str, to: &str) -> Option<Maintenance> {
    let time = |text: &str| TimeOfDay::try_from(text.to_owned()).unwrap();
    let window = MaintenanceWindow { days: days.to_vec(), from: time(from), to: time(to) };
    Some(Maintenance { zone: "Europe/Berlin".to_owned(), from_class: Class::A3, windows: vec![window] })
}

fn dns() -> Check {
    check("AEGIS-DNS", "host", "dns").rung(&[unit("named.service")]).cured_by(&[unit("named.service")])
}

/// A long time in one step.
fn pass(world: &mut World, ms: u64) {
    world.true_ms += ms;
    world.turn();
}

fn broken(check: Check, maintenance: Option<Maintenance>) -> World {
    let mut world = World::failing(check);
    world.settings.maintenance = maintenance;
    world
}

#[test]
fn a_restart_of_another_service_waits_until_the_window_opens() {
    let mut world = broken(dns(), windows(&[], "01:00", "05:00"));
    world.run(10_000);
    let Some(Body::Refused(refusal)) = world.entries.last().map(|entry| &entry.body) else {
        panic!("{}", world.story())
    };
    assert_eq!((refusal.guard, refusal.until_ms), (Guard::Window, Some(1_000_000 + 90 * MINUTE_MS)));
    assert!(
        refusal.reason.contains("Wed 2023-11-15 01:00 +01:00 to Wed 2023-11-15 05:00 +01:00"),
        "{}",
        refusal.reason
    );
    pass(&mut world, 90 * MINUTE_MS - 11_000);
    assert_eq!((world.actions(), world.count("escalated")), (0, 0), "{}", world.story());
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

/// A service that leaks, with the window of its own product so many minutes away.
fn leaks(opens_in_min: u64, runs_out_in_min: Option<u64>) -> World {
    let mut leak =
        check("IWSS-FTPLEAK", "iwss-ftp", "fd-leak").rung(&[command(Class::A3)]).cured_by(&[command(Class::A3)]);
    leak.snapshot.windows = [(0, Waits { opens_in_min, runs_out_in_min })].into();
    World::failing(leak)
}

#[test]
fn a_rung_waits_for_its_products_window_unless_the_limit_is_reached_before_that() {
    let cases = [
        (480, Some(480), true),
        (480, Some(479), false),
        (480, Some(2_000), true),
        (480, Some(0), false),
        (1, Some(1), true),
        (1, Some(0), false),
        // Nobody can tell when it runs out.
        (480, None, true),
        (0, None, false),
        (0, Some(2_000), false),
    ];
    for (opens, runs_out, waits) in cases {
        let mut world = leaks(opens, runs_out);
        world.run(5_000);
        let held = world.held_by(1).filter(|_| world.actions() == 0);
        assert_eq!(held, waits.then_some(Guard::Window), "{opens} {runs_out:?}: {}", world.story());
        assert_eq!(world.actions(), usize::from(!waits), "{opens} {runs_out:?}: {}", world.story());
    }
}

#[test]
fn the_hold_says_when_the_products_window_opens_and_why_that_is_early_enough() {
    let mut world = leaks(90, Some(150));
    world.run(5_000);
    let Some(Body::Refused(refusal)) = world.entries.last().map(|entry| &entry.body) else {
        panic!("{}", world.story())
    };
    // The world's clock stands at 22:30 when it begins; the failure is held for two seconds.
    assert_eq!(refusal.until_ms, Some(1_002_000 + 90 * MINUTE_MS));
    assert_eq!(
        refusal.reason,
        "waits for the product's own window, which opens at 2023-11-15T00:00:02Z; the limit is reached at \
         2023-11-15T01:00:02Z at the earliest, which is not before that; now by wbdctl approve I1"
    );
    // It opens.
    world.checks[0].snapshot.windows = [(0, Waits { opens_in_min: 0, runs_out_in_min: Some(60) })].into();
    pass(&mut world, 90 * MINUTE_MS);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn an_operators_approval_does_not_wait_for_the_products_window() {
    let mut world = leaks(480, None);
    world.run(5_000);
    world.approve(1);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn inside_the_window_and_below_its_class_nothing_waits() {
    let mut inside = broken(dns(), windows(&[], "23:00", "05:00"));
    inside.run(10_000);
    assert_eq!(inside.closed_as(1), Some(Closing::Healed), "{}", inside.story());
    let mut gentler = broken(agent_down(), windows(&[], "01:00", "05:00"));
    gentler.run(10_000);
    assert_eq!(gentler.closed_as(1), Some(Closing::Healed), "{}", gentler.story());
}

#[test]
fn an_operators_approval_of_the_rung_is_done_at_once() {
    let mut world = broken(dns(), windows(&[], "01:00", "05:00"));
    world.run(10_000);
    world.approve(1);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn where_the_window_is_days_away_a_person_is_told_at_once_and_it_is_done_then_all_the_same() {
    let mut world = broken(dns(), windows(&[Day::Sun], "01:00", "05:00"));
    world.audited = false;
    world.run(10_000);
    assert_eq!(world.story(), "opened refused:window escalated");
    for _ in 0..(4 * 24) {
        pass(&mut world, HOUR_MS);
    }
    assert_eq!((world.actions(), world.state.open.len()), (0, 1), "{}", world.story());
    pass(&mut world, 2 * HOUR_MS);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_window_a_day_away_is_waited_for_and_of_one_later_than_that_a_person_is_told() {
    // Opened after two seconds, on Tuesday at 23:30 by the clock on the wall, or a moment before.
    for (early_ms, told) in [(2_000, 0), (2_001, 1)] {
        let mut world = broken(dns(), windows(&[Day::Wed], "23:30", "23:50"));
        world.wall_skew_ms = -early_ms;
        world.run(10_000);
        assert_eq!((world.count("escalated"), world.held_by(1)), (told, Some(Guard::Window)), "{}", world.story());
    }
}

#[test]
fn a_jump_of_the_wall_clock_changes_membership_and_nothing_else() {
    let years_ms = 5 * 365 * 24 * 3_600_000_i64;
    for (jump, actions) in [(years_ms, 0), (-years_ms, 0), (years_ms + 7_200_000, 1), (7_200_000, 1)] {
        let mut world = broken(dns(), windows(&[], "01:00", "05:00"));
        world.run(10_000);
        world.wall_skew_ms = jump;
        world.run(10_000);
        assert_eq!(world.actions(), actions, "{jump}: {}", world.story());
    }
}

#[test]
fn a_rung_with_a_step_that_must_wait_is_not_begun() {
    let both = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000), unit("named.service")]);
    let mut world = broken(both, windows(&[], "01:00", "05:00"));
    world.run(10_000);
    assert_eq!((world.actions(), world.held_by(1)), (0, Some(Guard::Window)), "{}", world.story());
}

#[test]
fn a_rung_that_began_inside_is_finished_but_not_after_a_long_stop() {
    for (stop_ms, actions) in [(3 * MINUTE_MS, 2), (30 * MINUTE_MS, 1)] {
        let both = check("AEGIS-DNS", "host", "dns").rung(&[unit("a.service"), unit("named.service")]);
        let mut world = broken(both, windows(&[], "23:00", "23:31"));
        world.answers.push_back(Answer::Slow);
        world.run(3_000);
        world.pause(Class::A0, None);
        world.run(MINUTE_MS);
        assert_eq!((world.actions(), world.held_by(1)), (1, Some(Guard::Hold)), "{}", world.story());
        pass(&mut world, stop_ms);
        world.lift();
        world.run(3_000);
        assert_eq!(world.actions(), actions, "{}", world.story());
    }
}

#[test]
fn what_has_to_be_taken_back_does_not_wait() {
    let mut raises = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]);
    raises.snapshot.attempts.max = 1;
    let mut world = broken(raises, windows(&[], "23:00", "05:00"));
    world.run(3_000);
    let mut shut = windows(&[], "01:00", "05:00").unwrap();
    shut.from_class = Class::A0;
    world.settings.maintenance = Some(shut);
    world.run(20_000);
    assert_eq!((world.count("rollback"), world.sysctl["fs.inotify.max_user_watches"]), (1, 8_192), "{}", world.story());
}

#[test]
fn who_waits_for_a_window_that_the_clock_keeps_away_is_handed_over_in_the_end() {
    let mut world = broken(dns(), windows(&[], "01:00", "05:00"));
    world.audited = false;
    for _ in 0..(9 * 24) {
        // Somebody sets the clock back to the evening, every hour.
        world.wall_skew_ms = 1_000_000 - i64::try_from(world.true_ms).unwrap();
        pass(&mut world, HOUR_MS);
    }
    assert_eq!(world.closed_as(1), Some(Closing::HandedOver), "{}", world.story());
    assert_eq!((world.actions(), world.count("escalated")), (0, 1), "{}", world.story());
}

#[test]
fn a_failure_that_goes_away_while_it_waits_is_over() {
    let mut world = broken(dns(), windows(&[], "01:00", "05:00"));
    world.run(10_000);
    world.shows(0, Verdict::Pass);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::SelfHealed), "{}", world.story());
}

/// An approval of what would be done now.
fn approve_what_is_shown(world: &mut World) {
    let plan = next_plan(&world.snapshots()[0], &world.state.incidents[&IncidentId(1)]).unwrap();
    let changes = vec![Vec::new(); plan.steps.len()];
    let body = Body::Approved { who: "root".to_owned(), shown: Some(Box::new(Shown { plan, changes })) };
    world.append(world.about(1), body);
}

#[test]
fn an_approval_of_a_playbook_that_was_changed_since_the_opening_is_done_at_once_too() {
    let mut world = broken(dns(), windows(&[], "01:00", "05:00"));
    world.run(10_000);
    world.checks[0].edited("another");
    world.run(10_000);
    assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Window), 0), "{}", world.story());
    approve_what_is_shown(&mut world);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn an_approval_of_a_playbook_that_is_changed_after_it_opens_no_window() {
    let mut world = broken(dns(), windows(&[], "01:00", "05:00"));
    world.run(10_000);
    world.pause(Class::A0, None);
    world.run(10_000);
    approve_what_is_shown(&mut world);
    world.checks[0].edited("another");
    world.lift();
    world.run(10_000);
    assert_eq!((world.held_by(1), world.actions()), (Some(Guard::Window), 0), "{}", world.story());
}

#[test]
fn an_approval_of_a_changed_playbook_is_good_for_all_steps_of_the_rung() {
    let both = check("AEGIS-DNS", "host", "dns")
        .rung(&[unit("a.service"), unit("named.service")])
        .cured_by(&[unit("named.service")]);
    let mut world = broken(both, windows(&[], "01:00", "05:00"));
    world.run(10_000);
    world.checks[0].edited("another");
    approve_what_is_shown(&mut world);
    world.run(10_000);
    assert_eq!((world.closed_as(1), world.actions()), (Some(Closing::Healed), 2), "{}", world.story());
}
