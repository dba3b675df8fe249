//! One action from its recorded intent to its outcome. Which action, and whether, was decided before.
use std::time::{Duration, Instant};

use wbd_ledger::Recorded;
use wbd_model::action::{Action, AgentStop, Change, CommandRun, SysctlRestore, SysctlSet, UnitRestart};
use wbd_model::entry::{Intent, Outcome};
use wbd_model::incident::ActionId;
use wbd_model::text::chain;
use wbd_model::time::Now;

use crate::done::{Done, Preview};
use crate::error::ActionError;
use crate::process::{Process, ProcessRef};
use crate::program::Parent;
use crate::reach::{Alone, Reach};
use crate::sysctl::Sysctl;
use crate::units::Job;
use crate::{agent, notes, program, units};

/// What became of a execution.
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

/// An action that is not late yet.
struct Execution<'a> {
    intent: &'a Intent,
    /// When its intent was recorded.
    recorded_ms: u64,
    now: &'a Now,
    /// The start deadline, for what has to wait before it can begin.
    start_by: Instant,
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
        let only = |change| Ok(Preview { changes: vec![change], undo: None });
        match action {
            Action::SysctlSet(SysctlSet { key, value, persist }) => {
                self.sysctl(action)?.preview_set(key, *value, *persist)
            }
            Action::SysctlRestore(SysctlRestore { key, value, dropin }) => {
                self.sysctl(action)?.preview_restore(key, *value, dropin.as_deref())
            }
            Action::AgentReload {} => only(self.agent_change(Job::Reload)),
            Action::AgentStart {} => only(self.agent_change(Job::Start)),
            Action::AgentRestart {} => only(self.agent_change(Job::Restart)),
            Action::AgentStop(_) => only(self.agent_change(Job::Stop)),
            Action::UnitRestart(UnitRestart { unit }) => {
                units::allowed(unit)?;
                self.reach.machine(action)?;
                only(change(unit, Job::Restart))
            }
            Action::CommandRun(CommandRun { command, .. }) => only(program::preview(self.reach.root(), command)?),
        }
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
            self.perform(&Execution { intent: &intent, recorded_ms, now, start_by }, current).await
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Done { outcome, detail, spawned, job } = done;
        Report { action: intent.action_id, outcome, detail, spawned, job, took_ms }
    }

    async fn perform(&self, execution: &Execution<'_>, current: Option<ProcessRef>) -> Done {
        self.tried(execution, current).await.unwrap_or_else(|error| Done::new(Outcome::Failed, chain(&error)))
    }

    async fn tried(&self, execution: &Execution<'_>, current: Option<ProcessRef>) -> Result<Done, ActionError> {
        let (intent, start_by) = (execution.intent, execution.start_by);
        let action = &intent.action;
        match action {
            Action::SysctlSet(SysctlSet { key, value, persist }) => {
                self.sysctl(action)?.set(key, *value, *persist, intent.undo.as_ref())
            }
            Action::SysctlRestore(SysctlRestore { key, value, dropin }) => {
                self.sysctl(action)?.restore(key, *value, dropin.as_deref())
            }
            Action::AgentReload {} => Ok(self.agent(Job::Reload, execution, current).await),
            Action::AgentStart {} => Ok(self.start_agent(execution, current).await),
            Action::AgentRestart {} => Ok(self.restart_agent(execution, current).await),
            Action::AgentStop(AgentStop { who }) => Ok(self.stop_agent(who, execution, current).await),
            Action::UnitRestart(UnitRestart { unit }) => {
                units::allowed(unit)?;
                Ok(units::run(self.reach.machine(action)?, unit, Job::Restart, start_by).await)
            }
            Action::CommandRun(CommandRun { command, .. }) => {
                program::run(self.reach.root(), command, self.parent(), start_by).await
            }
        }
    }

    async fn start_agent(&self, execution: &Execution<'_>, current: Option<ProcessRef>) -> Done {
        if execution.intent.takes_back_stop
            && let Err(error) = notes::take_stop_back(self.reach.root(), execution.recorded_ms)
        {
            return Done::new(Outcome::Failed, format!("not begun: the stop cannot be taken back: {}", chain(&error)));
        }
        self.agent(Job::Start, execution, current).await
    }

    async fn restart_agent(&self, execution: &Execution<'_>, current: Option<ProcessRef>) -> Done {
        // The guard looked for a debugger before; here is the last moment to spare its work.
        let tracer = current
            .and_then(|current| Process::open(current).ok().flatten())
            .and_then(|process| process.stopped_by_tracer());
        match tracer {
            Some(tracer) => Done::new(
                Outcome::Aborted,
                format!("not begun: a debugger (process {tracer}) holds the agent; detach it first"),
            ),
            None => self.agent(Job::Restart, execution, current).await,
        }
    }

    async fn stop_agent(&self, who: &str, execution: &Execution<'_>, current: Option<ProcessRef>) -> Done {
        // Noted first: an agent that is found gone without a note is started again.
        if let Err(error) = notes::note_stop(self.reach.root(), who, execution.now.boot_ms, "asked for by hand") {
            return Done::new(Outcome::Failed, format!("not begun: the stop cannot be noted: {error}"));
        }
        let done = self.agent(Job::Stop, execution, current).await;
        let failed = matches!(done.outcome, Outcome::Failed | Outcome::Aborted);
        let runs = || current.is_some_and(|current| matches!(Process::open(current), Ok(Some(_))));
        // It runs on, so its next failure is a failure again.
        if failed
            && runs()
            && let Err(error) = notes::forget_stop(self.reach.root())
        {
            return done.after(&format!("it runs on, and the note of its stop cannot be removed: {error}"));
        }
        done
    }

    /// Why it must not be started: an administrator stopped it meanwhile, or that cannot be told.
    fn unwanted(&self) -> Option<Done> {
        let said = match notes::stop_noted(self.reach.root()) {
            Ok(None) => return None,
            Ok(Some(note)) => format!("not started: it was stopped meanwhile by {}", note.who),
            Err(error) => format!("not started: whether it was stopped meanwhile cannot be told: {error}"),
        };
        Some(Done::new(Outcome::Aborted, said))
    }

    async fn agent(&self, job: Job, execution: &Execution<'_>, current: Option<ProcessRef>) -> Done {
        let starts = match job {
            Job::Start | Job::Restart => true,
            Job::Stop | Job::Reload => false,
        };
        if let Some(done) = self.unwanted().filter(|_| starts) {
            return done;
        }
        match &self.reach {
            Reach::Machine(machine) => units::run(machine, machine.agent_unit(), job, execution.start_by).await,
            Reach::Alone(Alone { agent: program, args, .. }) => match job {
                Job::Start => agent::start(current, program, args),
                Job::Restart => agent::restart(current, program, args, || self.unwanted()).await,
                Job::Reload => agent::reload(current),
                Job::Stop => match agent::stop(current).await {
                    Ok(ended) => Done::new(Outcome::Done, ended),
                    Err(done) => done,
                },
            },
        }
    }

    fn parent(&self) -> Parent {
        match &self.reach {
            Reach::Machine(machine) if machine.root().join("run/systemd/system").is_dir() => Parent::Systemd,
            Reach::Machine(_) | Reach::Alone(_) => Parent::Us,
        }
    }

    fn sysctl(&self, action: &Action) -> Result<Sysctl<'_>, ActionError> {
        Ok(Sysctl::of(self.reach.machine(action)?))
    }

    fn agent_change(&self, job: Job) -> Change {
        match &self.reach {
            Reach::Machine(machine) => change(machine.agent_unit(), job),
            Reach::Alone(alone) => change(&alone.agent.display().to_string(), job),
        }
    }
}

fn change(what: &str, job: Job) -> Change {
    Change { what: what.to_owned(), before: None, after: job.past().to_owned() }
}
