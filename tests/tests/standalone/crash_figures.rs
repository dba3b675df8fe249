//! What crash trials counted, and how it is told; it runs nothing.

use std::collections::BTreeMap;
use std::fmt;

use wbd_tests::figures::percentile;
use wbd_tests::judge::{Effect, Judgement, What, actions};
use wbd_tests::recorder::{Life, Recording};

/// SIGKILL and SIGSTOP, by which the trials hurt an agent.
const HURTING: [i32; 2] = [9, 19];

/// What the supervisor was at when it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// No incident yet.
    Detecting,
    /// Opened, nothing meant yet.
    Gated,
    /// Between an intent and its outcome.
    Acting,
    /// Waiting for the proof.
    Verifying,
    /// Proved, and watched for a while.
    Probation,
    /// Told as over.
    Closed,
}

impl Phase {
    pub(crate) const ALL: [Self; 6] =
        [Self::Detecting, Self::Gated, Self::Acting, Self::Verifying, Self::Probation, Self::Closed];

    /// By the kinds of the records since the fault.
    pub(crate) fn of(kinds: &[String]) -> Self {
        let known = kinds.iter().rev().find_map(|kind| match kind.as_str() {
            "opened" | "refused" => Some(Self::Gated),
            "intent" => Some(Self::Acting),
            "outcome" => Some(Self::Verifying),
            "verdict" => Some(Self::Probation),
            "closed" => Some(Self::Closed),
            _ => None,
        });
        known.unwrap_or(Self::Detecting)
    }
}

/// One fault, one kill of the supervisor, and the way back; moments in microseconds of this boot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) hurt_us: u64,
    pub(crate) killed_us: u64,
    pub(crate) settled_us: u64,
    pub(crate) phase: Phase,
    pub(crate) end: End,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// An agent works, and every incident is over.
    Healed,
    /// The guard says no, as it should, since the budget is spent.
    Held,
    /// Neither, for a long time.
    Missed,
}

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    phases: BTreeMap<Phase, usize>,
    /// Of those while acting: the effect had been there already.
    after_effect: usize,
    held: usize,
    missed: usize,
    effects: usize,
    actions: usize,
    by_hand: usize,
    /// Starts of an agent beside one that works, by an action of its own and by the start of a supervisor.
    beside: [usize; 2],
    /// Signals to an agent that nobody had hurt.
    unneeded: usize,
    /// From a fault to the start of the agent that stays, milliseconds.
    back_ms: Vec<u64>,
    /// From a fault to the end of its incident.
    ended_ms: Vec<u64>,
    pub(crate) wrongs: Vec<String>,
}

impl Figures {
    pub(crate) fn runs(&self) -> usize {
        self.phases.values().sum()
    }

    /// Faults that were not healed, actions and signals that nothing called for.
    pub(crate) fn faults(&self) -> usize {
        let [own, _] = self.beside;
        self.wrongs.len() + self.missed + self.unneeded + own
    }

    pub(crate) fn hit(&self, phase: Phase) -> usize {
        self.phases.get(&phase).copied().unwrap_or_default()
    }

    pub(crate) fn plus(mut self, other: Self) -> Self {
        for (phase, count) in other.phases {
            *self.phases.entry(phase).or_default() += count;
        }
        self.after_effect += other.after_effect;
        self.held += other.held;
        self.missed += other.missed;
        self.effects += other.effects;
        self.actions += other.actions;
        self.by_hand += other.by_hand;
        for (sum, count) in self.beside.iter_mut().zip(other.beside) {
            *sum += count;
        }
        self.unneeded += other.unneeded;
        self.back_ms.extend(other.back_ms);
        self.ended_ms.extend(other.ended_ms);
        self.wrongs.extend(other.wrongs);
        self
    }

