//! Shares of the host's budget: what others use never keeps wbd's own agent from its share, and one product never has
//! more than its own. Whatever flaps, in whatever order.
use proptest::prelude::*;
use wbd_engine::guard;
use wbd_engine::state::{Debit, Payer, START_DEADLINE_MS};
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::entry::{Body, Entry, Intent};
use wbd_model::incident::{Guard, Refusal};
use wbd_model::settings::{BudgetShare, BudgetWindow, HostBudget};

use crate::check::{Check, agent_down, check, restart, unit};
use crate::world::World;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Position of the agent's check; those of others follow.
const AGENT: usize = 0;
const RESOLVER: usize = 1;

/// It fails and is healed as often as it likes: only the host's budget bounds it.
fn flapping(mut check: Check) -> Check {
    check.snapshot.attempts.max = 1_000;
    check
}

fn product(code: &str, target: &str, service: &str) -> Check {
    flapping(check(code, target, "dns").rung(&[unit(service)]).cured_by(&[unit(service)]))
}

/// The agent, the host's resolver and two products.
fn host() -> World {
    let mut world = World::new(vec![
        flapping(agent_down()),
        product("NET-DNS", "host", "named.service"),
        product("IWSS-FTPLEAK", "iwss-ftp", "ftp.service"),
        product("IWSS-HTTPLEAK", "iwss-http", "http.service"),
    ]);
    world.audited = false;
    world
}

/// It fails, and there is time to heal it.
fn breaks(world: &mut World, check: usize) {
    world.breaks(check);
    world.run(8_000);
}

fn is_well(world: &World, check: usize) -> bool {
    world.checks[check].sight == Verdict::Pass
}

fn refusals(world: &World) -> Vec<(usize, &Refusal)> {
    let about =
        |entry: &Entry| world.checks.iter().position(|it| Some(&it.snapshot.key.code) == entry.subject.code.as_ref());
    let refused = |entry: &'_ Entry| if let Body::Refused(_) = &entry.body { about(entry) } else { None };
    let found = world.entries.iter().filter_map(|entry| Some((refused(entry)?, entry)));
    found
        .filter_map(|(check, entry)| if let Body::Refused(it) = &entry.body { Some((check, it)) } else { None })
        .collect()
}

/// Moments of the disruptive intents of one check.
fn spent(world: &World, check: usize) -> Vec<u64> {
    let code = &world.checks[check].snapshot.key.code;
    let about = |entry: &&Entry| entry.subject.code.as_ref() == Some(code);
    let intents = world.entries.iter().filter(about).filter_map(|entry| {
        let Body::Intent(intent) = &entry.body else { return None };
        Some((intent.as_ref(), entry.at.boot_ms))
    });
    intents.filter(|(intent, _): &(&Intent, u64)| intent.class >= Class::A2).map(|(_, at_ms)| at_ms).collect()
}

fn within(moments: &[u64], window_ms: u64, now_ms: u64) -> usize {
    moments.iter().filter(|at_ms| now_ms - **at_ms <= window_ms + START_DEADLINE_MS).count()
}

#[test]
fn a_resolver_that_flaps_spends_its_own_share_and_the_agent_is_healed() {
    let mut world = host();
    for _ in 0..5 {
        breaks(&mut world, RESOLVER);
        world.shows(RESOLVER, Verdict::Pass);
        world.run(8_000);
    }
    assert_eq!(spent(&world, RESOLVER).len(), 1, "{}", world.story());
    let reasons: Vec<&str> = refusals(&world).iter().map(|(_, refusal)| refusal.reason.as_str()).collect();
    assert_eq!(reasons[0], "1 of 1 restarts in this hour are spent for host");
    for _ in 0..2 {
        breaks(&mut world, AGENT);
        assert!(is_well(&world, AGENT), "{}", world.story());
    }
    // Twin: the budget of the host is a bound for the agent too, and it has used its share.
    breaks(&mut world, AGENT);
    assert!(!is_well(&world, AGENT), "{}", world.story());
}

#[test]
fn all_others_together_leave_the_agent_its_share() {
    let mut world = host();
    for other in 1..4 {
        breaks(&mut world, other);
    }
    assert!(is_well(&world, 1) && is_well(&world, 2) && !is_well(&world, 3), "{}", world.story());
    let (_, last) = refusals(&world).pop().unwrap();
    assert_eq!(last.reason, "2 of 2 restarts in this hour are spent on this host; 1 more are kept for wbd's own agent");
    let (now, settings) = (world.now(), world.settings.clone());
    assert_eq!(guard::budget_left(&world.state, &settings, &now), (1, 4));
    assert_eq!(guard::budget_left_to_others(&world.state, &settings, &now), (0, 2));
    breaks(&mut world, AGENT);
    assert!(is_well(&world, AGENT), "{}", world.story());
}

#[test]
fn a_product_has_its_share_again_when_its_hour_and_the_start_deadline_are_over() {
    let mut world = host();
    breaks(&mut world, RESOLVER);
    let first = spent(&world, RESOLVER)[0];
    breaks(&mut world, RESOLVER);
    let (_, refusal) = refusals(&world).pop().unwrap();
    let until = refusal.until_ms.unwrap();
    assert_eq!((refusal.guard, until), (Guard::HostBudget, first + HOUR_MS + START_DEADLINE_MS + 1));
    world.true_ms = until - 1;
    world.turn();
    assert!(!is_well(&world, RESOLVER));
    world.true_ms = until;
    world.run(8_000);
    assert!(is_well(&world, RESOLVER), "{}", world.story());
}

