//! The trials: which checks, settings and whims, and how far each goes in every run and in the long one.
use wbd_model::action::Class;
use wbd_model::entry::Outcome;
use wbd_model::maintenance::{Maintenance, MaintenanceWindow, TimeOfDay};
use wbd_model::plan::Approval;
use wbd_model::settings::{Healing, HostBudget, Settings};

use crate::check::{AGENT_DOWN, Check, Sight, Views, raise, reload, restart, unit, vendor};
use crate::goals::{Goal, Reached};
use crate::trial::{Bounds, Decision, Trial};

/// As long as the start deadline.
const SHORT_S: u32 = 5;
const HALF_HOUR_S: u32 = 1_800;
/// From the beginning of a trial to the opening of its window.
const TO_WINDOW_S: u32 = 1_000;
const HALF_DAY_S: u32 = 43_200;

/// How far a trial goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// In every run.
    Short,
    /// With `WBD_LONG` set.
    Long,
}

impl Depth {
    pub(crate) fn asked() -> Self {
        if std::env::var_os("WBD_LONG").is_some() { Self::Long } else { Self::Short }
    }

    fn of<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

fn trial(name: &'static str, checks: Vec<Check>, causes: &[(usize, usize)], bounds: Bounds) -> Trial {
    Trial {
        name,
        views: Views::of(&checks, causes),
        settings: Settings { budget: HostBudget::of(9, 9), ..Settings::default() },
        begins: vec![Sight::Fail; checks.len()],
        sights: vec![Sight::Fail, Sight::Pass],
        decisions: Vec::new(),
        replies: vec![Outcome::Done, Outcome::Failed, Outcome::Unknown],
        failures: 0,
        checks,
        bounds,
        reaches: Vec::new(),
        reached: Reached::default(),
        mutant: None,
        seeks: None,
    }
}

/// One disruptive action an hour, and everything that could make it two.
pub(crate) fn hour(depth: Depth) -> Trial {
    let bounds = Bounds {
        ticks: vec![(SHORT_S, depth.of(1, 2)), (HALF_HOUR_S, depth.of(2, 3))],
        intents: depth.of(2, 3),
        crashes: depth.of(1, 2),
        reboots: 1,
        clock_steps: 1,
        orphans: depth == Depth::Long,
        ..Bounds::default()
    };
    let mut hour = trial("hour", vec![Check::new(AGENT_DOWN, "agent-down", 9).auto(&[restart()])], &[], bounds);
    hour.settings.budget.per_hour = 1;
    hour.replies = vec![Outcome::Done, Outcome::Unknown];
    hour.reaches = vec![
        Goal::Gated,
        Goal::Acting,
        Goal::Indeterminate,
        Goal::Verifying,
        Goal::HostBudget,
        Goal::Backoff,
        Goal::Healed,
    ];
    hour
}

/// The same hour without whims, but with time enough for an action to be done an hour late.
pub(crate) fn calm_hour(depth: Depth) -> Trial {
    let mut calm = hour(depth).with(|bounds| {
        bounds.ticks[0].1 = 2;
        (bounds.crashes, bounds.reboots, bounds.clock_steps) = (0, 0, 0);
        bounds.orphans = false;
    });
    calm.name = "calm hour";
    calm
}

/// One disruptive action a day, two playbooks that could each do it.
pub(crate) fn day(depth: Depth) -> Trial {
    let checks = vec![
        Check::new(AGENT_DOWN, "agent-down", 9).auto(&[restart()]),
        Check::new("AEGIS-DNS", "dns", 9).auto(&[unit()]),
    ];
    let bounds = Bounds {
        ticks: vec![(SHORT_S, depth.of(1, 2)), (HALF_DAY_S, 2)],
        intents: 2,
        crashes: 1,
        reboots: depth.of(0, 1),
        clock_steps: depth.of(0, 1),
        ..Bounds::default()
    };
    let mut day = trial("day", checks, &[], bounds);
    day.settings.budget.per_day = 1;
    day.reaches = vec![Goal::HostBudget, Goal::HandedOver];
    day
}

/// A ladder with every kind of action: undoable, of several steps, unprovable, asking; a playbook near suspension.
pub(crate) fn ladder(depth: Depth) -> Trial {
    let check =
        Check::new("WBD-5404", "inotify-limit", 3).auto(&[raise(), reload()]).auto(&[unit()]).auto(&[restart()]);
    let bounds = Bounds {
        ticks: vec![(SHORT_S, depth.of(4, 5))],
        intents: depth.of(5, 6),
        crashes: 1,
        reboots: depth.of(0, 1),
        ..Bounds::default()
    };
    let mut ladder = trial("ladder", vec![check], &[], bounds);
    ladder.failures = 7;
    ladder.decisions = vec![Decision::Resume];
    ladder.bounds.decisions = depth.of(0, 1);
    ladder.reaches = vec![
        Goal::Rung0,
        Goal::Rung1,
        Goal::Rung2,
        Goal::MidRung,
        Goal::RollingBack,
        Goal::Suspended,
        Goal::Escalated,
        Goal::HandedOver,
    ];
    ladder
}

/// The same ladder without a past: it may be climbed to its end.
pub(crate) fn climb(depth: Depth) -> Trial {
    let check = Check::new("WBD-5404", "inotify-limit", 3).auto(&[raise()]).auto(&[unit()]);
    let bounds = Bounds {
        ticks: vec![(SHORT_S, depth.of(6, 7))],
        intents: depth.of(5, 6),
        crashes: depth.of(0, 1),
        ..Bounds::default()
    };
    let mut climb = trial("climb", vec![check], &[], bounds);
    climb.reaches = vec![Goal::Rung0, Goal::Rung1, Goal::RollingBack, Goal::Attempts, Goal::HandedOver];
    climb
}

/// An operator's decisions at every moment.
pub(crate) fn operator(depth: Depth) -> Trial {
    let check = Check::new("AEGIS-DNS", "dns", 4)
        .auto(&[restart()])
        .rung(Approval::Operator, &[unit()])
        .auto(&[vendor(Class::A4)])
        .held_for(5_000);
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 3), (2 * HALF_DAY_S, 1)],
        intents: 2,
        crashes: depth.of(0, 1),
        clock_steps: depth.of(0, 1),
        decisions: 2,
        ..Bounds::default()
    };
    let mut operator = trial("operator", vec![check], &[], bounds);
    operator.decisions =
        vec![Decision::Hold(Class::A2), Decision::Hold(Class::A3), Decision::Lift, Decision::Approve, Decision::Deny];
    operator.reaches =
        vec![Goal::Hold, Goal::Approval, Goal::Denied, Goal::Probation, Goal::Rung1, Goal::Escalated, Goal::HandedOver];
    operator
}

