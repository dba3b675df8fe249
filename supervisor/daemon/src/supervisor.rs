//! The loop: takes one event after the other, feeds the watchdog, keeps the schedule. Decisions are the
//! engine's, deeds are `deed`'s, answers are `requests`'s.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use tracing::info;
use wbd_actions::Hands;
use wbd_agent_api::paths;
use wbd_engine::playbook::Bound;
use wbd_engine::round;
use wbd_ledger::Samples;
use wbd_model::check::CheckKey;
use wbd_model::control::STANDALONE;
use wbd_model::entry::{Body, Subject};
use wbd_model::name::{ProfileName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::probe::Probe;
use wbd_model::time::Now;
use wbd_probes::clock::now;
use wbd_probes::{Eyes, Manager};

use crate::checks::{Checks, proving_ms};
use crate::deed::Deed;
use crate::disk::DiskWatch;
use crate::event::Event;
use crate::exits::BUS_TELLS_MS;
use crate::eyes::Lookout;
use crate::jobs::Jobs;
use crate::load::Loaded;
use crate::memory::Memory;
use crate::observed::Observer;
use crate::oom::OomWatch;
use crate::preview::Previews;
use crate::reload::Finding;
use crate::samples::Store;
use crate::telling::Courier;
use crate::unit::UnitView;
use crate::watch::Watch;
use crate::word::ShownPlans;

/// The loop wakes at least this often: the watchdog is fed here and nowhere else.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// A deed that is under way when the supervisor is told to stop gets this long: less than its unit's
/// TimeoutStopSec, and enough for a restart of the agent.
const LAST_DEED: Duration = Duration::from_secs(8);

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
    /// Products that are not here, though something has the name of one.
    pub(crate) alike: Vec<(ProfileName, String)>,
    pub(crate) memory: Memory,
    pub(crate) turns: round::Memory,
    pub(crate) checks: Checks,
    pub(crate) hands: Arc<Hands>,
    pub(crate) deed: Option<Deed>,
    pub(crate) events: Sender<Event>,
    pub(crate) samples: Option<Store>,
    /// What of the looks is kept for rehearsals.
    pub(crate) observer: Observer,
    pub(crate) watch: Watch,
    pub(crate) oom: OomWatch,
    /// The agent's process that the last deed ended.
    pub(crate) asked_exit: Option<u32>,
    /// The check whose playbook an operator asked for, and who.
    pub(crate) asked_by: Option<(CheckKey, String)>,
    /// Last looks before a deed are numbered, so that one that was given up is not taken for a later one.
    pub(crate) relooks: u64,
    /// The products of this host are known; before, there is nothing to report on.
    pub(crate) is_bound: bool,
    /// Looking for products right now, and when it is done next.
    pub(crate) finding: Finding,
    pub(crate) find_ms: u64,
    /// Settings and playbooks are being read again.
    pub(crate) reloading: bool,
    /// SIGHUP came meanwhile.
    pub(crate) reload_again: bool,
    pub(crate) lookout: Lookout,
    /// Tells people of escalations.
    pub(crate) courier: Courier,
    /// Which jobs on the agent's unit are ours.
    pub(crate) jobs: Jobs,
    /// Plans that were shown and may be approved.
    pub(crate) shown: ShownPlans,
    /// When hold files are looked for next, at the latest.
    pub(crate) holds_ms: u64,
    /// Processes that ended, and when, while the bus has not told how.
    pub(crate) untold: Vec<(u32, u64)>,
    unit: Option<UnitView>,
    ledger_retry_ms: u64,
    pub(crate) sample_ms: u64,
    pub(crate) disk: DiskWatch,
    pub(crate) previews: Previews,
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
            courier: Courier::new(&parts.root),
            root: parts.root,
            mode: parts.mode,
            loaded: parts.loaded,
            unseen: Vec::new(),
            alike: Vec::new(),
            memory: parts.memory,
            turns: round::Memory::default(),
            checks: Checks::default(),
            hands: Arc::new(parts.hands),
            deed: None,
            events,
            samples: parts.samples.map(Store::new),
            observer: Observer::default(),
            watch: Watch::default(),
            oom: OomWatch::default(),
            asked_exit: None,
            asked_by: None,
            relooks: 0,
            is_bound: false,
            finding: Finding::No,
            find_ms: started.boot_ms,
            reloading: false,
            reload_again: false,
            untold: Vec::new(),
            jobs: Jobs::default(),
            shown: ShownPlans::default(),
            holds_ms: started.boot_ms,
            unit: None,
            ledger_retry_ms: started.boot_ms,
            sample_ms: started.boot_ms,
            disk: DiskWatch::default(),
            previews: Previews::default(),
            started,
        }
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// In words, why it cannot go on; another start may.
    pub(crate) async fn run(mut self, mut inbox: Receiver<Event>) -> Result<(), String> {
        let body = Body::Started { version: env!("CARGO_PKG_VERSION").to_owned(), mode: self.mode_word().to_owned() };
        self.memory.write(&now(), Subject::default(), body);
        // Before anybody is answered: an entry on its way to the journal looks like one that nobody was told of.
        self.remind();
        self.tell_people(&now());
        self.see_holds();
        if self.mode == Mode::Standalone {
            self.begin_standalone();
        }
        let ended = loop {
            self.look_where_due();
            crate::notify::alive();
            let event = tokio::time::timeout(self.sleep(), inbox.recv()).await;
            match event {
                Ok(None | Some(Event::Stop)) => break Ok(()),
                Ok(Some(Event::Homeless(why))) => break Err(why),
                Ok(Some(event)) => self.take(event),
                Err(_) => {}
            }
            let now = now();
            self.look_after_ledger(&now);
            self.tell_untold(&now);
            self.tell_people(&now);
            self.look_for_holds(&now);
            self.turn();
        };
        info!("stopping");
        self.finish_deed(&mut inbox).await;
        self.end_seen(&now());
        self.memory.anchor_head();
        ended
    }

    pub(crate) fn mode_word(&self) -> &'static str {
        match self.mode {
            Mode::Systemd => "systemd",
            Mode::Standalone => STANDALONE,
        }
    }

    fn sleep(&self) -> Duration {
        let now = now();
        let now_ms = now.boot_ms;
        let untold = self.untold.iter().map(|(_, at_ms)| at_ms + BUS_TELLS_MS);
        let next = self
            .checks
            .next_due_ms()
            .into_iter()
            .chain(untold)
            .chain(self.telling_due_ms(&now))
            .chain([self.sample_ms, self.holds_ms, self.disk.next_ms(now_ms)])
            .min();
        next.map_or(LONGEST_SLEEP, |at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms)).min(LONGEST_SLEEP))
    }

    fn look_where_due(&mut self) {
        let now = now();
        self.ask_disk(now.boot_ms);
        self.find_products(now.boot_ms);
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
                None => {
                    let question = self.question(&probe, &now);
                    self.lookout.ask(probe, question);
                }
            }
        }
    }

    /// Questions that the loop itself can answer: from the ledger, the samples, and what was followed.
    pub(crate) fn own_answer(&self, probe: &Probe, now: &Now) -> Option<Observation> {
        if let Probe::ExitLast(target) = probe {
            return Some(self.last_exit(target, now));
        }
        if let Probe::FdTrend(selector) = probe {
            return self.no_trend(selector);
        }
        if let Probe::ServiceState(service) = probe
            && service.unit.as_deref() == Some(paths::UNIT)
        {
            let manager = match (self.mode, &self.unit) {
                (Mode::Standalone, _) => Manager::None,
                (Mode::Systemd, Some(view)) => Manager::Says(&view.state),
                (Mode::Systemd, None) => Manager::Silent("systemd cannot be reached over the bus"),
            };
            return Some(wbd_probes::agent_service(&self.root, manager));
        }
        None
    }

    /// Asks everything of one check once more, just before a deed. Gives the look's number.
    pub(crate) fn relook(&mut self, bound: &Bound) -> u64 {
        let now = now();
        self.relooks += 1;
        let asked = bound.probes.values().filter(|probe| self.own_answer(probe, &now).is_none());
        let asked = asked.map(|probe| (probe.clone(), self.question(probe, &now))).collect();
        self.lookout.relook(self.relooks, asked);
        self.relooks
    }

    /// The deed under way is ended in order, as far as that is quick: half a restart is no agent.
    async fn finish_deed(&mut self, inbox: &mut Receiver<Event>) {
        let until = tokio::time::Instant::now() + LAST_DEED;
        while self.deed.as_ref().is_some_and(Deed::is_acting) {
            match tokio::time::timeout_at(until, inbox.recv()).await {
                Ok(Some(Event::Acted { subject, report, reply })) => self.acted(subject, report, reply),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Seen { probe, observation, began_ms, took_ms } => {
                self.lookout.answered(&probe);
                self.checks.answer(probe, observation, began_ms, took_ms);
            }
            Event::Relooked { number, answers } => self.go_on(number, answers),
            Event::Found(found) => self.found(found),
            Event::Previewed { of, preview } => self.previewed(*of, preview),
            Event::PlanPreviewed { incident, plan, changes, reply } => {
                let _ = reply.send(self.plan_previewed(incident, *plan, changes));
            }
            Event::Loaded { result, reply } => self.loaded(result, reply),
            Event::Acted { subject, report, reply } => self.acted(subject, report, reply),
            Event::Told { about, of, tries, result } => self.told_people(about, of, tries, result),
            Event::Gone { pid, exit } => self.gone(pid, exit),
            Event::Unit(view) => {
                self.unit = Some(*view);
                self.hasten_agent();
            }
            Event::UnitExit(exit) => self.record_exit(exit),
            Event::JobEnded(job) => self.job_ended(job),
            Event::StoppedByHand { ran } => self.missed_stop(ran),
            Event::StartedByHand => self.missed_start(),
            Event::BusLost => self.unit = None,
            Event::Control { request, who, reply } => self.request(request, &who, reply),
            Event::Disk(trouble) => self.disk_answered(trouble),
            Event::Reload => {
                self.manual(&now(), "reload", "SIGHUP", "settings and playbooks");
                self.reload(None);
            }
            Event::Stop | Event::Homeless(_) => {}
        }
    }

    fn look_after_ledger(&mut self, now: &Now) {
        if !self.memory.degraded.is_empty() && now.boot_ms >= self.ledger_retry_ms {
            self.memory.retry();
            self.ledger_retry_ms = now.boot_ms + self.memory.retry_pause_ms();
        }
    }

    pub(crate) fn manual(&mut self, now: &Now, what: &str, who: &str, params: &str) {
        let body = Body::Manual { what: what.to_owned(), who: who.to_owned(), params: params.to_owned() };
        self.memory.write(now, Subject { target: agent_target(), ..Subject::default() }, body);
    }

    /// Looks at everything that concerns the agent's process now.
    pub(crate) fn hasten_agent(&mut self) {
        let now_ms = now().boot_ms;
        self.checks.hasten(now_ms, |bound| {
            bound.probes.values().any(|probe| matches!(probe, Probe::AgentHealth | Probe::ServiceState(_)))
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
