//! One action from its recorded intent to its outcome. Which action, and whether, was decided before.
use std::time::{Duration, Instant};

use wbd_ledger::Recorded;
use wbd_model::action::Action;
use wbd_model::entry::{Intent, Outcome};
use wbd_model::incident::ActionId;
use wbd_model::text::chain;
use wbd_model::time::Now;

use crate::action;
use crate::done::Done;
use crate::error::ActionError;
use crate::execution::Execution;
use crate::preview::Preview;
use crate::process::ProcessRef;
use crate::reach::Reach;

/// What became of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an outcome belongs into the ledger"]
pub struct Report {
    /// The execution.
    pub action: ActionId,
    /// What became of it. A deadline that passed and a reply that got lost are `Unknown`.
    pub outcome: Outcome,
    /// In words.
    pub detail: String,
    /// The agent's process, if one was started as our child: to be watched and reaped by the caller.
    pub spawned: Option<u32>,
    /// Number of the service manager's job, if one was asked of it: whoever follows jobs knows it for ours.
    pub job: Option<u32>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

fn left(intent: &Intent, now: &Now) -> Duration {
    Duration::from_millis(intent.start_by_ms.saturating_sub(now.boot_ms))
}

/// Does actions on one host.
#[derive(Debug)]
pub struct Executor {
    reach: Reach,
}

impl Executor {
    /// An executor that reaches so far.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self { reach }
    }

    /// Why this executor can never do this, with the line that a person types instead; `None`: it can.
    #[must_use]
    pub fn beyond(&self, action: &Action) -> Option<String> {
        self.reach.beyond(action).map(|error| error.to_string())
    }

    /// What `action` would change, as the host is now. Changes nothing.
    ///
    /// # Errors
    /// [`ActionError`]: it is not allowed, or what it needs cannot be read.
    pub fn preview(&self, action: &Action) -> Result<Preview, ActionError> {
        action::preview(action, &self.reach)
    }

    /// Does the action of an intent that is on disk, at most once, and says what became of it. `current` is
    /// the agent's process, if one is known to run. Ends by itself: every action has its deadline.
    pub async fn act(&self, recorded: Recorded, now: &Now, current: Option<ProcessRef>) -> Report {
        let begun = Instant::now();
        let Now { boot, boot_ms: recorded_ms, .. } = recorded.entry().at.clone();
        let (_, intent) = recorded.into_intent();
        // I3: a budget counts an intent from its own moment on; a late action would escape it.
        let done = if now.boot != boot {
            Done::new(Outcome::Aborted, "not begun: its intent is of another boot")
        } else if now.boot_ms > intent.start_by_ms {
            let late = now.boot_ms - intent.start_by_ms;
            Done::new(Outcome::Aborted, format!("not begun: {late} ms after its start deadline"))
        } else {
            let start_by = begun + left(&intent, now);
            let execution = Execution { reach: &self.reach, intent: &intent, recorded_ms, now, start_by, current };
            let failed = |error| Done::new(Outcome::Failed, chain(&error));
            action::act(&execution).await.unwrap_or_else(failed)
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Done { outcome, detail, spawned, job } = done;
        Report { action: intent.action_id, outcome, detail, spawned, job, took_ms }
    }
}