/// A cause and its consequence; both may be blind or gone.
pub(crate) fn causes(depth: Depth) -> Trial {
    let mut causes = pair("causes", depth);
    causes.views = Views::of(&causes.checks, &[(1, 0)]);
    causes.sights = vec![Sight::Fail, Sight::Pass, Sight::Unknown, Sight::Gone];
    causes.bounds.ticks = vec![(SHORT_S, 1), (HALF_HOUR_S, 1)];
    causes.bounds.intents = depth.of(1, 2);
    causes.bounds.shows = 2;
    causes.bounds.crashes = depth.of(0, 1);
    causes.reaches = vec![Goal::Suppressed, Goal::Subsumed, Goal::SelfHealed, Goal::Noise, Goal::Healed];
    causes
}

/// Two playbooks that would act on one thing.
pub(crate) fn rivals(depth: Depth) -> Trial {
    let mut rivals = pair("rivals", depth);
    rivals.reaches = vec![Goal::Conflict, Goal::Healed];
    rivals
}

fn pair(name: &'static str, depth: Depth) -> Trial {
    let checks = vec![
        Check::new(AGENT_DOWN, "agent-down", 2).auto(&[restart()]),
        Check::new("WBD-5404", "inotify-limit", 2).auto(&[reload()]),
    ];
    let bounds = Bounds {
        ticks: vec![(SHORT_S, depth.of(2, 3))],
        intents: depth.of(2, 3),
        crashes: 1,
        shows: 1,
        ..Bounds::default()
    };
    let mut pair = trial(name, checks, &[], bounds);
    pair.begins = vec![Sight::Fail, Sight::Fail];
    pair
}

/// The disk fills up and is freed; one restart an hour.
pub(crate) fn disk(depth: Depth) -> Trial {
    let checks = vec![Check::new("WBD-5404", "inotify-limit", 2).auto(&[restart()]).auto(&[reload()])];
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 2), (HALF_HOUR_S, depth.of(0, 2))],
        intents: depth.of(2, 3),
        crashes: 1,
        disk: 2,
        decisions: 1,
        ..Bounds::default()
    };
    let mut disk = trial("disk", checks, &[], bounds);
    disk.settings.budget.per_hour = 1;
    disk.decisions = vec![Decision::Hold(Class::A2)];
    disk.reaches = vec![Goal::Ledger, Goal::Indeterminate, Goal::Healed];
    disk
}

/// A suspended playbook of two targets: one try after its pause, and what becomes of it.
pub(crate) fn breaker(depth: Depth) -> Trial {
    let checks = vec![
        Check::new("WBD-5404", "inotify-limit", 9).auto(&[reload()]),
        Check::new("WBD-5405", "inotify-limit", 9).auto(&[unit()]),
    ];
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 1), (HALF_HOUR_S, depth.of(3, 4))],
        intents: depth.of(1, 2),
        crashes: 1,
        reboots: 1,
        clock_steps: depth.of(0, 1),
        ..Bounds::default()
    };
    let mut breaker = trial("breaker", checks, &[], bounds);
    breaker.failures = 9;
    breaker.replies = vec![Outcome::Done, Outcome::Unknown];
    breaker.reaches = vec![Goal::Suspended, Goal::OneTry, Goal::Rearmed, Goal::TrippedAgain, Goal::Escalated];
    breaker
}

