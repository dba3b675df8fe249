//! Rungs, steps, proofs and what is taken back.
use wbd_engine::guard;
use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_engine::round::next_plan;
use wbd_engine::state::Captured;
use wbd_model::action::{Action, Class, SysctlSet};
use wbd_model::check::Verdict;
use wbd_model::entry::{Body, Intent};
use wbd_model::incident::{Closing, Guard, IncidentId, Phase};
use wbd_model::plan::Approval;

use crate::check::{agent_down, check, command, raise, reload, restart, start, unit};
use crate::world::{Answer, World};

const WATCHES: &str = "fs.inotify.max_user_watches";

fn intents(world: &World) -> Vec<&Intent> {
    world
        .entries
        .iter()
        .filter_map(|entry| if let Body::Intent(intent) = &entry.body { Some(intent.as_ref()) } else { None })
        .collect()
}

fn rungs(world: &World) -> Vec<usize> {
    intents(world).iter().filter(|intent| intent.undoes.is_none()).map(|intent| intent.rung).collect()
}

/// Raise the limit, then make the agent read it: only both together cure.
fn inotify() -> crate::check::Check {
    check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000), reload()]).cured_by(&[raise(20_000), reload()])
}

/// Two rungs, the second one cures.
fn two_rungs() -> crate::check::Check {
    check("WBD-6007", "wbd", "agent-down").rung(&[start()]).rung(&[restart()]).cured_by(&[restart()])
}

#[test]
fn the_steps_of_a_rung_are_done_in_order_and_verified_once() {
    let mut world = World::failing(inotify());
    world.run(10_000);
    assert_eq!(world.story(), "opened sysctl.set done agent.reload done proven closed:healed");
    assert_eq!(world.sysctl[WATCHES], 20_000);
}

#[test]
fn a_step_that_fails_ends_its_rung_and_the_steps_before_are_taken_back() {
    let mut world = World::failing(inotify());
    world.answers.extend([Answer::Done, Answer::Failed]);
    world.run(3_000);
    assert_eq!(world.story(), "opened sysctl.set done agent.reload failed rollback done refused:backoff");
    assert_eq!(world.sysctl[WATCHES], 8_192);
}

#[test]
fn a_rung_whose_first_step_fails_does_not_go_on_to_the_second() {
    let mut world = World::failing(inotify());
    world.answers.push_back(Answer::Failed);
    world.run(3_000);
    assert!(!world.story().contains("agent.reload"), "{}", world.story());
}

#[test]
fn a_rung_whose_case_went_away_half_way_is_judged_as_it_stands() {
    let mut world = World::failing(inotify().cured_by(&[raise(20_000)]));
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
    assert_eq!(world.count("escalated"), 0);
}

#[test]
fn a_step_of_another_rung_is_never_taken_for_the_next_step_of_this_one() {
    let mut check = check("WBD-5404", "wbd", "inotify-limit")
        .rung_for("watches", Approval::Auto, &[raise(20_000), reload()])
        .rung_for("instances", Approval::Auto, &[start(), command(Class::A3)])
        .cured_by(&[start(), command(Class::A3)]);
    check.case = "watches".to_owned();
    let mut world = World::failing(check);
    world.answers.push_back(Answer::Slow);
    world.run(3_000);
    world.checks[0].case = "instances".to_owned();
    world.run(60_000);
    let story = world.story();
    assert!(!story.contains("sysctl.set done command.run"), "{story}");
    assert!(story.contains("agent.start done command.run done proven closed:healed"), "{story}");
    assert_eq!(world.sysctl[WATCHES], 8_192, "what did not cure was taken back");
}

#[test]
fn a_proof_must_hold_for_its_time() {
    let mut world = World::failing(agent_down());
    world.run(3_500);
    assert_eq!(world.story(), "opened agent.start done");
    world.breaks(0);
    world.run(1_000);
    world.shows(0, Verdict::Pass);
    world.run(1_500);
    assert_eq!(*world.phase(1), Phase::Verifying, "{}", world.story());
    world.run(500);
    assert_eq!(*world.phase(1), Phase::Probation, "{}", world.story());
}

#[test]
fn a_proof_that_began_in_time_may_finish() {
    let mut world = World::failing(agent_down().cured_by(&[]));
    world.run(2_000 + 9_500);
    world.shows(0, Verdict::Pass);
    world.run(2_500);
    assert_eq!(*world.phase(1), Phase::Probation, "{}", world.story());
}

