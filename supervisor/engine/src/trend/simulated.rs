//! Months of descriptor counts made up from waves, walks, steps and leaks, for the tests. No real host's data.
use wbd_model::sample::Sample;

const DAY: f64 = 24.0;
const LIMIT: u32 = 1024;
const DAYS: u32 = 28;

/// xorshift64*: the same months on every machine.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.unit();
        dice
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        f64::from(u32::try_from(bits).unwrap()) / 4_294_967_296.0
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Near normal, mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 3.0_f64.sqrt()
    }
}

/// What a month is made of; all counts in descriptors, all times in hours.
#[derive(Clone, Copy)]
pub(super) struct Month {
    pub(super) base: f64,
    pub(super) noise: f64,
    pub(super) swing: f64,
    /// Deviation of the daily change of level, and the share of the level so far that a day keeps.
    pub(super) walk_per_day: f64,
    pub(super) walk_keeps: f64,
    pub(super) step: (f64, f64),
    pub(super) warm_up: (f64, f64),
    pub(super) leak_per_day: f64,
    /// Hours between pattern loads that leak all at once; 0: the leak drips.
    pub(super) stair_hours: f64,
}

/// Nothing happens, noisily. Less noise than a real host's, see the samples an hour of the tests.
pub(super) const FLAT: Month = Month {
    base: 150.0,
    noise: 5.0,
    swing: 0.0,
    walk_per_day: 0.0,
    walk_keeps: 1.0,
    step: (0.0, 0.0),
    warm_up: (0.0, 0.0),
    leak_per_day: 0.0,
    stair_hours: 0.0,
};

/// The samples of a month, and the hour at which the limit was reached.
pub(super) struct Simulated {
    pub(super) samples: Vec<Sample>,
    pub(super) full_s: Option<i64>,
}

pub(super) fn simulate(month: Month, per_hour: u32, seed: u64) -> Simulated {
    let mut dice = Dice::new(seed);
    let phase = dice.between(0.0, 7.0 * DAY).floor();
    let step_at = dice.between(2.0, 26.0) * DAY;
    let step = dice.between(month.step.0, month.step.1);
    let warm_up = dice.between(month.warm_up.0, month.warm_up.1);
    let warm_up_hours = dice.between(0.25, 1.5) * DAY;
    let (mut level, mut leaked, mut noise, mut next_stair) = (month.base, 0.0, 0.0, month.stair_hours * dice.unit());
    let mut simulated = Simulated { samples: Vec::new(), full_s: None };
    for tick in 1..=DAYS * 24 * per_hour {
        let hour = f64::from(tick) / f64::from(per_hour);
        if tick % (24 * per_hour) == 0 {
            level = month.base + (level - month.base) * month.walk_keeps + month.walk_per_day * dice.normal();
        }
        if month.stair_hours == 0.0 {
            leaked += month.leak_per_day / DAY / f64::from(per_hour) * dice.between(0.0, 2.0);
        } else if hour >= next_stair {
            // Every second load comes with a configuration replication at some other hour.
            leaked += month.leak_per_day / DAY * month.stair_hours * dice.between(0.7, 1.3);
            next_stair += month.stair_hours * dice.between(0.7, 1.3);
        }
        let stepped = if hour >= step_at { step } else { 0.0 };
        let warm = warm_up * (1.0 - (-hour / warm_up_hours).exp());
        let mean = level + leaked + stepped + warm + month.swing * busy(hour + phase);
        let mut readings = [0_u32; 3];
        for reading in &mut readings {
            noise = 0.7 * noise + 0.7 * month.noise * dice.normal();
            let spike = if dice.unit() < 0.002 { dice.between(20.0, 80.0) } else { 0.0 };
            *reading = whole(mean + noise + spike);
        }
        let at_s = i64::from(tick) * 3_600 / i64::from(per_hour);
        let (min, max) = (*readings.iter().min().unwrap(), *readings.iter().max().unwrap());
        simulated.samples.push(Sample { at_s, min, max, last: readings[2], limit: LIMIT });
        if max >= LIMIT {
            simulated.full_s = Some(at_s);
            break;
        }
    }
    simulated
}

/// Office hours on working days: 0 at night, 1 at noon, less at the weekend.
fn busy(hour: f64) -> f64 {
    let day = (hour / DAY).floor() % 7.0;
    let weight = if day >= 5.0 { 0.3 } else { 1.0 };
    let wave = (std::f64::consts::PI * (hour % DAY) / DAY).sin();
    weight * wave * wave * wave
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range just before")]
fn whole(count: f64) -> u32 {
    count.clamp(3.0, f64::from(LIMIT)).round() as u32
}
