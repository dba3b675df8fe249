//! Every order of a few decisions and faults, to a stated length: hold files win, and an approval is of what was shown.
//! Each law is also broken on purpose, and that must be seen.
use wbd_engine::guard::hold;
use wbd_model::action::{Action, Class};
use wbd_model::entry::{Body, Subject};
use wbd_model::hold::{Busy, HostBusy};
use wbd_model::incident::IncidentId;
use wbd_model::name::ProfileName;
use wbd_model::plan::Shown;
use wbd_model::settings::Healing;

use crate::check::{Check, agent_down, check, raise, reload};
use crate::world::World;

const KEY: &str = "fs.inotify.max_user_watches";
const FILE: &str = "/run/wbd/hold";
const RUN_MS: u64 = 4_000;

/// Plays every sequence of so many of these events on a world of its own; those that break a law.
fn explore<E: Copy>(events: &[E], length: u32, play: impl Fn(&[E]) -> bool) -> Vec<Vec<E>> {
    let sequence = |mut number: usize| -> Vec<E> {
        (0..length)
            .map(|_| {
                let event = events[number % events.len()];
                number /= events.len();
                event
            })
            .collect()
    };
    (0..events.len().pow(length)).map(sequence).filter(|sequence| !play(sequence)).collect()
}

fn patient(mut check: Check) -> Check {
    check.snapshot.attempts.max = 1_000;
    check
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    FileComes,
    FileGoes,
    Pause,
    Lift,
    Run,
    Crash,
    Reboot,
}

/// Whether nothing was done while a file held or a pause stood, and something is once neither does. `busy`: no file holds,
/// the host does.
fn holds_win(sequence: &[Holds], busy: Option<&Busy>, file_is_ignored: bool) -> bool {
    let file_name = busy.map_or_else(|| FILE.to_owned(), Busy::key);
    let mut world = World::failing(patient(agent_down()));
    // A state that was broken on purpose is no replay of its ledger.
    world.audited = !file_is_ignored;
    (world.settings.budget.per_hour, world.settings.budget.per_day) = (1_000, 1_000);
    let (mut file, mut pause) = (false, false);
    let mut wins = true;
    for event in sequence {
        match event {
            Holds::FileComes => {
                let busy = busy.map(|with| HostBusy { with: with.clone(), overdue: false });
                let held = busy.map_or_else(|| hold::of_text(FILE, ""), |busy| hold::of_host(busy, "apt", "it works"));
                let (who, why, from_class, busy) = (held.who, held.why, held.from_class, held.busy);
                let body =
                    Body::Hold { who, why, until_wall_ms: None, from_class, file: Some(file_name.clone()), busy };
                world.append(Subject::default(), body);
                file = true;
            }
            Holds::FileGoes => {
                file_goes(&mut world, &file_name);
                file = false;
            }
            Holds::Pause => world.pause(Class::A1, None),
            Holds::Lift => world.lift(),
            Holds::Run => world.breaks(0),
            Holds::Crash => world.dies(),
            Holds::Reboot => world.reboots(1_000),
        }
        pause = (pause || *event == Holds::Pause) && *event != Holds::Lift;
        if file_is_ignored {
            world.state.file_holds.clear();
        }
        let before = world.actions();
        world.run(if *event == Holds::Run { RUN_MS } else { 0 });
        wins &= world.actions() == before || !(file || pause);
    }
    let before = world.actions();
    file_goes(&mut world, &file_name);
    world.lift();
    world.breaks(0);
    world.run(60_000);
    wins && world.actions() > before
}

fn file_goes(world: &mut World, name: &str) {
    world.append(Subject::default(), Body::Lifted { who: "root".to_owned(), file: Some(name.to_owned()) });
}

const HOLDS: [Holds; 7] =
    [Holds::FileComes, Holds::FileGoes, Holds::Pause, Holds::Lift, Holds::Run, Holds::Crash, Holds::Reboot];