#[test]
fn a_proof_that_begins_too_late_is_none() {
    let mut world = World::failing(agent_down().cured_by(&[]));
    world.run(2_000 + 10_000);
    assert!(world.story().starts_with("opened agent.start done unproven"), "{}", world.story());
}

#[test]
fn what_cannot_be_seen_until_the_deadline_is_not_proven_and_says_so() {
    let mut world = World::failing(agent_down().cured_by(&[]));
    world.run(2_500);
    world.shows(0, Verdict::Unknown);
    world.run(10_000);
    assert_eq!(world.story(), "opened agent.start done unproven");
    let Some(Body::Verdict { evidence, .. }) = world.entries.last().map(|entry| &entry.body) else { panic!() };
    assert!(evidence.iter().any(|line| line.starts_with("could not be seen")), "{evidence:?}");
}

#[test]
fn a_rung_that_does_not_cure_is_followed_by_the_next_one() {
    let mut world = World::failing(two_rungs());
    world.run(60_000);
    assert_eq!(world.story(), "opened agent.start done unproven agent.restart done proven closed:healed");
    assert_eq!(rungs(&world), [0, 1]);
}

#[test]
fn the_highest_rung_is_tried_again_and_never_a_lower_one() {
    let mut world = World::failing(two_rungs().cured_by(&[]));
    world.settings.budget.per_hour = 100;
    world.run(600_000);
    assert_eq!(rungs(&world), [0, 1, 1]);
    assert_eq!(world.closed_as(1), Some(Closing::HandedOver));
}

#[test]
fn where_only_lower_rungs_fit_any_more_a_person_is_told() {
    let mut check = check("WBD-6007", "wbd", "agent-down").rung_for("hung", Approval::Auto, &[start()]).rung_for(
        "dead",
        Approval::Auto,
        &[restart()],
    );
    check.case = "dead".to_owned();
    let mut world = World::failing(check);
    world.run(3_000);
    world.checks[0].case = "hung".to_owned();
    world.run(60_000);
    assert_eq!(world.story(), "opened agent.restart done unproven escalated closed:handed-over");
}

#[test]
fn what_waits_and_becomes_something_for_a_person_has_to_last_as_long_as_that_must() {
    let mut check =
        check("WBD-6007", "wbd", "agent-down").rung_for("hung", Approval::Auto, &[restart()]).held_for(10_000);
    check.case = "hung".to_owned();
    for (lasts_ms, ending) in [(8_000, "closed:self-healed"), (20_000, "escalated closed:handed-over")] {
        let mut world = World::failing(check.clone());
        world.pause(Class::A0, None);
        world.run(15_000);
        // Somebody stops what hangs, for instance.
        world.checks[0].case = "stop-hangs".to_owned();
        world.run(lasts_ms);
        world.shows(0, Verdict::Pass);
        world.run(5_000);
        let story = world.story();
        assert!(story.contains(ending) && world.actions() == 0, "after {lasts_ms} ms: {story}");
        assert_eq!(world.count("escalated"), usize::from(ending.starts_with("escalated")), "{story}");
    }
}

/// What an operator would be shown now, with a ladder that could not be resolved.
fn shown(world: &World, unknown: Option<&str>) -> Result<Vec<Action>, String> {
    let ladder_unknown = unknown.map(str::to_owned);
    let snapshot = CheckSnapshot { ladder_unknown, ..world.snapshots().remove(0) };
    next_plan(&snapshot, &world.state.incidents[&IncidentId(1)]).map(|plan| plan.steps)
}

#[test]
fn what_an_operator_is_shown_is_what_comes_next_or_why_nothing_does() {
    let steps = vec![raise(20_000), reload()];
    let mut world = World::failing(inotify().cured_by(&[]));
    world.checks[0].snapshot.attempts.max = 1;
    world.pause(Class::A0, None);
    world.run(3_000);
    assert_eq!(shown(&world, None), Ok(steps.clone()));
    assert_eq!(shown(&world, Some("not seen")), Err("the plan cannot be made: not seen".to_owned()));
    let rungs = std::mem::take(&mut world.checks[0].rungs);
    let person = "I1 has nothing that wbd could do; its guide is for a person";
    assert_eq!(shown(&world, None), Err(person.to_owned()));
    world.checks[0].rungs = rungs;
    world.lift();
    world.answers.push_back(Answer::Slow);
    world.run(500);
    world.pause(Class::A0, None);
    world.run(5_000);
    assert_eq!(world.story_of(1), "opened refused:hold sysctl.set done refused:hold");
    assert_eq!(shown(&world, Some("not seen")), Ok(steps), "a rung that was begun is known");
    world.lift();
    world.run(500);
    world.pause(Class::A0, None);
    world.run(15_000);
    assert!(world.story().ends_with("unproven refused:hold"), "{}", world.story());
    let first = "what was tried before is taken back first; try again when it waits";
    assert_eq!(shown(&world, None), Err(first.to_owned()));
}

