//! Error rates of the detector on simulated months: how often it cries wolf, what it finds, how far ahead. Prints them with their denominators.
use super::simulated::{FLAT, Month, Simulated, simulate};
use super::{Due, Lane, LeakVerdict, Prior, QuietWindow, leak, next_restart};

const SEEDS: u64 = 200;

/// Samples an hour, and hours between two looks. The daemon keeps twelve and looks every six.
#[derive(Clone, Copy)]
struct Pace {
    per_hour: u32,
    look_hours: u32,
}

/// For the slow and fast lane: quick without optimisation; less noise makes up for floors that wobble more.
const COARSE: Pace = Pace { per_hour: 1, look_hours: 12 };
/// With the three samples an hour that the headroom lane needs.
const HEADROOM: Pace = Pace { per_hour: 3, look_hours: 24 };
/// Where hours count.
const FINE: Pace = Pace { per_hour: 4, look_hours: 6 };

struct Watched {
    /// When something was called first, and what.
    alarm: Option<(i64, LeakVerdict)>,
    /// When the process would have been restarted for it.
    restart_s: Option<i64>,
}

/// Looks every so many hours until the verdict makes a restart due, now or in the nightly window.
fn watch(simulated: &Simulated, pace: Pace, prior: Prior) -> Watched {
    let night = QuietWindow::new(60, 360, 0).unwrap();
    let step_s = i64::from(pace.look_hours) * 3_600;
    let end_s = simulated.samples.last().unwrap().at_s;
    let mut watched = Watched { alarm: None, restart_s: None };
    let mut now_s = step_s;
    while now_s <= end_s && watched.restart_s.is_none() {
        let seen = simulated.samples.partition_point(|sample| sample.at_s <= now_s);
        let verdict = leak(&simulated.samples[..seen], now_s, prior);
        if verdict.lane != Lane::None {
            let due = verdict.exhaustion.map(|exhaustion| next_restart(exhaustion.earliest_s, night, now_s));
            watched.restart_s = match due {
                None => None,
                Some(Due::Now) => Some(now_s),
                Some(Due::Window { from_s, .. }) => (from_s < now_s + step_s).then_some(from_s.max(now_s)),
            };
            watched.alarm.get_or_insert((now_s, verdict));
        }
        now_s += step_s;
    }
    watched
}

fn days(span_s: i64) -> f64 {
    f64::from(i32::try_from(span_s).unwrap()) / 86_400.0
}

/// Of the seeds, how many months raise an alarm, and how many a restart. None of either is right without a leak.
struct Calls {
    alarms: u64,
    restarts: u64,
}

fn watch_all(name: &str, month: Month, pace: Pace) -> Calls {
    let mut count = Calls { alarms: 0, restarts: 0 };
    for seed in 0..SEEDS {
        let watched = watch(&simulate(month, pace.per_hour, seed), pace, Prior::None);
        count.alarms += u64::from(watched.alarm.is_some());
        count.restarts += u64::from(watched.restart_s.is_some());
    }
    println!("{name}: {} of {SEEDS} months with an alarm, {} with a restart", count.alarms, count.restarts);
    count
}

struct Found {
    /// Called before the limit is reached.
    found: u64,
    /// Restarted before the limit is reached.
    saved: u64,
    /// Of those found, the limit is reached inside the interval of the first alarm.
    covered: u64,
    /// Days from the first alarm to the limit, sorted.
    leads: Vec<f64>,
}

/// Of the seeds, how many leaks are called before the limit is reached, and how well.
fn found(name: &str, month: Month, prior: Prior) -> Found {
    let mut tally = Found { found: 0, saved: 0, covered: 0, leads: Vec::new() };
    let (mut lanes, mut widths, mut lives) = ([0_u64; 3], Vec::new(), Vec::new());
    for seed in 0..SEEDS {
        let simulated = simulate(month, FINE.per_hour, seed);
        let full_s = simulated.full_s.expect("every leak of this test reaches the limit within the month");
        let watched = watch(&simulated, FINE, prior);
        if let Some(restart_s) = watched.restart_s.filter(|restart_s| *restart_s < full_s) {
            tally.saved += 1;
            lives.push(days(restart_s));
        }
        let Some((at_s, verdict)) = watched.alarm.filter(|(at_s, _)| *at_s < full_s) else {
            continue;
        };
        tally.found += 1;
        tally.leads.push(days(full_s - at_s));
        match verdict.lane {
            Lane::Slow => lanes[0] += 1,
            Lane::Fast => lanes[1] += 1,
            Lane::Headroom | Lane::None => lanes[2] += 1,
        }
        if let Some(exhaustion) = verdict.exhaustion {
            tally.covered += u64::from((exhaustion.earliest_s..=exhaustion.latest_s).contains(&full_s));
            widths.push(days(exhaustion.latest_s - exhaustion.earliest_s));
        }
    }
    for sorted in [&mut tally.leads, &mut widths, &mut lives] {
        sorted.sort_by(f64::total_cmp);
    }
    println!(
        "{name}: {} of {SEEDS} found (slow, fast, headroom {lanes:?}), {} restarted in time (median life {:.1} d); \
         lead p5 {:.1} d, p50 {:.1} d; limit reached inside {} of {} intervals (median width {:.1} d)",
        tally.found,
        tally.saved,
        share(&lives, 2),
        share(&tally.leads, 20),
        share(&tally.leads, 2),
        tally.covered,
        widths.len(),
        share(&widths, 2),
    );
    tally
}

