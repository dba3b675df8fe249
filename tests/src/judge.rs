//! Holds what was recorded on a host against what the ledger says was meant; it reads neither by itself.

mod action;
#[cfg(test)]
mod tests;
mod what;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

pub use action::{Action, actions};
pub use what::What;

/// I3, as the design states it: no action begins later than this after its intent.
pub const START_WITHIN_MS: u64 = 5_000;

/// One effect of a supervisor on its host, with its true time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Microseconds of CLOCK_BOOTTIME.
    pub at_us: u64,
    /// What.
    pub what: What,
}

/// At most so many disruptive actions in any window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The window, milliseconds.
    pub window_ms: u64,
    /// The bound.
    pub most: usize,
}

/// By what is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The host's budgets.
    pub budgets: Vec<Budget>,
    /// Times of effects may be so much too early (`/proc` counts in ticks), microseconds.
    pub early_us: u64,
    /// Times of effects may be so much too late (a message took its time to us), microseconds.
    pub late_us: u64,
    /// An action that is told as done must have been seen: every kind of effect was recorded.
    pub sees_all: bool,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// I1: nobody meant it at that time.
    Unintended(Effect),
    /// I1: what was meant at that time has no such effect.
    OtherThanIntended(Effect, String),
    /// I4: one action, the same effect twice.
    Twice(Effect, String),
    /// I3: begun after the start deadline.
    Late(Effect, String),
    /// I2: more disruptive actions than the budget in one window that ends with this effect.
    OverBudget(Effect, Budget),
    /// Two intents, or two outcomes, of one number.
    SameNumber(String),
    /// The ledger says done, and nothing happened.
    Untrue(String),
    /// An action whose end nobody wrote.
    WithoutOutcome(String),
    /// An incident that did not end and is not held either.
    Unended(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unintended(effect) => write!(f, "no intent for {effect:?}"),
            Self::OtherThanIntended(effect, id) => write!(f, "{id} does not mean {effect:?}"),
            Self::Twice(effect, id) => write!(f, "{id} did it twice: {effect:?}"),
            Self::Late(effect, id) => write!(f, "{id} began after its start deadline: {effect:?}"),
            Self::OverBudget(effect, budget) => write!(f, "{effect:?} is more than {budget:?} allows"),
            Self::SameNumber(id) => write!(f, "two actions are called {id}"),
            Self::Untrue(id) => write!(f, "{id} is told as done, and nothing happened"),
            Self::WithoutOutcome(id) => write!(f, "{id} has no outcome"),
            Self::Unended(incident) => write!(f, "{incident} has no end"),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// Everything that is wrong.
    pub wrongs: Vec<Wrong>,
    /// First and last effect of each action that had any, microseconds.
    pub spans: BTreeMap<String, (u64, u64)>,
}

/// Judges effects (in the order of their times) by the ledger's records (in their order).
#[must_use]
pub fn judge(records: &[Value], effects: &[Effect], rules: &Rules) -> Judgement {
    let (actions, same) = actions(records);
    let mut judgement = Judgement { wrongs: same.into_iter().map(Wrong::SameNumber).collect(), ..Judgement::default() };
    let mut done: BTreeSet<(&str, String)> = BTreeSet::new();
    for effect in effects {
        match owner(&actions, effect, rules) {
            Ok(action) => {
                let span = judgement.spans.entry(action.id.clone()).or_insert((effect.at_us, effect.at_us));
                span.1 = effect.at_us;
                if !done.insert((&action.id, effect.what.sort())) {
                    judgement.wrongs.push(Wrong::Twice(effect.clone(), action.id.clone()));
                }
                if span.0 == effect.at_us && effect.at_us > (action.at_ms + START_WITHIN_MS + 1) * 1_000 + rules.late_us
                {
                    judgement.wrongs.push(Wrong::Late(effect.clone(), action.id.clone()));
                }
            }
            Err(wrong) => judgement.wrongs.push(wrong),
        }
    }
    for action in &actions {
        if action.ended_ms.is_none() {
            judgement.wrongs.push(Wrong::WithoutOutcome(action.id.clone()));
        }
        if rules.sees_all && action.result == "done" && !judgement.spans.contains_key(&action.id) {
            judgement.wrongs.push(Wrong::Untrue(action.id.clone()));
        }
    }
    let over = rules.budgets.iter().flat_map(|budget| over_budget(&actions, effects, &judgement, *budget));
    let over: Vec<Wrong> = over.collect();
    judgement.wrongs.extend(over);
    judgement.wrongs.extend(unended(records));
    judgement
}

/// The action that an effect belongs to: the last one that was meant before it, had not ended, and has such effects.
fn owner<'a>(actions: &'a [Action], effect: &Effect, rules: &Rules) -> Result<&'a Action, Wrong> {
    let at_us = effect.at_us + rules.early_us;
    // The ledger gives whole milliseconds, cut off.
    let under_way = |action: &&Action| {
        let ended = action.ended_ms.is_some_and(|ended| effect.at_us > (ended + 1) * 1_000 + rules.late_us);
        action.at_ms * 1_000 <= at_us && !ended
    };
    let meant: Vec<&Action> = actions.iter().filter(under_way).collect();
    let last = meant.last().ok_or_else(|| Wrong::Unintended(effect.clone()))?;
    let fitting = meant.iter().rev().find(|action| action.may(&effect.what));
    fitting.copied().ok_or_else(|| Wrong::OtherThanIntended(effect.clone(), last.id.clone()))
}

/// True time: by the first effect of each disruptive action that nobody asked for by hand.
fn over_budget(actions: &[Action], effects: &[Effect], judgement: &Judgement, budget: Budget) -> Vec<Wrong> {
    let costly = actions.iter().filter(|action| action.is_disruptive() && !action.by_hand);
    let mut begins: Vec<u64> = costly.filter_map(|action| Some(judgement.spans.get(&action.id)?.0)).collect();
    begins.sort_unstable();
    let too_many = begins.iter().enumerate().filter(|(index, at_us)| {
        let first = index.checked_sub(budget.most).and_then(|before| begins.get(before));
        first.is_some_and(|first| *at_us - first < budget.window_ms * 1_000)
    });
    too_many
        .filter_map(|(_, at_us)| effects.iter().find(|effect| effect.at_us == *at_us))
        .map(|effect| Wrong::OverBudget(effect.clone(), budget))
        .collect()
}

/// Incidents that were opened and not closed exactly once, unless a guard holds them.
fn unended(records: &[Value]) -> Vec<Wrong> {
    let opened = records.iter().filter(|record| record["kind"] == "opened");
    opened
        .filter(|opened| {
            let own: Vec<&Value> = records.iter().filter(|record| record["incident"] == opened["incident"]).collect();
            let ends = own.iter().filter(|record| record["kind"] == "closed").count();
            let held = own.last().is_some_and(|last| last["kind"] == "refused" || last["kind"] == "escalated");
            ends != 1 && !(ends == 0 && held)
        })
        .map(|opened| Wrong::Unended(opened["incident"].as_str().unwrap_or_default().to_owned()))
        .collect()
}