#[test]
fn spent_attempts_end_in_one_hand_over_and_not_in_a_loop() {
    let mut world = World::failing(agent_down().cured_by(&[]));
    world.settings.budget.per_hour = 100;
    world.settings.budget.per_day = 100;
    world.run(24 * 3_600_000);
    assert_eq!((world.actions(), world.count("escalated"), world.count("closed:handed-over")), (3, 1, 1));
    assert!(world.story().ends_with("unproven refused:attempts escalated closed:handed-over"), "{}", world.story());
}

#[test]
fn attempts_are_bounded_in_an_incident_even_if_they_are_far_apart() {
    let mut world = World::failing(agent_down().cured_by(&[]));
    world.checks[0].snapshot.attempts.per_ms = 10_000;
    world.checks[0].snapshot.attempts.backoff_from_ms = 60_000;
    world.settings.budget.per_hour = 100;
    world.settings.budget.per_day = 100;
    world.run(6 * 3_600_000);
    assert_eq!((world.actions(), world.count("closed:handed-over")), (3, 1), "{}", world.story());
}

#[test]
fn what_was_handed_over_is_opened_again_once_it_was_seen_gone() {
    let mut world = World::failing(check("AEGIS-NET", "host", "endpoint"));
    world.run(5_000);
    world.shows(0, Verdict::Pass);
    world.run(1_500);
    assert_eq!(world.count("cleared"), 0, "a blink is not gone");
    world.run(1_000);
    assert_eq!(world.count("cleared"), 1);
    world.breaks(0);
    world.run(5_000);
    assert_eq!(world.story(), "opened escalated closed:handed-over cleared opened escalated closed:handed-over");
}

#[test]
fn what_was_handed_over_is_not_gone_because_it_cannot_be_seen() {
    let mut world = World::failing(check("AEGIS-NET", "host", "endpoint"));
    world.run(5_000);
    for sight in [Verdict::Unknown, Verdict::Warn, Verdict::Fail] {
        world.shows(0, sight);
        world.run(60_000);
    }
    assert_eq!(world.story(), "opened escalated closed:handed-over");
}

#[test]
fn what_was_handed_over_is_tried_again_when_an_operator_resumes() {
    let mut world = World::failing(check("AEGIS-NET", "host", "endpoint"));
    world.run(5_000);
    world.resume();
    world.run(60_000);
    assert_eq!((world.count("opened"), world.count("escalated")), (2, 2));
}

#[test]
fn an_action_that_did_not_cure_is_taken_back_before_anything_else() {
    let check =
        check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]).rung(&[restart()]).cured_by(&[restart()]);
    let mut world = World::failing(check);
    world.run(60_000);
    assert_eq!(world.story(), "opened sysctl.set done unproven rollback done agent.restart done proven closed:healed");
    assert_eq!(world.sysctl[WATCHES], 8_192);
}

#[test]
fn an_action_that_cured_is_not_taken_back() {
    let mut world = World::failing(inotify());
    world.run(60_000);
    world.breaks(0);
    world.checks[0].needs.clear();
    world.checks[0].rungs.clear();
    world.run(60_000);
    assert_eq!(world.count("rollback"), 0);
    assert_eq!(world.sysctl[WATCHES], 20_000);
}

#[test]
fn a_rollback_is_not_rolled_back_whatever_becomes_of_it() {
    for answer in [Answer::Failed, Answer::LostUndone, Answer::Late, Answer::DiesBefore, Answer::DiesAfter] {
        let check = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]);
        let mut world = World::failing(check);
        world.checks[0].snapshot.attempts.max = 1;
        world.answers.extend([Answer::Done, answer]);
        world.run(120_000);
        assert_eq!(world.count("rollback"), 1, "{answer:?}: {}", world.story());
        assert_eq!(world.closed_as(1), Some(Closing::HandedOver), "{answer:?}: {}", world.story());
        assert_eq!(intents(&world).len(), 2, "{answer:?}");
    }
}

