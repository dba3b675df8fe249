//! The owner of what is known of the agent's process and unit: who runs, who ended and how, whose word that was, and
//! which jobs are ours. Starts and stops nothing.
pub(crate) mod bus;
mod exits;
mod jobs;
mod oom;
mod watch;

use std::path::{Path, PathBuf};

use tokio::sync::mpsc::Sender;
use wbd_actions::{ProcessRef, notes};
use wbd_agent_api::{HealthDocument, ThisBoot, health, paths};
use wbd_engine::state::State;
use wbd_model::action::{Action, OnAgent};
use wbd_model::control::AgentRow;
use wbd_model::entry::Outcome;
use wbd_model::name::TargetName;
use wbd_model::observation::Observation;
use wbd_model::time::Now;
use wbd_probes::{Manager, ProbeRunner, clock};

use crate::event::unit::UnitView;
use crate::event::{AgentEvent, CheckEvent, Effect, EndedJob, Event};
use crate::follow::Follow;
use jobs::{Jobs, Whose};
use oom::OomWatch;
use watch::Watch;
use wbd_model::control::Mode;

/// The bus gets this long to tell how the agent ended before "unknown" is written.
const BUS_TELLS_MS: u64 = 1_500;

/// The agent as it is followed.
#[derive(Debug)]
pub(crate) struct Agent {
    root: PathBuf,
    mode: Mode,
    runner: ProbeRunner,
    events: Sender<Event>,
    watch: Watch,
    oom: OomWatch,
    /// Which jobs on its unit are ours.
    jobs: Jobs,
    /// Its unit, while the service manager can be reached.
    unit: Option<UnitView>,
    /// Processes that ended, and when, while the bus has not told how.
    untold: Vec<(u32, u64)>,
    /// The action that is being done, whatever it is about.
    under_way: Option<UnderWay>,
    /// The agent's process that the last action ended.
    asked_exit: Option<u32>,
}

/// An action that is being done.
#[derive(Debug)]
struct UnderWay {
    action: Action,
    /// The agent's process when it began.
    process: Option<u32>,
}

impl UnderWay {
    /// Whether the agent's unit starts or stops because of it.
    fn touches_agent(&self) -> bool {
        self.action.on_agent().concerns()
    }

    /// Whether it stops the agent's unit for good.
    fn stops_agent(&self) -> bool {
        self.action.on_agent() == OnAgent::Stops
    }

    /// Whether it ends a running agent.
    fn ends_agent(&self) -> bool {
        self.action.on_agent().ends()
    }

    /// Whether this process of the agent ends because of it. One that was not known when it began may be it.
    fn ends(&self, pid: i64) -> bool {
        self.ends_agent() && self.process.is_none_or(|process| i64::from(process) == pid)
    }
}

impl Agent {
    pub(crate) fn new(root: &Path, mode: Mode, runner: ProbeRunner, events: Sender<Event>) -> Self {
        Self {
            root: root.to_owned(),
            mode,
            runner,
            events,
            watch: Watch::default(),
            oom: OomWatch::default(),
            jobs: Jobs::default(),
            unit: None,
            untold: Vec::new(),
            under_way: None,
            asked_exit: None,
        }
    }

    /// Something happened to the agent, or to what is done about it.
    pub(crate) fn on(&mut self, event: AgentEvent, state: &State, now: &Now) -> Vec<Follow> {
        match event {
            AgentEvent::Gone { pid, exit } => self.gone(pid, exit, state, now),
            AgentEvent::Exit(exit) => self.ended(exit, state),
            AgentEvent::TimePassed => self.give_up_waiting(state, now),
            AgentEvent::Unit(view) => {
                self.unit = Some(*view);
                vec![Follow::Check(CheckEvent::Agent)]
            }
            AgentEvent::BusLost => {
                self.unit = None;
                Vec::new()
            }
            AgentEvent::JobEnded(job) => self.job_ended(job, now),
            // What nobody told of may have been an action of ours.
            AgentEvent::StoppedByHand { .. } | AgentEvent::StartedByHand if self.is_in_hand() => Vec::new(),
            AgentEvent::StoppedByHand { ran } => self.note_stop(ran, now),
            AgentEvent::StartedByHand => self.forget_stop(None),
            AgentEvent::ActionBegins { action, process } => {
                self.under_way = Some(UnderWay { action, process });
                Vec::new()
            }
            AgentEvent::ActionEnded { outcome, job, spawned } => self.action_ended(outcome, job, spawned, now),
        }
    }

    fn is_in_hand(&self) -> bool {
        self.under_way.as_ref().is_some_and(UnderWay::touches_agent)
    }