/// An hour's window, by the clock on the wall.
pub(crate) fn window(depth: Depth) -> Trial {
    let check = Check::new("AEGIS-DNS", "dns", 9).auto(&[unit()]);
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 1), (TO_WINDOW_S, 1), (HALF_HOUR_S, 2)],
        intents: depth.of(1, 2),
        crashes: depth.of(0, 1),
        clock_steps: 1,
        decisions: depth.of(0, 1),
        ..Bounds::default()
    };
    let mut window = trial("window", vec![check], &[], bounds);
    let time = |text: &str| TimeOfDay::try_from(text.to_owned()).unwrap();
    let night = MaintenanceWindow { days: Vec::new(), from: time("23:30"), to: time("00:30") };
    window.settings.maintenance =
        Some(Maintenance { zone: "Europe/Berlin".to_owned(), from_class: Class::A3, windows: vec![night] });
    window.decisions = vec![Decision::Approve];
    window.reaches = vec![Goal::Window, Goal::Acting, Goal::Healed];
    window
}

/// The agent, the host's resolver and a product that leaks, all at once, with the budget as it is shipped.
pub(crate) fn shares(depth: Depth) -> Trial {
    let checks = vec![
        Check::new(AGENT_DOWN, "agent-down", 9).auto(&[restart()]),
        Check::new("NET-DNS", "dns", 9).of("host").auto(&[unit()]),
        Check::new("IWSS-FTPLEAK", "fd-leak", 9).of("iwss").auto(&[vendor(Class::A3)]),
    ];
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 3), (2 * HALF_HOUR_S, depth.of(0, 1))],
        intents: 4,
        crashes: 1,
        shows: depth.of(0, 1),
        ..Bounds::default()
    };
    let mut shares = trial("shares", checks, &[], bounds);
    shares.settings.budget = HostBudget::default();
    shares.replies = vec![Outcome::Done];
    shares.reaches = vec![Goal::HostBudget, Goal::Healed];
    shares
}

/// A new ledger file at any moment of a life with a single attempt an hour.
pub(crate) fn rotation(depth: Depth) -> Trial {
    let check = Check::new(AGENT_DOWN, "agent-down", 1).auto(&[restart()]);
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 1), (HALF_HOUR_S, 1)],
        intents: 2,
        crashes: depth.of(0, 1),
        reboots: depth.of(0, 1),
        shows: 1,
        decisions: 1,
        rotations: 1,
        ..Bounds::default()
    };
    let mut rotation = trial("rotation", vec![check], &[], bounds);
    rotation.decisions = vec![Decision::Hold(Class::A2)];
    rotation.replies = vec![Outcome::Done, Outcome::Unknown];
    rotation.reaches = vec![Goal::Hold, Goal::Attempts, Goal::Healed];
    rotation
}

/// One action in a world where everything goes wrong that can.
pub(crate) fn storm(depth: Depth) -> Trial {
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 1), (HALF_HOUR_S, depth.of(0, 1))],
        intents: depth.of(1, 2),
        crashes: 1,
        reboots: 1,
        clock_steps: 1,
        disk: depth.of(1, 2),
        shows: depth.of(0, 1),
        rotations: depth.of(0, 1),
        ..Bounds::default()
    };
    let mut storm = trial("storm", vec![Check::new(AGENT_DOWN, "agent-down", 2).auto(&[restart()])], &[], bounds);
    storm.settings.budget.per_hour = 1;
    storm.reaches = vec![Goal::Indeterminate, Goal::Healed];
    storm
}

/// Healing is set to observe.
pub(crate) fn observe() -> Trial {
    let bounds = Bounds {
        ticks: vec![(SHORT_S, 2), (2 * HALF_DAY_S, 1)],
        intents: 1,
        crashes: 1,
        shows: 2,
        ..Bounds::default()
    };
    let mut observe = trial("observe", vec![Check::new(AGENT_DOWN, "agent-down", 2).auto(&[restart()])], &[], bounds);
    observe.settings.healing = Healing::Observe;
    observe.reaches = vec![Goal::Mode, Goal::SelfHealed, Goal::HandedOver];
    observe
}

pub(crate) fn all() -> Vec<Trial> {
    let deep = [hour, day, ladder, climb, operator, causes, rivals, disk, breaker, window, rotation, storm, shares];
    deep.into_iter().map(|trial| trial(Depth::Short)).chain([observe()]).collect()
}