fn share(sorted: &[f64], part: usize) -> f64 {
    sorted.get(sorted.len() / part).copied().unwrap_or(f64::NAN)
}

#[test]
fn flat_and_noisy_never_alarms() {
    assert_eq!(watch_all("flat", FLAT, COARSE).alarms, 0);
}

#[test]
fn daily_and_weekly_wave_never_alarms() {
    assert_eq!(watch_all("daily and weekly wave", Month { swing: 450.0, ..FLAT }, COARSE).alarms, 0);
}

#[test]
fn big_but_flat_never_alarms() {
    assert_eq!(watch_all("big but flat", Month { base: 700.0, swing: 60.0, ..FLAT }, HEADROOM).alarms, 0);
}

/// Near the limit day and night: told, and nothing is restarted for it.
#[test]
fn near_the_limit_and_flat_restarts_nothing() {
    let count = watch_all("near the limit", Month { base: 880.0, swing: 60.0, ..FLAT }, HEADROOM);
    assert_eq!((count.alarms, count.restarts), (SEEDS, 0));
}

/// A random walk IS a trend for as long as it lasts: what counts is that nothing is restarted for it.
#[test]
fn a_level_that_wanders_from_day_to_day_restarts_nothing() {
    let small = watch_all("random walk, 2 a day", Month { walk_per_day: 2.0, swing: 60.0, ..FLAT }, COARSE);
    assert!(small.alarms * 100 <= SEEDS * 6 && small.restarts == 0);
    let wide = watch_all("wandering level", Month { walk_per_day: 20.0, walk_keeps: 0.5, swing: 60.0, ..FLAT }, COARSE);
    assert_eq!(wide.restarts, 0);
}

#[test]
fn one_step_rarely_alarms() {
    let count = watch_all("one step", Month { step: (50.0, 300.0), swing: 60.0, ..FLAT }, COARSE);
    assert!(count.alarms * 100 <= SEEDS * 3 && count.restarts == 0);
}

#[test]
fn warm_up_to_a_plateau_rarely_alarms() {
    let count = watch_all("warm-up", Month { warm_up: (50.0, 300.0), swing: 60.0, ..FLAT }, COARSE);
    assert!(count.alarms * 100 <= SEEDS * 3 && count.restarts == 0);
}

/// The documented case: isftpd is full after about 14 days.
#[test]
fn two_weeks_leak_is_found_days_ahead() {
    let tally = found("leak 60 a day", Month { leak_per_day: 60.0, swing: 60.0, ..FLAT }, Prior::None);
    assert!(tally.found * 100 >= SEEDS * 97 && tally.saved * 100 >= SEEDS * 97);
    assert!(tally.covered * 100 >= tally.found * 90);
    assert!(share(&tally.leads, 20) >= 4.0, "time for a window and a spare one");
}

/// The other documented case: the HTTP service is full after a year. A month is enough to know, and too early to act.
#[test]
fn a_years_leak_is_called_within_a_month_and_waits() {
    let count = watch_all("leak 2.5 a day", Month { leak_per_day: 2.5, swing: 60.0, ..FLAT }, COARSE);
    assert!(count.alarms * 100 >= SEEDS * 90 && count.restarts == 0);
}

/// As it really happens: each pattern load and configuration replication leaks at once.
#[test]
fn leak_in_stairs_is_found() {
    let stairs = Month { leak_per_day: 60.0, stair_hours: 20.0, swing: 60.0, ..FLAT };
    let tally = found("leak 60 a day in stairs", stairs, Prior::None);
    assert!(tally.found * 100 >= SEEDS * 97 && tally.saved * 100 >= SEEDS * 97);
    assert!(tally.covered * 100 >= tally.found * 90);
}

#[test]
fn leak_under_a_strong_daily_wave_is_found() {
    let tally = found("leak 60 a day, swing 300", Month { leak_per_day: 60.0, swing: 300.0, ..FLAT }, Prior::None);
    assert!(tally.found * 100 >= SEEDS * 97 && tally.saved * 100 >= SEEDS * 97);
}

#[test]
fn fast_leak_is_found() {
    let tally = found("leak 150 a day", Month { leak_per_day: 150.0, swing: 60.0, ..FLAT }, Prior::None);
    assert!(tally.found * 100 >= SEEDS * 97 && tally.saved * 100 >= SEEDS * 97);
}

#[test]
fn a_leak_known_before_is_found_days_earlier() {
    let month = Month { leak_per_day: 60.0, swing: 60.0, ..FLAT };
    let tally = found("leak 60 a day, known before", month, Prior::Confirmed);
    assert!(tally.found * 100 >= SEEDS * 97 && tally.saved * 100 >= SEEDS * 97);
    assert!(tally.covered * 100 >= tally.found * 90);
    assert!(share(&tally.leads, 2) >= 10.0, "two floors instead of seven");
}