    /// Adds the runs on one root.
    pub(crate) fn add(&mut self, runs: &[Run], seen: &Seen<'_>) {
        for run in runs {
            *self.phases.entry(run.phase).or_default() += 1;
            self.held += usize::from(run.end == End::Held);
            self.missed += usize::from(run.end == End::Missed);
            let acted = seen.effects.iter().any(|effect| run.hurt_us < effect.at_us && effect.at_us < run.killed_us);
            self.after_effect += usize::from(run.phase == Phase::Acting && acted);
            if run.end != End::Healed {
                continue;
            }
            self.ended_ms.push(run.settled_us.saturating_sub(run.hurt_us) / 1_000);
            // None, where the end of the supervisor woke the agent.
            let within = |life: &&Life| (run.hurt_us..run.settled_us).contains(&life.from_us);
            let stays = |life: &&Life| life.until_us.is_none_or(|until| run.settled_us < until);
            let back = seen.lives.iter().filter(within).find(stays);
            self.back_ms.extend(back.map(|life| (life.from_us - run.hurt_us) / 1_000));
        }
        self.effects += seen.effects.len();
        let (actions, _) = actions(seen.records);
        self.by_hand += actions.iter().filter(|action| action.by_hand).count();
        self.actions += actions.len();
        if !seen.recording.sees_signals {
            return;
        }
        let hurts = seen.recording.signals(seen.lives, |actor| !is_supervisor(actor));
        let hurts: Vec<_> = hurts.into_iter().filter(|(_, number, _)| HURTING.contains(number)).collect();
        let hurt = |pid: u32, at_us: u64| hurts.iter().any(|(when, _, whom)| *whom == pid && *when <= at_us);
        for effect in seen.effects {
            match &effect.what {
                What::Start { pid } => {
                    let works =
                        |life: &&Life| life.pid != *pid && lives(life, effect.at_us) && !hurt(life.pid, effect.at_us);
                    if seen.lives.iter().any(|life| works(&life)) {
                        let by_start = actions.iter().filter(|action| action.by_hand || action.at_start);
                        let by_start = by_start.into_iter().any(|action| covers(seen.judgement, &action.id, effect));
                        self.beside[usize::from(by_start)] += 1;
                    }
                }
                What::Signal { pid, .. } => self.unneeded += usize::from(!hurt(*pid, effect.at_us)),
                What::Job { .. } | What::Set { .. } => {}
            }
        }
    }
}

/// What was seen of one root.
pub(crate) struct Seen<'a> {
    pub(crate) records: &'a [serde_json::Value],
    pub(crate) recording: &'a Recording,
    pub(crate) lives: &'a [Life],
    pub(crate) effects: &'a [Effect],
    pub(crate) judgement: &'a Judgement,
}

/// By the names of its threads.
pub(crate) fn is_supervisor(actor: &str) -> bool {
    actor.starts_with("wbd-supervisord") || actor.starts_with("tokio-")
}

fn lives(life: &Life, at_us: u64) -> bool {
    life.from_us < at_us && life.until_us.is_none_or(|until| at_us < until)
}

fn covers(judgement: &Judgement, id: &str, effect: &Effect) -> bool {
    judgement.spans.get(id).is_some_and(|(first, last)| (*first..=*last).contains(&effect.at_us))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.runs();
        write!(f, "{runs} runs; killed while")?;
        for phase in Phase::ALL {
            write!(f, " {phase:?} {}", self.hit(phase))?;
        }
        write!(f, " ({} of the acting after the effect)", self.after_effect)?;
        write!(f, "; {} effects by {} actions, {} of these by hand", self.effects, self.actions, self.by_hand)?;
        write!(f, "; {} wrong", self.wrongs.len())?;
        let [own, by_hand] = self.beside;
        write!(f, ", {} unneeded signals, {own} + {by_hand} starts beside an agent that worked", self.unneeded)?;
        write!(f, "; held by the budget {} of {runs}, missed {} of {runs}", self.held, self.missed)?;
        for (what, values) in [("agent back", &self.back_ms), ("incident over", &self.ended_ms)] {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let [p50, p95, max] = [50, 95, 100].map(|percent| percentile(&sorted, percent));
            write!(f, "; {what} after p50 {p50}, p95 {p95}, max {max} ms ({} of {runs})", sorted.len())?;
        }
        Ok(())
    }
}
