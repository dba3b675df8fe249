//! Mutants: each seeded bug must break the invariant that forbids it, in a trial whose unbroken twin holds (for a
//! bound widened here: in the long run).
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::check::Views;
use crate::ghost::Law;
use crate::mutant::Mutant;
use crate::scenes::{self, Depth};
use crate::trial::Trial;

fn caught(mut trial: Trial, mutant: Mutant, law: Law) {
    (trial.mutant, trial.seeks) = (Some(mutant), Some(law));
    if mutant == Mutant::MutualCauses {
        trial.views = Views::of(&trial.checks, &[(0, 1), (1, 0)]);
    }
    let property =
        trial.properties().into_iter().map(|property| property.name).find(|name| *name == format!("{law:?}"));
    let (name, began, property) = (trial.name, Instant::now(), property.unwrap());
    let finish = HasDiscoveries::AnyOf([property].into());
    let checker = trial.checker().threads(1).finish_when(finish).spawn_bfs().join();
    let (states, spent) = (checker.unique_state_count(), began.elapsed().as_secs_f32());
    let Some(path) = checker.discovery(property) else {
        panic!("{mutant:?} is not caught by {law:?} in {name} ({states} states)");
    };
    let events = path.into_actions();
    println!(
        "{mutant:?}: {law:?} broken in {} steps ({name}, {states} states, {spent:.1} s): {events:?}",
        events.len()
    );
}

/// Time enough for a second try of a suspended playbook, were its pause not twice as long.
fn two_tries() -> Trial {
    scenes::breaker(Depth::Short).with(|bounds| {
        (bounds.ticks[1].1, bounds.intents, bounds.crashes) = (4, 2, 0);
        (bounds.reboots, bounds.clock_steps) = (0, 0);
    })
}

/// The hour with the one kind of whim that a mutant needs.
fn hour_with(crashes: u8, reboots: u8, clock_steps: u8) -> Trial {
    scenes::hour(Depth::Short).with(|bounds| {
        (bounds.crashes, bounds.reboots, bounds.clock_steps) = (crashes, reboots, clock_steps);
    })
}

/// All of the design's that a model of one host can break (I10 is of the fleet, I14 to I17 are the ledger's and the
/// loader's), the window's and the shares'.
const INVARIANTS: [Law; 14] = [
    Law::I1,
    Law::I2,
    Law::I3,
    Law::I4,
    Law::I5,
    Law::I6,
    Law::I7,
    Law::I8,
    Law::I9,
    Law::I11,
    Law::I12,
    Law::I13,
    Law::Window,
    Law::Share,
];

macro_rules! mutants {
    ($($test:ident: $scene:expr, $mutant:ident $(($part:literal))?, $law:ident;)*) => {
        $(#[test]
        fn $test() {
            caught($scene, Mutant::$mutant $(($part))?, Law::$law);
        })*

        #[test]
        fn every_invariant_has_a_seeded_bug() {
            let seeded = [$(Law::$law),*];
            let missing: Vec<Law> = INVARIANTS.into_iter().filter(|law| !seeded.contains(law)).collect();
            assert!(missing.is_empty(), "no mutant breaks {missing:?}");
        }
    };
}

mutants! {
    a_debit_at_the_outcome_breaks_the_budget: hour_with(1, 0, 0), DebitAtOutcome, I2;
    a_window_on_the_wall_clock_breaks_the_budget: hour_with(0, 0, 1), WallClockWindow, I2;
    a_full_budget_at_each_boot_breaks_the_budget: hour_with(0, 1, 0), NoCarryOver, I2;
    doing_it_again_on_resume_breaks_the_budget: hour_with(1, 0, 0), RedoOnResume, I2;
    doing_it_again_on_resume_is_a_second_effect: hour_with(1, 0, 0), RedoOnResume, I4;
    no_start_deadline_breaks_the_budget: scenes::calm_hour(Depth::Short), NoStartDeadline, I2;
    a_debit_that_lives_no_longer_than_the_window_breaks_the_budget: scenes::calm_hour(Depth::Short), ShortDebit, I2;
    an_empty_state_at_a_start_without_a_ledger_breaks_the_budget: scenes::disk(Depth::Short), EmptyStart, I2;
    an_action_without_an_intent_on_disk_is_found: scenes::disk(Depth::Short), NoIntent, I1;
    no_start_deadline_is_found: scenes::calm_hour(Depth::Short), NoStartDeadline, I3;
    repeating_what_cannot_be_proved_undone_is_found: scenes::climb(Depth::Short), RepeatsUnprovable, I4;
    two_incidents_on_one_thing_are_found: scenes::rivals(Depth::Short), NoConflict, I5;
    a_stale_trigger_is_found: scenes::rivals(Depth::Short), StaleTrigger, I6;
    a_lower_rung_is_found: scenes::climb(Depth::Short), ForgetsRung, I7;
    attempts_without_end_are_found: scenes::climb(Depth::Short), ForgetsAttempts, I7;
    an_action_whose_way_back_is_not_captured_is_found: scenes::climb(Depth::Short), NoCapture, I8;
    a_rollback_that_is_rolled_back_is_found: scenes::climb(Depth::Short), RollsBackRollbacks, I8;
    a_hold_that_a_crash_lifts_is_found: scenes::operator(Depth::Short).with(|bounds| bounds.crashes = 1), VolatileHold, I9;
    checks_that_explain_each_other_are_found: scenes::causes(Depth::Short), MutualCauses, I11;
    a_playbook_that_fails_for_ever_is_found: scenes::ladder(Depth::Short), ForgetsFailures, I12;
    a_second_try_of_a_suspended_playbook_is_found: two_tries(), SecondTrial, I12;
    a_trip_that_a_reboot_forgets_is_found: scenes::breaker(Depth::Short), ForgetsTrip, I12;
    a_pause_that_never_doubles_is_found: two_tries(), SamePause, I12;
    a_pause_on_the_wall_clock_is_found: scenes::breaker(Depth::Short).with(|bounds| bounds.clock_steps = 1), WallClockWindow, I12;
    a_window_that_is_not_asked_just_before_the_action_is_found: scenes::window(Depth::Short), WindowAskedOnce, Window;
    a_window_in_another_zone_is_found: scenes::window(Depth::Short), WindowInUtc, Window;
    a_budget_without_shares_is_found: scenes::shares(Depth::Short), NoShares, Share;
    a_new_file_without_debits_breaks_the_budget: hour_with(0, 0, 0).with(|bounds| bounds.rotations = 1), RotationForgets("debits"), I2;
    a_new_file_without_attempts_is_found: scenes::rotation(Depth::Short), RotationForgets("attempts"), I7;
    a_new_file_without_a_hold_is_found: scenes::rotation(Depth::Short), RotationForgets("hold"), I9;
    a_new_file_without_suspensions_is_found: two_tries().with(|bounds| bounds.rotations = 1), RotationForgets("suspended"), I12;
    a_hold_time_on_the_wall_clock_is_found: scenes::operator(Depth::Short).with(|bounds| bounds.clock_steps = 1), HeldByWall, I13;
}
