//! The supervisor itself is killed at random moments of incidents, and what it did to its host is held against its ledger: no act without an intent, none twice, none late, none over budget, and every incident ends (I1 to I4).

use std::process::Command;
use std::time::SystemTime;

use wbd_tests::exec;
use wbd_tests::figures::say;
use wbd_tests::judge::{self, Rules, Wrong};
use wbd_tests::recorder::Recorder;

use crate::crash_figures::{Figures, Phase};
use crate::crash_lane::{self, Dice, Lane};
use crate::trial::{SOON, Trial};

/// Side by side, since a run is mostly waiting.
const LANES: u64 = 4;
/// Runs in every test, and in a long one.
const RUNS: usize = 40;
const LONG_RUNS: usize = 1_000;
/// In so many runs every phase is hit.
const MANY: usize = 200;

fn seed() -> u64 {
    let given = std::env::var("WBD_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    given.unwrap_or(u64::try_from(now.as_micros()).unwrap_or(1)).max(1)
}

fn runs() -> usize {
    let given = std::env::var("WBD_CRASHES").ok().and_then(|runs| runs.parse().ok());
    let long = std::env::var_os("WBD_LONG").is_some();
    given.unwrap_or(if long { LONG_RUNS } else { RUNS })
}

/// Nothing that the trials below look for would be seen otherwise.
#[test]
fn an_agent_that_nobody_meant_to_start_is_seen_and_judged() {
    let recorder = Recorder::begin();
    let trial = Trial::on(crash_lane::hurried());
    let program = trial.root().join("opt/nbp/wbd/wbd_agent");
    let judged = |trial: &Trial| {
        let recording = recorder.so_far();
        let lives = recording.lives(&program.to_string_lossy());
        let effects = crash_lane::effects(&recording, &lives);
        let (early_us, late_us) = (recording.early_us, recording.late_us);
        let rules = Rules { budgets: Vec::new(), early_us, late_us, sees_all: recording.sees_signals };
        judge::judge(&trial.records(), &effects, &rules).wrongs
    };
    assert_eq!(judged(&trial), [], "the supervisor's own start is recorded");
    // It finds the lock of the first, and ends.
    let mut stray = Command::new(&program);
    let ran = exec::run(stray.arg("--foreground").arg("--root").arg(trial.root()), b"", SOON);
    assert!(ran.code != Some(0), "{}", ran.report());
    let wrongs = judged(&trial);
    if recorder.sees_all() {
        assert!(matches!(wrongs.as_slice(), [Wrong::Unintended(_)]), "{wrongs:?}");
    }
}

#[test]
fn a_supervisor_killed_at_any_moment_acts_never_unrecorded_never_twice_and_never_over_budget() {
    let (seed, runs) = (seed(), runs());
    println!("seed {seed}; the same moments again: WBD_SEED={seed} WBD_CRASHES={runs}");
    let recorder = Recorder::begin();
    let share = runs.div_ceil(usize::try_from(LANES).unwrap_or(1));
    let figures = std::thread::scope(|scope| {
        let lanes = (0..LANES).map(|number| {
            let dice = Dice::new(seed, number);
            let mut lane = Lane { number, dice, recorder: &recorder, figures: Figures::default(), aims: true };
            scope.spawn(move || {
                lane.run(share);
                lane.figures
            })
        });
        let lanes: Vec<_> = lanes.collect();
        let ended =
            lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|failed| std::panic::resume_unwind(failed)));
        ended.fold(Figures::default(), Figures::plus)
    });
    say(&format!("crash trials, seed {seed}: {figures}"));
    assert!(figures.runs() >= runs, "{figures}");
    let aimed = usize::try_from(LANES).unwrap_or(usize::MAX);
    assert!(figures.hit(Phase::Acting) >= aimed, "too few kills between an intent and its outcome: {figures}");
    if runs >= MANY {
        for phase in Phase::ALL {
            assert!(figures.hit(phase) > 0, "no kill hit {phase:?}: {figures}");
        }
    }
    assert!(figures.faults() == 0, "{figures}\n{}", figures.wrongs.join("\n"));
}