/// After a boot all debits count as made when it began: more of others than they may have in one hour.
#[test]
fn what_others_did_over_many_hours_before_a_boot_keeps_the_agent_from_nothing() {
    let mut world = host();
    for _ in 0..2 {
        breaks(&mut world, 1);
        breaks(&mut world, 2);
        world.true_ms += 2 * HOUR_MS;
    }
    world.reboots(60_000);
    assert_eq!(guard::budget_left(&world.state, &world.settings, &world.now()), (1, 2));
    breaks(&mut world, AGENT);
    assert!(is_well(&world, AGENT), "{}", world.story());
    // Twin: others wait, and the agent has no more than the whole.
    breaks(&mut world, 3);
    breaks(&mut world, AGENT);
    assert!(!is_well(&world, 3) && !is_well(&world, AGENT), "{}", world.story());
}

#[test]
fn a_rung_that_was_begun_is_ended_whatever_its_products_share() {
    let steps = [unit("a.service"), unit("b.service")];
    let mut world = World::failing(flapping(check("X-1", "x", "dns").rung(&steps).cured_by(&steps)));
    world.run(8_000);
    assert_eq!((spent(&world, 0).len(), is_well(&world, 0)), (2, true), "{}", world.story());
    // Twin: another rung is not begun.
    breaks(&mut world, 0);
    assert_eq!((spent(&world, 0).len(), world.held_by(2)), (2, Some(Guard::HostBudget)), "{}", world.story());
}

#[test]
fn a_restart_of_the_agent_is_of_its_share_whatever_playbook_wants_it() {
    let site = flapping(check("X-1", "x", "version-match").rung(&[restart()]).cured_by(&[restart()]));
    let mut world = World::failing(site);
    world.run(8_000);
    breaks(&mut world, 0);
    assert_eq!(spent(&world, 0).len(), 2, "{}", world.story());
}

#[test]
fn what_an_older_version_did_counts_as_somebody_elses() {
    let mut world = host();
    let at_ms = world.now().boot_ms;
    world.state.debits = vec![Debit { at_ms, payer: Payer::Unknown }; 2];
    world.breaks(RESOLVER);
    let mut agent = world.clone();
    world.run(4_000);
    assert_eq!(world.held_by(1), Some(Guard::HostBudget), "{}", world.story());
    agent.shows(RESOLVER, Verdict::Pass);
    breaks(&mut agent, AGENT);
    assert!(is_well(&agent, AGENT), "{}", agent.story());
    let text = r#"{"at_ms": 7}"#;
    assert_eq!(serde_json::from_str::<Debit>(text).unwrap().payer, Payer::Unknown);
}

#[test]
fn a_site_that_allows_one_restart_an_hour_is_left_with_it_for_whoever_comes_first() {
    for first in [AGENT, RESOLVER] {
        let mut world = host();
        world.settings.budget = HostBudget::of(1, 6);
        breaks(&mut world, first);
        assert!(is_well(&world, first));
        breaks(&mut world, 2);
        assert!(!is_well(&world, 2), "{}", world.story());
    }
}

fn budgets() -> impl Strategy<Value = HostBudget> {
    let share = || proptest::option::of(0_u32..4).prop_map(|per_hour| BudgetShare { per_hour, per_day: None });
    let own = (1_u32..6, 1_u32..12, share(), share()).prop_map(|(per_hour, per_day, agent_reserve, product_limit)| {
        HostBudget { agent_reserve, product_limit, ..HostBudget::of(per_hour, per_day) }
    });
    prop_oneof![2 => Just(HostBudget::default()), 1 => own]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Checks that fail in random order, minutes or hours apart.
    #[test]
    fn nothing_that_others_do_keeps_the_agent_from_its_share(
        budget in budgets(),
        events in proptest::collection::vec((0_usize..4, 0_u64..40 * 60_000), 1..60),
    ) {
        let mut world = host();
        world.settings.budget = budget;
        let windows = [(HOUR_MS, budget.hour()), (DAY_MS, budget.day())];
        for (check, pause_ms) in events {
            breaks(&mut world, check);
            let now_ms = world.now().boot_ms;
            let own = spent(&world, AGENT);
            let used_up = |(window_ms, of): &(u64, BudgetWindow)| {
                within(&own, *window_ms, now_ms) >= usize::try_from(of.kept).unwrap()
            };
            prop_assert!(is_well(&world, AGENT) || windows.iter().any(used_up), "{}", world.story());
            for (window_ms, of) in windows {
                let others: Vec<usize> = (1..4).map(|it| within(&spent(&world, it), window_ms, now_ms)).collect();
                let all = others.iter().sum::<usize>() + within(&own, window_ms, now_ms);
                prop_assert!(all <= usize::try_from(of.whole).unwrap(), "{}", world.story());
                prop_assert!(others.iter().sum::<usize>() <= usize::try_from(of.others()).unwrap(), "{}", world.story());
                prop_assert!(others.iter().all(|it| *it <= usize::try_from(of.product).unwrap()), "{}", world.story());
            }
            // What is refused is not waited for: the next failure is another one.
            for open in (0..4).filter(|it| *it != check) {
                world.shows(open, Verdict::Pass);
            }
            world.run(8_000);
            world.true_ms += pause_ms;
        }
    }
}
