//! Thousands of simulated hosts whose faults flap for days, beside crashes, reboots, clock steps, blind and slow
//! probes, a clumsy executor and operators: whatever comes, nothing is done too often, wrongly or unasked. Nothing
//! here waits or looks at the host; the figures are printed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a judge names the records that it judges, others are not its own")]
mod figures;
mod forged;
mod judge;
mod world;

use figures::Figures;
use world::lived;
use world::schedule::{Rng, Schedule};

/// In every run; 40 s of a core.
const SOME: u64 = 10_000;
/// With `WBD_LONG`.
const MANY: u64 = 50_000;
/// One host in so many is also looked at without its faults.
const TWINS: u64 = 10;

/// `WBD_SEED` is the first schedule's number: a failure names its own.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let first = std::env::var("WBD_SEED").ok().map(|seed| seed.parse().unwrap());
    first.map_or(0..count, |first| first..first + 1)
}

fn count() -> u64 {
    if std::env::var_os("WBD_LONG").is_some() { MANY } else { SOME }
}

/// On all cores: one schedule does not know of another.
fn on_all(work: impl Fn(u64) -> Figures + Sync) -> Figures {
    let threads = std::thread::available_parallelism().map_or(1, |n| u64::try_from(n.get()).unwrap());
    let share = |thread: u64| seeds(count()).filter(move |seed| seed % threads == thread);
    std::thread::scope(|scope| {
        let work = &work;
        let shares: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || share(thread).map(work).fold(Figures::default(), Figures::with)))
            .collect();
        shares.into_iter().map(|share| share.join().unwrap()).fold(Figures::default(), Figures::with)
    })
}

#[test]
fn whatever_flaps_nothing_is_done_too_often_wrongly_or_twice_at_once() {
    let figures = on_all(|seed| {
        let schedule = Schedule::of(seed);
        let host = lived(&schedule);
        judge::holds(&host, seed);
        figures::of(&host, &schedule)
    });
    println!("{figures}");
    assert_eq!((figures.wrong, figures.missed), (0, 0));
    if std::env::var_os("WBD_SEED").is_none() {
        figures.reach_everything();
    }
}

/// The same days without the faults: blindness, crashes and operators alone are no reason to do anything.
#[test]
fn where_nothing_fails_nothing_is_opened_or_done() {
    let figures = on_all(|seed| {
        if !seed.is_multiple_of(TWINS) {
            return Figures::default();
        }
        let schedule = Schedule::of(seed).without_faults();
        let host = lived(&schedule);
        assert!(host.effects.is_empty(), "WBD_SEED={seed}: {}", host.story());
        assert!(host.entries.iter().all(|entry| entry.subject.incident.is_none()), "WBD_SEED={seed}: {}", host.story());
        figures::of(&host, &schedule)
    });
    println!(
        "flap schedules without their faults: {} of them, {} incidents, {} acts",
        figures.schedules,
        figures.incidents(),
        figures.acts
    );
    assert!(figures.schedules > 0 || std::env::var_os("WBD_SEED").is_some());
}

/// Guards against a host that differs between two runs of one seed: then no failure could be looked at again.
#[test]
fn a_schedule_is_the_same_each_time() {
    for seed in 0..20 {
        let (one, other) = (lived(&Schedule::of(seed)), lived(&Schedule::of(seed)));
        assert_eq!(one.entries, other.entries);
    }
    assert_ne!(Rng::new(1).below(u64::MAX), Rng::new(2).below(u64::MAX));
}