    /// What ended meanwhile and was another job was somebody else's.
    fn action_ended(&mut self, outcome: Outcome, job: Option<u32>, spawned: Option<u32>, now: &Now) -> Vec<Follow> {
        let under_way = self.under_way.take();
        self.asked_exit = under_way.as_ref().filter(|it| it.ends_agent()).and_then(|it| it.process);
        let starts = under_way.is_some_and(|it| it.touches_agent() && !it.stops_agent());
        let is_nameless = starts && job.is_none() && outcome != Outcome::Aborted;
        let waited = self.jobs.own(job, is_nameless, now.boot_ms);
        let follows = waited.into_iter().flat_map(|job| self.job_ended(job, now)).collect();
        if let Some(pid) = spawned {
            self.watch.follow(pid, &self.events);
        }
        follows
    }

    /// A job on the agent's unit ended. Ours are on record by their action; the others are an administrator's.
    fn job_ended(&mut self, job: EndedJob, now: &Now) -> Vec<Follow> {
        // A stop beside an action that stops nothing is known for somebody else's at once, and that action gives way to
        // it.
        let may_be_ours = self.under_way.as_ref().is_some_and(|it| match job.effect {
            Effect::Stopped { .. } => it.stops_agent(),
            Effect::Runs(_) => it.touches_agent(),
        });
        match (self.jobs.whose(job, may_be_ours, now.boot_ms), job.effect) {
            (Whose::Unknown, _) => Vec::new(),
            (Whose::Ours, _) => vec![Follow::Check(CheckEvent::Agent)],
            (Whose::Others, Effect::Stopped { ran }) => self.note_stop(ran, now),
            (Whose::Others, Effect::Runs(what)) => self.forget_stop(what),
        }
    }

    /// Keeps waiting on the process that wrote the health document, and looks at its memory now and then.
    pub(crate) fn watch_over(&mut self, now_ms: u64) {
        if let Some(process) = self.watch.process() {
            self.oom.look(&self.runner, process.pid, now_ms);
            return;
        }
        let Some(document) = self.health_document() else { return };
        if self.runs(document.pid, document.start_ticks) {
            self.watch.follow(document.pid, &self.events);
        }
    }

    /// When there is something to do next.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.untold.iter().map(|(_, at_ms)| at_ms + BUS_TELLS_MS).min()
    }

    /// The agent's process: as its health document names it if that very process still runs, else the one that
    /// is waited on, which may not have got as far as its first document.
    pub(crate) fn process(&self) -> Option<ProcessRef> {
        let told = self.health_document().map(|it| ProcessRef { pid: it.pid, start_ticks: it.start_ticks });
        told.into_iter().chain(self.watch.process()).find(|it| self.runs(it.pid, it.start_ticks))
    }

    /// How it is, for whoever does not get an answer of it.
    pub(crate) fn row(&self) -> AgentRow {
        let process = self.process();
        let is_its = |document: &HealthDocument| process.is_some_and(|process| process.pid == document.pid);
        let document = self.health_document().filter(is_its);
        AgentRow {
            pid: process.map(|process| process.pid),
            silent_ms: document.map(|document| clock::monotonic_ms().saturating_sub(document.heartbeat_ms)),
            stopped_by: notes::stop_noted(&self.root).ok().flatten().map(|note| note.who),
        }
    }

    /// Whether a stand-alone supervisor has to start it: nobody stopped it, and it is not there.
    pub(crate) fn is_to_be_started(&self) -> bool {
        let is_stopped = || !matches!(notes::stop_noted(&self.root), Ok(None));
        let runs = || self.health_document().is_some_and(|it| self.runs(it.pid, it.start_ticks));
        self.mode == Mode::Standalone && !is_stopped() && !runs()
    }

    /// Answer to `exit.last`.
    pub(crate) fn last_exit(&self, target: &TargetName, state: &State, now: &Now) -> Observation {
        state.exit_observation(target, now, self.runner.agent_gone())
    }

    /// Answer to `service.state` for its own unit.
    pub(crate) fn service(&self) -> Observation {
        let manager = match (self.mode, &self.unit) {
            (Mode::Standalone, _) => Manager::None,
            (Mode::Systemd, Some(view)) => Manager::Says(&view.state),
            (Mode::Systemd, None) => Manager::Silent("systemd cannot be reached over the bus"),
        };
        wbd_probes::agent_service(&self.root, manager)
    }

    /// What it said of itself in this boot.
    fn health_document(&self) -> Option<HealthDocument> {
        let this_boot = ThisBoot::now(Path::new("/proc"));
        health::read(&paths::health(&self.root)).ok().filter(|document| document.is_of(&this_boot))
    }

    /// Whether that very process still runs.
    fn runs(&self, pid: u32, start_ticks: u64) -> bool {
        self.runner.still_runs(pid, start_ticks).unwrap_or(false)
    }
}

#[cfg(test)]
#[path = "agent/tests.rs"]
mod tests;
