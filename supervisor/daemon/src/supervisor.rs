//! The loop: takes one event after the other, feeds the watchdog, keeps the schedule. Decisions are the
//! engine's, deeds are `deed`'s, answers are `requests`'s.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use tracing::{error, info, warn};
use wbd_actions::{Hands, ProcessRef};
use wbd_agent_api::{health, paths, stop};
use wbd_engine::playbook::Bound;
use wbd_engine::round;
use wbd_ledger::Samples;
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Exit, Subject};
use wbd_model::name::{ProfileName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::probe::Probe;
use wbd_model::time::Now;
use wbd_probes::clock::now;
use wbd_probes::{Eyes, Manager};

use crate::checks::{Checks, proving_ms};
use crate::deed::Deed;
use crate::event::Event;
use crate::eyes::Lookout;
use crate::load::{self, Loaded};
use crate::memory::Memory;
use crate::unit::UnitView;
use crate::watch::Watch;

/// The loop wakes at least this often: the watchdog is fed here and nowhere else.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// A ledger that could not be used is tried again this often.
const LEDGER_RETRY_MS: u64 = 2_000;
/// The bus gets this long to tell how the agent ended before "unknown" is written.
const BUS_TELLS_MS: u64 = 1_500;
/// Products may come and go.
const REBIND_MS: u64 = 60_000;

/// How the supervisor was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Units over D-Bus.
    Systemd,
    /// Parent of the agent; no systemd, no bus, no root needed.
    Standalone,
}

/// The supervisor: state by replay, and what need not survive a crash.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) root: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) started: Now,
    pub(crate) loaded: Loaded,
    pub(crate) unseen: Vec<(ProfileName, String)>,
    pub(crate) memory: Memory,
    pub(crate) turns: round::Memory,
    pub(crate) checks: Checks,
    pub(crate) hands: Arc<Hands>,
    pub(crate) deed: Option<Deed>,
    pub(crate) events: Sender<Event>,
    pub(crate) samples: Option<Samples>,
    pub(crate) watch: Watch,
    /// The agent's process that the last deed ended.
    pub(crate) asked_exit: Option<u32>,
    /// The check whose playbook an operator asked for, and who.
    pub(crate) asked_by: Option<(CheckKey, String)>,
    unit: Option<UnitView>,
    lookout: Lookout,
    untold: Option<(u32, u64)>,
    ledger_retry_ms: u64,
    rebind_ms: u64,
    sample_ms: u64,
}

/// What the supervisor is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) root: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) loaded: Loaded,
    pub(crate) memory: Memory,
    pub(crate) hands: Hands,
    pub(crate) samples: Option<Samples>,
}

impl Supervisor {
    pub(crate) fn new(parts: Parts, events: Sender<Event>) -> Self {
        let mut eyes = Eyes::new(parts.root.clone());
        eyes.facts = parts.loaded.settings.facts.clone();
        let started = now();
        Self {
            lookout: Lookout::new(eyes, events.clone()),
            root: parts.root,
            mode: parts.mode,
            loaded: parts.loaded,
            unseen: Vec::new(),
            memory: parts.memory,
            turns: round::Memory::default(),
            checks: Checks::default(),
            hands: Arc::new(parts.hands),
            deed: None,
            events,
            samples: parts.samples,
            watch: Watch::default(),
            asked_exit: None,
            asked_by: None,
            unit: None,
            untold: None,
            ledger_retry_ms: started.boot_ms,
            rebind_ms: started.boot_ms,
            sample_ms: started.boot_ms,
            started,
        }
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(mut self, mut inbox: Receiver<Event>) {
        let body = Body::Started { version: env!("CARGO_PKG_VERSION").to_owned(), mode: self.mode_word().to_owned() };
        self.memory.write(&now(), Subject::default(), body);
        self.rebind(now().boot_ms);
        if self.mode == Mode::Standalone {
            self.begin_standalone();
        }
        loop {
            self.look_where_due();
            crate::notify::alive();
            let event = tokio::time::timeout(self.sleep(), inbox.recv()).await;
            match event {
                Ok(None | Some(Event::Stop)) => break,
                Ok(Some(event)) => self.take(event),
                Err(_) => {}
            }
            self.look_after_ledger();
            self.turn();
        }
        info!("stopping");
        self.memory.anchor_head();
    }

    pub(crate) fn mode_word(&self) -> &'static str {
        match self.mode {
            Mode::Systemd => "systemd",
            Mode::Standalone => "standalone",
        }
    }

