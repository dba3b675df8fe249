//! Counts what came of the schedules, for people and for `tests/RESULTS.md`. Judges nothing but that the counts
//! are of something.
use std::collections::BTreeMap;
use std::fmt;

use wbd_model::entry::Body;

use crate::world::host::{EVERY_MS, Host, SLOWEST_MS};
use crate::world::schedule::Schedule;
use crate::world::truth::Fault;

/// A fault that can be seen for its hold time and this long must have an incident: two looks, both slow.
const GRACE_MS: u64 = 2 * (EVERY_MS + SLOWEST_MS);

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) schedules: u64,
    hours: u64,
    faults: u64,
    /// Faults that could be seen long enough to need an incident ...
    lasting: u64,
    /// ... and had none.
    pub(crate) missed: u64,
    pub(crate) acts: u64,
    rollbacks: u64,
    /// Acts for a failure that was gone in truth already when the last look before it was made.
    pub(crate) wrong: u64,
    /// Acts whose failure went away by itself between that look and the action, or before a later step.
    late: u64,
    /// Milliseconds from the fault to its cure by an action: all, and where nothing stood in the way.
    healed_ms: Vec<u64>,
    plain_ms: Vec<u64>,
    refusals: BTreeMap<&'static str, u64>,
    endings: BTreeMap<&'static str, u64>,
    words: BTreeMap<&'static str, u64>,
}

pub(crate) fn of(host: &Host, schedule: &Schedule) -> Figures {
    let mut figures = Figures { schedules: 1, hours: schedule.length_ms / 3_600_000, ..Figures::default() };
    for fault in &host.faults {
        figures.fault(host, fault);
    }
    for effect in &host.effects {
        if effect.rollback {
            figures.rollbacks += 1;
            continue;
        }
        figures.acts += 1;
        let Some(well_since_ms) = effect.well_since_ms else { continue };
        let wrong = effect.step == 0 && well_since_ms < effect.looked_ms;
        *(if wrong { &mut figures.wrong } else { &mut figures.late }) += 1;
    }
    for entry in &host.entries {
        *figures.words.entry(entry.body.kind()).or_default() += 1;
        match &entry.body {
            Body::Refused(refusal) => *figures.refusals.entry(refusal.guard.as_str()).or_default() += 1,
            Body::Closed { how } => *figures.endings.entry(how.as_str()).or_default() += 1,
            Body::Outcome { result, .. } => *figures.words.entry(result.as_str()).or_default() += 1,
            _ => {}
        }
    }
    figures
}

impl Figures {
    fn fault(&mut self, host: &Host, fault: &Fault) {
        self.faults += 1;
        if fault.visible_ms >= host.checks[fault.check].snapshot.hold_ms + GRACE_MS {
            self.lasting += 1;
            self.missed += u64::from(!fault.attended);
        }
        if fault.cured {
            let took_ms = fault.ended_ms - fault.began_ms;
            self.healed_ms.push(took_ms);
            let hindered = host.hindered_ms.iter().any(|at_ms| (fault.began_ms..=fault.ended_ms).contains(at_ms));
            if !hindered {
                self.plain_ms.push(took_ms);
            }
        }
    }

    pub(crate) fn with(mut self, other: Self) -> Self {
        self.schedules += other.schedules;
        self.hours += other.hours;
        self.faults += other.faults;
        self.lasting += other.lasting;
        self.missed += other.missed;
        self.acts += other.acts;
        self.rollbacks += other.rollbacks;
        self.wrong += other.wrong;
        self.late += other.late;
        self.healed_ms.extend(other.healed_ms);
        self.plain_ms.extend(other.plain_ms);
        for (own, others) in
            [(&mut self.refusals, other.refusals), (&mut self.endings, other.endings), (&mut self.words, other.words)]
        {
            for (word, count) in others {
                *own.entry(word).or_default() += count;
            }
        }
        self
    }

    pub(crate) fn incidents(&self) -> u64 {
        self.words.get("opened").copied().unwrap_or_default()
    }

    /// Guards against an empty proof: the schedules do come to all that is judged.
    pub(crate) fn reach_everything(&self) {
        let words = ["rollback", "healed", "self-healed", "subsumed", "handed-over", "suppressed", "unsuppressed"];
        let more = ["cleared", "approved", "denied", "hold", "escalated", "suspended", "failed", "aborted", "unknown"];
        let guards = ["hold", "mode", "approval", "host-budget", "attempts", "backoff", "conflict"];
        let reached = |word: &str| {
            self.words.contains_key(word) || self.endings.contains_key(word) || word == "rollback" && self.rollbacks > 0
        };
        for word in words.iter().chain(&more) {
            assert!(reached(word), "no schedule reached {word}: {self}");
        }
        for guard in guards {
            assert!(self.refusals.contains_key(guard), "no schedule was refused by {guard}: {self}");
        }
        assert!(self.lasting > 0 && !self.plain_ms.is_empty(), "{self}");
    }
}

/// The median, one in twenty, and the longest, in seconds.
fn times(of_ms: &[u64]) -> String {
    let mut sorted = of_ms.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len().saturating_sub(1)) * percent / 100).copied().unwrap_or_default();
    let seconds = |ms: u64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
    format!("p50 {}, p95 {}, max {} of {}", seconds(at(50)), seconds(at(95)), seconds(at(100)), sorted.len())
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<&str, u64>| {
            counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
        };
        writeln!(f, "| flap schedules | {} ({} simulated days) |", self.schedules, self.hours / 24)?;
        writeln!(f, "|---|---|")?;
        writeln!(
            f,
            "| faults injected | {} ({} could be seen long enough to need an incident) |",
            self.faults, self.lasting
        )?;
        writeln!(f, "| missed faults | {} of {} |", self.missed, self.lasting)?;
        writeln!(f, "| wrong acts | {} of {} |", self.wrong, self.acts)?;
        writeln!(f, "| acts whose fault ended after the last look before it | {} of {} |", self.late, self.acts)?;
        writeln!(f, "| rollbacks | {} |", self.rollbacks)?;
        writeln!(f, "| time to heal, nothing in the way | {} |", times(&self.plain_ms))?;
        writeln!(f, "| time to heal, all | {} |", times(&self.healed_ms))?;
        writeln!(f, "| incidents | {}, ended: {} |", self.incidents(), list(&self.endings))?;
        let count = |word: &str| self.words.get(word).copied().unwrap_or_default();
        let told = (count("escalated"), count("suppressed"), count("suspended"));
        writeln!(f, "| told to a person | {} times; suppressed {}, playbooks suspended {} |", told.0, told.1, told.2)?;
        write!(f, "| refusals by guard | {} |", list(&self.refusals))
    }
}