#[test]
fn what_is_still_to_be_taken_back_keeps_others_off_its_own_thing_only() {
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]));
    world.run(3_000);
    world.pause(Class::A0, None);
    world.run(15_000);
    assert!(world.story().ends_with("unproven refused:hold"), "{}", world.story());
    let by_hand = |action| guard::permit_by_hand(&world.state, &world.now(), "root", action, None, Captured::default());
    assert_eq!(by_hand(raise(30_000)).unwrap_err().guard, Guard::Conflict);
    assert!(by_hand(reload()).is_ok());
}

#[test]
fn actions_are_taken_back_in_the_opposite_order() {
    let check = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000), raise(30_000)]);
    let mut world = World::failing(check);
    world.checks[0].snapshot.attempts.max = 1;
    world.run(60_000);
    let undone: Vec<u64> = intents(&world).iter().filter_map(|intent| intent.undoes).map(|id| id.0).collect();
    assert_eq!(undone, [2, 1], "{}", world.story());
    assert_eq!(world.sysctl[WATCHES], 8_192);
}

#[test]
fn a_recurrence_in_probation_goes_on_with_the_next_rung_of_the_same_incident() {
    let mut world = World::failing(two_rungs().cured_by(&[start()]));
    world.run(4_000);
    assert_eq!(*world.phase(1), Phase::Probation);
    world.breaks(0);
    world.checks[0].needs = vec![restart()];
    world.run(60_000);
    assert_eq!(
        world.story(),
        "opened agent.start done proven unproven refused:backoff agent.restart done proven closed:healed"
    );
}

#[test]
fn an_action_that_was_proven_is_not_taken_back_by_a_recurrence_in_probation() {
    let mut world = World::failing(inotify().rung(&[restart()]));
    world.run(4_500);
    assert_eq!(*world.phase(1), Phase::Probation, "{}", world.story());
    world.breaks(0);
    world.checks[0].needs = vec![restart()];
    world.run(60_000);
    assert_eq!((world.count("rollback"), world.closed_as(1)), (0, Some(Closing::Healed)), "{}", world.story());
    assert_eq!(world.sysctl[WATCHES], 20_000);
}

#[test]
fn a_recurrence_after_probation_is_a_new_incident_from_the_first_rung() {
    let mut world = World::failing(two_rungs().cured_by(&[start()]));
    world.run(30_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
    world.breaks(0);
    world.run(30_000);
    assert_eq!(world.story_of(2), "opened agent.start done proven closed:healed");
}

#[test]
fn a_rung_is_not_jumped_over_because_something_was_taken_back_before() {
    let check = check("WBD-5404", "wbd", "inotify-limit")
        .rung(&[raise(20_000), unit("named.service")])
        .rung(&[reload()])
        .rung(&[restart()])
        .cured_by(&[reload()]);
    let mut world = World::failing(check);
    world.answers.extend([Answer::Done, Answer::LostUndone]);
    world.run(120_000);
    assert_eq!(rungs(&world), [0, 0, 1], "{}", world.story());
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn a_playbook_whose_proofs_keep_failing_is_suspended_visibly_and_for_every_target() {
    let one = |target: &str, unit_name: &str| {
        let mut check = check("WBD-5404", target, "inotify-limit").rung(&[reload()]);
        check.snapshot.attempts.max = 5;
        check.rungs[0].1.steps =
            vec![Action::SysctlSet(SysctlSet { key: unit_name.to_owned(), value: 1, persist: false })];
        check
    };
    let mut world = World::new(vec![one("a", "k.a"), one("b", "k.b"), agent_down()]);
    world.breaks(0);
    world.run(600_000);
    assert_eq!(world.count("suspended"), 0, "five failures are one hand-over");
    world.breaks(1);
    world.run(600_000);
    assert_eq!(world.count("suspended"), 1);
    assert!(world.story_of(2).ends_with("refused:suspended escalated"), "{}", world.story());
    let done = world.actions();
    world.breaks(2);
    world.run(60_000);
    assert_eq!(world.closed_as(3), Some(Closing::Healed), "other playbooks go on");
    world.resume();
    assert!(world.state.suspended.is_empty() && world.state.failures.is_empty());
    assert!(world.actions() > done);
}

#[test]
fn a_proof_in_between_starts_the_count_of_failures_again() {
    let mut world = World::failing(two_rungs());
    world.run(60_000);
    assert_eq!(world.count("unproven"), 1);
    assert!(world.state.failures.is_empty(), "{:?}", world.state.failures);
}
