//! The host's budget of disruptive actions: all of it, what is kept for wbd's own agent, and each product's share.
//! Reads the debits and makes none.
use wbd_model::action::{Action, Class};
use wbd_model::incident::{Guard, Refusal};
use wbd_model::settings::{BudgetWindow, HostBudget, Settings};
use wbd_model::time::Now;

use crate::state::{ActionRequest, Debit, Payer, START_DEADLINE_MS, State};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What an action needs of the budget.
#[derive(Debug)]
pub(super) struct Cost {
    class: Class,
    payer: Payer,
    /// It begins a rung. A product's share is asked for then: half a rung is worse than one restart more.
    begins: bool,
}

impl Cost {
    pub(super) fn of(want: &ActionRequest) -> Self {
        Self {
            class: want.action.class(),
            payer: Payer::of(&want.action, Some(&want.key.target)),
            begins: want.step == 0 && want.undoes.is_none(),
        }
    }

    /// An action that concerns the agent and belongs to no incident.
    pub(super) fn of_the_agent(action: &Action) -> Self {
        Self { class: action.class(), payer: Payer::Agent, begins: true }
    }
}

/// Disruptive actions that the host's budget still allows: in an hour, in a day. For wbd's own agent all of them.
#[must_use]
pub fn budget_left(state: &State, settings: &Settings, now: &Now) -> (u32, u32) {
    let [hour, day] = windows(&settings.budget).map(|window| window.left(state, now));
    (hour, day)
}

/// The same for everything else than wbd's own agent; one product alone may have less.
#[must_use]
pub fn budget_left_to_others(state: &State, settings: &Settings, now: &Now) -> (u32, u32) {
    let [hour, day] = windows(&settings.budget).map(|window| {
        let left = |most: u32, ages: Vec<u64>| most.saturating_sub(u32::try_from(ages.len()).unwrap_or(u32::MAX));
        let others = left(window.bounds.others(), window.ages(state, now, &is_other));
        others.min(left(window.bounds.whole, window.ages(state, now, &|_| true)))
    });
    (hour, day)
}

/// I2 and the shares: an action of class A2 and above has room in each window.
///
/// # Errors
/// Which bound is reached, and until when.
pub(super) fn permits(state: &State, settings: &Settings, now: &Now, cost: &Cost) -> Result<(), Refusal> {
    if cost.class < Class::A2 {
        return Ok(());
    }
    for window in windows(&settings.budget) {
        let BudgetWindow { whole, kept, product } = window.bounds;
        let word = window.word;
        let all = format!("of {whole} restarts in this {word} are spent on this host");
        if cost.payer == Payer::Agent {
            window.has_room(now, whole, &window.against_agent(state, now), &all)?;
            continue;
        }
        window.has_room(now, whole, &window.ages(state, now, &|_| true), &all)?;
        let others = window.bounds.others();
        let reserve = format!(
            "of {others} restarts in this {word} are spent on this host; {kept} more are kept for wbd's own agent"
        );
        window.has_room(now, others, &window.ages(state, now, &is_other), &reserve)?;
        if let (true, Payer::Product(name)) = (cost.begins, &cost.payer) {
            let own = format!("of {product} restarts in this {word} are spent for {name}");
            window.has_room(now, product, &window.ages(state, now, &|payer| *payer == cost.payer), &own)?;
        }
    }
    Ok(())
}

fn is_other(payer: &Payer) -> bool {
    *payer != Payer::Agent
}

/// One window of time with its bounds.
#[derive(Debug, Clone, Copy)]
struct Window {
    ms: u64,
    word: &'static str,
    bounds: BudgetWindow,
}

fn windows(budget: &HostBudget) -> [Window; 2] {
    [
        Window { ms: HOUR_MS, word: "hour", bounds: budget.hour() },
        Window { ms: DAY_MS, word: "day", bounds: budget.day() },
    ]
}

impl Window {
    /// I2: a debit lives as long as the window and the start deadline.
    const fn life_ms(self) -> u64 {
        self.ms + START_DEADLINE_MS
    }

    fn left(self, state: &State, now: &Now) -> u32 {
        let spent = self.against_agent(state, now).len();
        self.bounds.whole.saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX))
    }

    /// What counts against the agent: others have never done more in true time than their bound, so no more of their
    /// debits count. More of them seem to be of one hour after a boot, which all earlier ones count as made at.
    fn against_agent(self, state: &State, now: &Now) -> Vec<u64> {
        let mut ages = self.ages(state, now, &|payer| !matches!(payer, Payer::Product(_)));
        let others = self.ages(state, now, &|payer| matches!(payer, Payer::Product(_)));
        let most = usize::try_from(self.bounds.others()).unwrap_or(usize::MAX);
        ages.extend(others.into_iter().rev().take(most));
        ages.sort_unstable_by(|one, other| other.cmp(one));
        ages
    }

    /// Ages of the debits that count, the oldest first.
    fn ages(self, state: &State, now: &Now, counts: &dyn Fn(&Payer) -> bool) -> Vec<u64> {
        let counted = state.debits.iter().filter(|Debit { payer, .. }| counts(payer));
        let mut ages: Vec<u64> =
            counted.map(|debit| state.age_ms(debit.at_ms, now)).filter(|age| *age <= self.life_ms()).collect();
        ages.sort_unstable_by(|one, other| other.cmp(one));
        ages
    }

    fn has_room(self, now: &Now, most: u32, ages: &[u64], words: &str) -> Result<(), Refusal> {
        let Some(over) = ages.len().checked_sub(usize::try_from(most).unwrap_or(usize::MAX)) else { return Ok(()) };
        // Room comes when so many have ended that one more fits; never, where none is allowed.
        let frees = ages.get(over).filter(|_| most > 0);
        let until_ms = frees.map(|age| now.boot_ms + self.life_ms().saturating_sub(*age) + 1);
        Err(Refusal { guard: Guard::HostBudget, reason: format!("{} {words}", ages.len()), until_ms })
    }
}
