//! What happens to one host, drawn from a seed: faults that come and go, and everything that gets in the way.
//! Knows nothing of the engine's answers.
use wbd_model::action::Class;
use wbd_model::settings::{Healing, HostBudget};

use super::check::{self, CHECKS};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const YEARS_MS: i64 = 10 * 365 * 86_400_000;

/// Random numbers that a seed repeats (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap())).unwrap()
    }

    /// Short ones are as likely as long ones, whatever the unit.
    fn dwell(&mut self) -> u64 {
        match self.below(4) {
            0 => self.between(200, 5 * SECOND_MS),
            1 => self.between(5 * SECOND_MS, MINUTE_MS),
            2 => self.between(MINUTE_MS, 30 * MINUTE_MS),
            _ => self.between(30 * MINUTE_MS, 6 * HOUR_MS),
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// It is broken from now on; `curable` says whether its cure works this time.
    Breaks {
        check: usize,
        curable: bool,
    },
    /// It is well again by itself.
    Mends(usize),
    /// Its probe says nothing, or speaks again.
    Blind(usize, bool),
    Crash {
        down_ms: u64,
    },
    Reboot {
        down_ms: u64,
    },
    WallJumps(i64),
    Approves,
    Denies,
    Pauses {
        from_class: Class,
        for_ms: Option<i64>,
    },
    Resumes,
    Mode(Healing),
    /// `wbdctl playbook run`.
    Asks(usize),
}

/// All of it, in order.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) length_ms: u64,
    pub(crate) budget: HostBudget,
    pub(crate) healing: Healing,
    /// Of a hundred actions so many fail, are late, or lose their reply.
    pub(crate) clumsy: u64,
    /// Of a hundred looks so many take seconds.
    pub(crate) slow: u64,
    pub(crate) events: Vec<(u64, Event)>,
}

impl Schedule {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let length_ms = rng.between(12, 72) * HOUR_MS;
        let budget = match rng.below(4) {
            0 => HostBudget::of(1, 2),
            1 => HostBudget::of(6, 24),
            _ => HostBudget::default(),
        };
        let mut schedule = Self {
            seed,
            length_ms,
            budget,
            healing: mode(&mut rng),
            clumsy: [0, 10, 40][rng.index(3)],
            slow: [0, 5, 30][rng.index(3)],
            events: Vec::new(),
        };
        for _ in 0..rng.between(1, 7) {
            schedule.episode(&mut rng);
        }
        schedule.hindrances(&mut rng);
        schedule.words(&mut rng);
        schedule.events.sort_by_key(|(at_ms, _)| *at_ms);
        schedule
    }

    pub(crate) fn without_faults(mut self) -> Self {
        self.events.retain(|(_, event)| !matches!(event, Event::Breaks { .. } | Event::Mends(_)));
        self
    }

    fn add(&mut self, at_ms: u64, event: Event) {
        if at_ms < self.length_ms {
            self.events.push((at_ms, event));
        }
    }

    /// One fault that stays until it is cured, or one that comes and goes.
    fn episode(&mut self, rng: &mut Rng) {
        let at_ms = rng.below(self.length_ms);
        self.flaps(rng, at_ms);
        // One event often hurts more than one thing.
        if rng.chance(40) {
            let soon_ms = at_ms + rng.below(30 * SECOND_MS);
            self.flaps(rng, soon_ms);
        }
    }

    fn flaps(&mut self, rng: &mut Rng, mut at_ms: u64) {
        let check = rng.index(CHECKS - check::TWINS);
        let flaps = if rng.chance(50) { 1 } else { rng.between(2, 16) };
        for _ in 0..flaps {
            self.add(at_ms, Event::Breaks { check, curable: rng.chance(75) });
            at_ms += rng.dwell();
            self.add(at_ms, Event::Mends(check));
            at_ms += rng.dwell();
        }
    }

    fn hindrances(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(8) {
            let (check, from_ms) = (rng.index(CHECKS), rng.below(self.length_ms));
            self.add(from_ms, Event::Blind(check, true));
            self.add(from_ms + rng.dwell(), Event::Blind(check, false));
        }
        for _ in 0..rng.below(6) {
            let down_ms = rng.between(50, 5 * SECOND_MS);
            self.add(rng.below(self.length_ms), Event::Crash { down_ms });
        }
        for _ in 0..rng.below(3) {
            let down_ms = if rng.chance(80) { rng.between(5, 120) * SECOND_MS } else { rng.below(3 * HOUR_MS) };
            self.add(rng.below(self.length_ms), Event::Reboot { down_ms });
        }
        for _ in 0..rng.below(4) {
            let far = i64::try_from(rng.below(2 * u64::try_from(YEARS_MS).unwrap())).unwrap() - YEARS_MS;
            let near = far % 100_000;
            self.add(rng.below(self.length_ms), Event::WallJumps(if rng.chance(50) { far } else { near }));
        }
    }

    fn words(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(8) {
            self.add(rng.below(self.length_ms), Event::Approves);
        }
        for _ in 0..rng.below(2) {
            self.add(rng.below(self.length_ms), Event::Denies);
        }
        for _ in 0..rng.below(3) {
            let from_class = [Class::A0, Class::A2, Class::A3][rng.index(3)];
            let for_ms = rng.chance(50).then(|| i64::try_from(rng.dwell()).unwrap());
            let at_ms = rng.below(self.length_ms);
            self.add(at_ms, Event::Pauses { from_class, for_ms });
            self.add(at_ms + rng.dwell(), Event::Resumes);
        }
        for _ in 0..rng.below(2) {
            let healing = mode(rng);
            self.add(rng.below(self.length_ms), Event::Mode(healing));
        }
        for _ in 0..rng.below(3) {
            self.add(rng.below(self.length_ms), Event::Asks(rng.index(CHECKS)));
        }
    }
}

fn mode(rng: &mut Rng) -> Healing {
    match rng.below(10) {
        0 => Healing::Observe,
        1 => Healing::Approve,
        _ => Healing::Auto,
    }
}