#[test]
fn in_every_order_a_hold_file_wins_until_it_is_gone() {
    let broken = explore(&HOLDS, 4, |sequence| holds_win(sequence, None, false));
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn in_every_order_a_busy_host_wins_until_it_is_seen_free() {
    let installer = |profile| Busy::Installer(ProfileName::new(profile).unwrap());
    for busy in [Busy::Packages, Busy::Boot, Busy::Shutdown, installer("wbd")] {
        let broken = explore(&HOLDS, 3, |sequence| holds_win(sequence, Some(&busy), false));
        assert!(broken.is_empty(), "{busy:?}: {broken:?}");
    }
    // Twin: another product's installer holds nothing here.
    let works =
        explore(&[Holds::FileComes, Holds::Run], 2, |sequence| holds_win(sequence, Some(&installer("aegis")), false));
    assert_eq!(works, [[Holds::FileComes, Holds::Run]], "something was done while it was there");
}

#[test]
fn a_hold_file_that_is_ignored_is_seen() {
    assert!(!explore(&HOLDS, 2, |sequence| holds_win(sequence, None, true)).is_empty());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Approvals {
    /// To what is shown at this moment.
    Approve,
    /// Somebody else sets the limit.
    HostChanges,
    /// Another value is measured.
    NeedChanges,
    /// The playbook is edited.
    PlaybookChanges,
    Run,
    Crash,
}

fn limits(value: i64, digest: &str) -> Check {
    let mut check = patient(check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(value), reload()]));
    check.edited(digest);
    check
}

/// Whether every limit that was raised was raised as it was shown to whoever approved last before.
fn approval_is_of_what_was_shown(sequence: &[Approvals], any_plan_is_accepted: bool) -> bool {
    let mut world = World::failing(limits(20_000, "first"));
    world.audited = !any_plan_is_accepted;
    world.settings.healing = Healing::Approve;
    world.run(5_000);
    let (mut need, mut digest) = (20_000, "first");
    for event in sequence {
        match event {
            Approvals::Approve => {
                let plan = world.snapshots()[0].ladder[0].clone();
                let changes = vec![vec![world.raised(KEY, need)], Vec::new()];
                let body = Body::Approved { who: "root".to_owned(), shown: Some(Box::new(Shown { plan, changes })) };
                world.append(world.about(1), body);
            }
            Approvals::HostChanges => {
                *world.sysctl.entry(KEY.to_owned()).or_insert(8_192) += 1;
            }
            Approvals::NeedChanges => need += 1,
            Approvals::PlaybookChanges => digest = "second",
            Approvals::Run | Approvals::Crash => {}
        }
        world.checks[0] = limits(need, digest);
        world.breaks(0);
        if *event == Approvals::Crash {
            world.dies();
        }
        if any_plan_is_accepted && let Some(incident) = world.state.incidents.get_mut(&IncidentId(1)) {
            incident.shown = None;
        }
        if *event == Approvals::Run {
            world.run(RUN_MS);
        }
    }
    let mut shown = None;
    world.entries.iter().all(|entry| {
        if let Body::Approved { shown: said, .. } = &entry.body {
            shown.clone_from(said);
        }
        let Body::Intent(intent) = &entry.body else { return true };
        let raises = matches!(intent.action, Action::SysctlSet(_));
        let as_shown = |shown: &Shown| shown.changes[0] == intent.changes && shown.plan.steps == intent.plan;
        !raises || shown.as_deref().is_some_and(as_shown)
    })
}

const APPROVALS: [Approvals; 6] = [
    Approvals::Approve,
    Approvals::HostChanges,
    Approvals::NeedChanges,
    Approvals::PlaybookChanges,
    Approvals::Run,
    Approvals::Crash,
];

#[test]
fn in_every_order_an_approval_is_of_what_was_shown() {
    let broken = explore(&APPROVALS, 5, |sequence| approval_is_of_what_was_shown(sequence, false));
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn an_approval_that_is_taken_for_another_plan_is_seen() {
    assert!(!explore(&APPROVALS, 3, |sequence| approval_is_of_what_was_shown(sequence, true)).is_empty());
}