    fn sleep(&self) -> Duration {
        let now_ms = now().boot_ms;
        let untold = self.untold.map(|(_, at_ms)| at_ms + BUS_TELLS_MS);
        let next = self.checks.next_due_ms().into_iter().chain(untold).chain([self.sample_ms]).min();
        next.map_or(LONGEST_SLEEP, |at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms)).min(LONGEST_SLEEP))
    }

    fn look_where_due(&mut self) {
        let now = now();
        if now.boot_ms >= self.rebind_ms {
            self.rebind(now.boot_ms);
        }
        if now.boot_ms >= self.sample_ms {
            self.sample_ms = now.boot_ms + self.loaded.settings.sample_every.as_ms();
            self.take_samples(&now);
        }
        self.follow_agent();
        let mut probes = self.checks.due(now.boot_ms);
        probes.extend(self.checks.stale());
        for probe in probes {
            match self.own_answer(&probe, &now) {
                Some(observation) => self.checks.answer(probe, observation, now.boot_ms, 0),
                None => self.lookout.ask(probe),
            }
        }
    }

    /// Questions that the loop itself can answer: from the ledger, the samples, and what was followed.
    pub(crate) fn own_answer(&self, probe: &Probe, now: &Now) -> Option<Observation> {
        match probe {
            Probe::ExitLast(target) => Some(self.memory.state.exit_observation(target, now)),
            Probe::ServiceState { unit } if unit.as_deref() == Some(paths::UNIT) => {
                let manager = match (self.mode, &self.unit) {
                    (Mode::Standalone, _) => Manager::None,
                    (Mode::Systemd, Some(view)) => Manager::Says(&view.state),
                    (Mode::Systemd, None) => Manager::Silent("systemd cannot be reached over the bus"),
                };
                Some(wbd_probes::agent_service(&self.root, manager, &now.boot.0))
            }
            Probe::FdTrend(selector) => Some(crate::samples::trend(self, selector, now)),
            Probe::ProcessState(_)
            | Probe::AgentHealth
            | Probe::ServiceState { .. }
            | Probe::InotifyUsage(_)
            | Probe::DnsServers { .. }
            | Probe::NetEndpoint(_)
            | Probe::FdUsage(_)
            | Probe::VersionPair { .. } => None,
        }
    }

    /// Asks everything of one check once more, just before a deed.
    pub(crate) fn relook(&self, bound: &Bound) {
        let now = now();
        let asked = bound.probes.values().filter(|probe| self.own_answer(probe, &now).is_none()).cloned();
        self.lookout.relook(asked.collect());
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Seen { probe, observation, began_ms, took_ms } => {
                self.lookout.answered(&probe);
                self.checks.answer(probe, observation, began_ms, took_ms);
            }
            Event::Relooked { answers, began_ms } => self.go_on(answers, began_ms),
            Event::Acted { subject, report, reply } => self.acted(subject, report, reply),
            Event::Gone { pid, exit } => self.gone(pid, exit),
            Event::Unit(view) => {
                self.unit = Some(*view);
                self.hasten_agent();
            }
            Event::UnitExit(exit) => self.record_exit(exit),
            Event::StoppedByHand => self.note_stop(),
            Event::StartedByHand => self.forget_stop(),
            Event::BusLost => self.unit = None,
            Event::Control { request, who, reply } => self.request(request, &who, reply),
            Event::Reload => {
                if let Err(problems) = self.reload() {
                    error!(problems = problems.len(), first = problems.first(), "reload refused, the old set stays");
                }
            }
            Event::Stop => {}
        }
    }

    /// Reads settings and playbooks again; the old set stays if anything is broken.
    pub(crate) fn reload(&mut self) -> Result<usize, Vec<String>> {
        let loaded = load::load(&self.root)?;
        if !loaded.problems.is_empty() {
            return Err(loaded.problems);
        }
        self.loaded = loaded;
        let mut eyes = Eyes::new(self.root.clone());
        eyes.facts = self.loaded.settings.facts.clone();
        self.lookout = Lookout::new(eyes, self.events.clone());
        self.rebind(now().boot_ms);
        info!(playbooks = self.loaded.library.playbooks.len(), "reloaded");
        Ok(self.loaded.library.playbooks.len())
    }

    fn rebind(&mut self, now_ms: u64) {
        self.rebind_ms = now_ms + REBIND_MS;
        self.memory.rotate_if_due(&now());
        let mut eyes = Eyes::new(self.root.clone());
        eyes.facts = self.loaded.settings.facts.clone();
        let (bounds, unseen) = load::bind(&self.loaded, &eyes);
        self.unseen = unseen;
        let same = bounds.len() == self.checks.all.len()
            && bounds
                .iter()
                .zip(&self.checks.all)
                .all(|(new, old)| new.key == old.bound.key && new.digest == old.bound.digest);
        if !same {
            self.checks.replace(bounds, now_ms);
        }
    }

    fn look_after_ledger(&mut self) {
        let now = now();
        if !self.memory.degraded.is_empty() && now.boot_ms >= self.ledger_retry_ms {
            self.ledger_retry_ms = now.boot_ms + LEDGER_RETRY_MS;
            self.memory.retry();
        }
        if let Some((pid, at_ms)) = self.untold
            && now.boot_ms >= at_ms + BUS_TELLS_MS
        {
            self.untold = None;
            let exit = Exit {
                pid: i64::from(pid),
                how: wbd_model::entry::ExitHow::Unknown,
                code: -1,
                asked: false,
                by: String::new(),
            };
            self.record_exit(exit);
        }
    }

    /// The process that wrote the health document is the one to wait on.
    fn follow_agent(&mut self) {
        if self.watch.pid().is_some() {
            return;
        }
        let Ok(document) = health::read(&paths::health(&self.root)) else { return };
        if document.boot_id == now().boot.0 && self.runs(document.pid, document.start_ticks) {
            self.watch.follow(document.pid, &self.events);
        }
    }

    /// The agent's process as its health document names it, if that very process still runs.
    pub(crate) fn agent_process(&self) -> Option<ProcessRef> {
        let document = health::read(&paths::health(&self.root)).ok()?;
        self.runs(document.pid, document.start_ticks)
            .then_some(ProcessRef { pid: document.pid, start_ticks: document.start_ticks })
    }

    /// Whether that very process still runs.
    pub(crate) fn runs(&self, pid: u32, start_ticks: u64) -> bool {
        Eyes::new(self.root.clone()).still_runs(pid, start_ticks).unwrap_or(false)
    }

    fn gone(&mut self, pid: u32, exit: Option<Exit>) {
        self.watch.forget();
        match (self.mode, exit) {
            (Mode::Standalone, exit) => {
                let unknown = Exit {
                    pid: i64::from(pid),
                    how: wbd_model::entry::ExitHow::Unknown,
                    code: -1,
                    asked: false,
                    by: String::new(),
                };
                self.record_exit(exit.unwrap_or(unknown));
            }
            (Mode::Systemd, _) => self.untold = Some((pid, now().boot_ms)),
        }
        self.hasten_agent();
    }

    fn record_exit(&mut self, mut exit: Exit) {
        if self.untold.is_some_and(|(pid, _)| i64::from(pid) == exit.pid) {
            self.untold = None;
        }
        let now = now();
        let target = agent_target();
        let known = self
            .memory
            .state
            .exits
            .iter()
            .any(|(_, _, old)| old.pid == exit.pid && old.how != wbd_model::entry::ExitHow::Unknown);
        if known {
            return;
        }
        let ours = self.deed.as_ref().is_some_and(Deed::touches_agent)
            || self.asked_exit.is_some_and(|pid| i64::from(pid) == exit.pid);
        if ours {
            exit.asked = true;
            exit.by = "wbd".to_owned();
        } else if let Ok(Some(note)) = stop::read(&paths::stop_note(&self.root), &now.boot.0) {
            exit.asked = true;
            exit.by = note.who;
        }
        warn!(pid = exit.pid, how = exit.how.as_str(), code = exit.code, asked = exit.asked, "the agent ended");
        let subject = Subject { target, ..Subject::default() };
        self.memory.write(&now, subject, Body::Exit(exit));
        self.hasten_agent();
    }

    /// A stop job that was not ours is an administrator's word, and is respected.
    fn note_stop(&mut self) {
        if self.deed.as_ref().is_some_and(Deed::touches_agent) {
            return;
        }
        let now = now();
        let path = paths::stop_note(&self.root);
        if matches!(stop::read(&path, &now.boot.0), Ok(Some(_))) {
            return;
        }
        let note = stop::StopNote {
            who: "systemctl".to_owned(),
            uid: 0,
            boot_id: now.boot.0.clone(),
            at_ms: now.boot_ms,
            reason: "a stop job on the bus".to_owned(),
        };
        if let Err(error) = stop::write(&path, &note) {
            error!(%error, "the administrator's stop could not be noted");
        }
        self.manual(&now, "agent.stop", "systemctl", "a stop job on the bus");
        self.hasten_agent();
    }

    fn forget_stop(&mut self) {
        let now = now();
        let path = paths::stop_note(&self.root);
        if matches!(stop::read(&path, &now.boot.0), Ok(Some(_))) {
            if let Err(error) = stop::remove(&path) {
                warn!(%error, "the note of an earlier stop could not be removed");
            }
            self.manual(&now, "agent.start", "systemctl", "a start job on the bus");
        }
        self.hasten_agent();
    }

    pub(crate) fn manual(&mut self, now: &Now, what: &str, who: &str, params: &str) {
        let body = Body::Manual { what: what.to_owned(), who: who.to_owned(), params: params.to_owned() };
        self.memory.write(now, Subject { target: agent_target(), ..Subject::default() }, body);
    }

    /// Looks at everything that concerns the agent's process now.
    pub(crate) fn hasten_agent(&mut self) {
        let now_ms = now().boot_ms;
        self.checks.hasten(now_ms, |bound| {
            bound.probes.values().any(|probe| matches!(probe, Probe::AgentHealth | Probe::ServiceState { .. }))
        });
    }

    /// Looks at one check after a while (backoff, verification, hold time).
    pub(crate) fn hasten_check(&mut self, key: &CheckKey, at_ms: u64) {
        self.checks.hasten(at_ms, |bound| bound.key == *key);
    }

    /// Looks again soon at a check that waits for a proof.
    pub(crate) fn prove(&mut self, key: &CheckKey) {
        let pause = self.checks.get(key).map_or(1_000, |check| proving_ms(&check.bound));
        self.hasten_check(key, now().boot_ms + pause);
    }
}

/// Our own agent as a target.
pub(crate) fn agent_target() -> Option<TargetName> {
    TargetName::new("wbd").ok()
}
