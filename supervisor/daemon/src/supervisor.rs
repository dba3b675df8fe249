//! The loop: takes one event after the other, feeds the watchdog, keeps the schedule. Decisions are the
//! engine's, actions are `act`'s, answers are `requests`'s.
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;
use tracing::{info, warn};
use wbd_actions::Executor;
use wbd_engine::guard::{self, Permit};
use wbd_engine::round;
use wbd_engine::state::Hold;
use wbd_ledger::Samples;
use wbd_model::control::Response;
use wbd_model::entry::{Body, Subject};
use wbd_model::probe::{Probe, dns_servers};
use wbd_model::time::Now;
use wbd_probes::ProbeRunner;
use wbd_probes::clock::now;

use crate::act::action_run::ActionRunner;
use crate::agent::Agent;
use crate::event::loaded::Loaded;
use crate::event::{
    ActEvent, AgentEvent, CheckEvent, Event, HoldEvent, NotifyEvent, ProductEvent, RecordEvent, TalkEvent,
};
use crate::follow::Follow;
use crate::look::check_runner::{Around, CheckRunner};
use crate::look::gap::Gap;
use crate::look::products::Products;
use crate::record::writer::LedgerWriter;
use crate::talk::answer::{done, recorded};
use crate::talk::busy::BusyLook;
use crate::talk::holds::HoldFiles;
use crate::talk::requests::{RequestHandler, rotated};
use crate::tell::notifier::Notifier;
use crate::tell::publish::Publisher;
use crate::view::View;
use wbd_model::control::Mode;

/// The loop wakes at least this often: the watchdog is fed here and nowhere else.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// An action that is under way when the supervisor is told to stop gets this long: less than its unit's
/// TimeoutStopSec, and enough for a restart of the agent.
const LAST_ACTION: Duration = Duration::from_secs(8);

/// The supervisor: state by replay, and what need not survive a crash.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) mode: Mode,
    /// What is known of the agent's process and unit.
    pub(crate) agent: Agent,
    pub(crate) started: Now,
    /// Settings, playbooks and products.
    pub(crate) products: Products,
    /// The ledger, and the state that is replayed from it.
    pub(crate) writer: LedgerWriter,
    pub(crate) timers: round::Timers,
    pub(crate) check_runner: CheckRunner,
    /// What is done, one action at a time.
    pub(crate) action_runner: ActionRunner,
    /// Tells people of escalations.
    pub(crate) notifier: Notifier,
    pub(crate) publisher: Publisher,
    /// What is asked on the control socket.
    pub(crate) requests: RequestHandler,
    /// Hold files that are there.
    pub(crate) hold_files: HoldFiles,
    /// When this loop itself did not run.
    pub(crate) gap: Gap,
}

/// What the other owners know, while one of them is told something.
macro_rules! view {
    ($supervisor:expr) => {
        View {
            mode: $supervisor.mode,
            started: &$supervisor.started,
            agent: &$supervisor.agent,
            products: &$supervisor.products,
            writer: &$supervisor.writer,
            timers: &$supervisor.timers,
            checks: &$supervisor.check_runner.checks,
            check_runner: &$supervisor.check_runner,
            notifier: &$supervisor.notifier,
            is_acting: $supervisor.action_runner.is_acting(),
        }
    };
}

/// What the supervisor is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) root: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) loaded: Loaded,
    pub(crate) writer: LedgerWriter,
    pub(crate) executor: Executor,
    pub(crate) samples: Option<Samples>,
}

/// The unit behind a local name server, from when it was last seen: if it is dead now, only the record knows it.
fn remember_resolver(samples: &Samples, runner: &ProbeRunner) {
    let is_dns = |probe: &Probe| matches!(probe, Probe::DnsServers(_));
    match samples.last_text(is_dns, dns_servers::LOCAL_SEEN) {
        Ok(seen) => seen.iter().for_each(|seen| runner.remember_resolver(seen)),
        Err(error) => warn!("the unit of this host's resolver cannot be read from the samples: {error}"),
    }
}

impl Supervisor {
    pub(crate) fn new(mut parts: Parts, events: Sender<Event>) -> Self {
        parts.writer.watch_disk(events.clone());
        let mut runner = ProbeRunner::new(parts.root.clone());
        runner.facts = parts.loaded.settings.facts.clone();
        if let Some(samples) = &parts.samples {
            remember_resolver(samples, &runner);
        }
        let started = now();
        let seen = wbd_ledger::read_products(&wbd_ledger::state_dir(&parts.root));
        if let Err(why) = &seen {
            warn!(why, "which products were here is not known");
        }
        runner.remember_products(seen, &started.boot);
        Self {
            agent: Agent::new(&parts.root, parts.mode, runner.clone(), events.clone()),
            hold_files: HoldFiles::new(&parts.root, events.clone()),
            requests: RequestHandler::new(&parts.root),
            publisher: Publisher::default(),
            notifier: Notifier::new(
                &parts.root,
                parts.mode,
                parts.loaded.settings.on_escalation.clone(),
                events.clone(),
            ),
            mode: parts.mode,
            products: Products::new(&parts.root, parts.loaded, runner.clone(), events.clone()),
            check_runner: CheckRunner::new(runner, parts.samples, events.clone()),
            writer: parts.writer,
            timers: round::Timers::default(),
            action_runner: ActionRunner::new(parts.executor, BusyLook::new(&parts.root), events),
            gap: Gap::default(),
            started,
        }
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// In words, why it cannot go on; another start may.
    pub(crate) async fn run(mut self, mut inbox: Receiver<Event>) -> Result<(), String> {
        self.begin_life();
        // Before anybody is answered: an entry on its way to the journal looks like one that nobody was notified of.
        self.on_tell(NotifyEvent::Begun, &now());
        self.on_tell(NotifyEvent::TimePassed, &now());
        self.see_holds(HoldEvent::Wanted, &now());
        self.begin_standalone();
        let ended = loop {
            self.wakes(&now());
            self.look_where_due();
            crate::tell::notify::alive();
            let sleep = self.sleep();
            self.gap.sleeps(now().boot_ms + u64::try_from(sleep.as_millis()).unwrap_or(u64::MAX));
            let event = tokio::time::timeout(sleep, inbox.recv()).await;
            self.wakes(&now());
            match event {
                Ok(None | Some(Event::Stop)) => break Ok(()),
                Ok(Some(Event::ControlSocketLost(why))) => break Err(why),
                Ok(Some(event)) => self.take(event),
                Err(_) => {}
            }
            let now = now();
            self.writer.on(RecordEvent::TimePassed, &now);
            self.on_agent(AgentEvent::TimePassed, &now);
            self.on_tell(NotifyEvent::TimePassed, &now);
            self.see_holds(HoldEvent::TimePassed, &now);
            self.turn();
        };
        info!("wbd stops watching this host");
        self.finish_action(&mut inbox).await;
        self.check_runner.ends(&now());
        self.writer.anchor_head();
        ended
    }

    /// The first record of this life.
    pub(crate) fn begin_life(&mut self) {
        let body = Body::Started { version: env!("CARGO_PKG_VERSION").to_owned(), mode: self.mode.as_str().to_owned() };
        self.writer.write(&now(), Subject::default(), body);
    }

    /// Stand-alone the supervisor is the agent's parent: unless one runs already or an administrator
    /// stopped it, it is started. Recorded like any action; the start of the supervisor asked for it, and pays for it
    /// unless it is the agent's first in this boot.
    fn begin_standalone(&mut self) {
        if !self.agent.is_to_be_started() {
            return;
        }
        match guard::permit_first_start(&self.writer.state, &self.products.loaded.settings, &now()) {
            Ok(permit) => self.record(permit, None),
            Err(refusal) => warn!("the agent is not started: {}", refusal.reason),
        }
    }

    fn sleep(&self) -> Duration {
        let now = now();
        let now_ms = now.boot_ms;
        let next = self
            .agent
            .next_ms()
            .into_iter()
            .chain(self.notifier.next_ms(&self.writer.state, &now))
            .chain(self.writer.next_ms(now_ms))
            .chain([self.check_runner.next_ms(), self.hold_files.next_ms()])
            .chain(self.gap.next_ms(now_ms))
            .min();
        next.map_or(LONGEST_SLEEP, |at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms)).min(LONGEST_SLEEP))
    }

    /// What was seen of the agent before a gap of our own counts no more, and an action that was about to begin for it
    /// is thought over.
    pub(crate) fn wakes(&mut self, now: &Now) {
        let Some(until_ms) = self.gap.runs(now.boot_ms) else { return };
        warn!(
            "wbd-supervisord itself did not run for a while; the agent's health is not judged before it could report"
        );
        self.on_check(CheckEvent::AgentAnew { from_ms: until_ms }, now);
        self.on_action(ActEvent::GiveUp, now);
    }

    fn look_where_due(&mut self) {
        let now = now();
        self.on_products(ProductEvent::TimePassed, &now);
        self.agent.watch_over(now.boot_ms);
        self.on_check(CheckEvent::TimePassed, &now);
    }

    /// The action under way is ended in order, as far as that is quick: half a restart is no agent.
    async fn finish_action(&mut self, inbox: &mut Receiver<Event>) {
        let until = tokio::time::Instant::now() + LAST_ACTION;
        while self.action_runner.is_acting() {
            match tokio::time::timeout_at(until, inbox.recv()).await {
                Ok(Some(Event::Act(event @ ActEvent::Ended { .. }))) => self.on_action(event, &now()),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Check(event) => self.on_check(event, &now()),
            Event::Act(event) => self.on_action(event, &now()),
            Event::Products(event) => self.on_products(event, &now()),
            Event::Tell(event) => self.on_tell(event, &now()),
            Event::Agent(event) => self.on_agent(event, &now()),
            Event::Talk(event) => self.on_talk(event, &now()),
            Event::Record(event) => self.writer.on(event, &now()),
            Event::Hold(event) => self.see_holds(event, &now()),
            Event::Reload => {
                self.manual("reload", "SIGHUP", "settings and playbooks");
                self.on_products(ProductEvent::Reload(None), &now());
            }
            Event::Stop | Event::ControlSocketLost(_) => {}
        }
    }

    pub(crate) fn manual(&mut self, what: &str, who: &str, params: &str) {
        self.follow(vec![Follow::manual(what, who, params)]);
    }

    /// The agent's owner is told, and what follows from it is done.
    pub(crate) fn on_agent(&mut self, event: AgentEvent, now: &Now) {
        let follows = self.agent.on(event, &self.writer.state, now);
        self.follow(follows);
    }

    /// The owner of the checks is told.
    pub(crate) fn on_check(&mut self, event: CheckEvent, now: &Now) {
        let around = Around { agent: &self.agent, loaded: &self.products.loaded, state: &self.writer.state };
        self.check_runner.on(event, around, now);
    }

    /// The owner of what is done is told, and what follows from it is done.
    pub(crate) fn on_action(&mut self, event: ActEvent, now: &Now) {
        let view = view!(self);
        let follows = self.action_runner.on(event, &view, now);
        self.follow(follows);
    }

    /// The owner of what is asked is told, and what follows from it is done.
    pub(crate) fn on_talk(&mut self, event: TalkEvent, now: &Now) {
        let view = view!(self);
        let follows = self.requests.on(event, &view, now);
        self.follow(follows);
    }

    /// A pause that the ledger does not take outlives this process all the same.
    fn keep_pause(&mut self, pause: Hold, now: &Now) -> Response {
        if self.writer.degraded.is_empty() {
            return done("paused; wbdctl resume lifts it");
        }
        let placed = self.hold_files.put(pause);
        self.see_holds(HoldEvent::Wanted, now);
        done(placed.words(&self.writer.degraded))
    }

    /// Writes an intent; a supervisor that dies before its outcome finds it.
    fn record(&mut self, permit: Permit, reply: Option<oneshot::Sender<Response>>) {
        let (subject, action, now) = (permit.subject().clone(), permit.intent().action.name(), now());
        let event = match self.writer.record(&now, permit) {
            Ok(recorded) => ActEvent::Recorded { subject, recorded: Box::new(recorded), reply },
            Err(reason) => ActEvent::NotRecorded { action, reason, reply },
        };
        self.on_action(event, &now);
    }

    /// The owner of what people are told is told, and what follows from it is done.
    pub(crate) fn on_tell(&mut self, event: NotifyEvent, now: &Now) {
        let follows = self.notifier.on(event, &self.writer.state, now);
        self.follow(follows);
    }

    /// The owner of the products is told, and what follows from it is done.
    pub(crate) fn on_products(&mut self, event: ProductEvent, now: &Now) {
        let follows = self.products.on(event, &self.writer.state, now);
        self.follow(follows);
    }

    /// What the owners know, to read.
    pub(crate) fn view(&self) -> View<'_> {
        view!(self)
    }

    /// Hold files are looked for, and what follows from it is done.
    pub(crate) fn see_holds(&mut self, event: HoldEvent, now: &Now) {
        let follows = self.hold_files.on(event, &self.writer.state, &self.products.loaded.library, now);
        self.follow(follows);
    }

    /// Does what an owner wants from the others, in its order. The disk may be slow: each thing has a moment of its
    /// own.
    fn follow(&mut self, follows: Vec<Follow>) {
        for follow in follows {
            let now = &now();
            match follow {
                Follow::Write(subject, body) => self.writer.write(now, subject, *body),
                Follow::Check(event) => self.on_check(event, now),
                Follow::SeeHolds => self.see_holds(HoldEvent::Wanted, now),
                Follow::SeeBusy(busy) => self.see_holds(HoldEvent::Busy(busy), now),
                Follow::Act(event) => self.on_action(event, now),
                Follow::Agent(event) => self.on_agent(event, now),
                Follow::Record { permit, reply } => self.record(*permit, reply),
                Follow::AskedFor(key) => self.timers.asked = Some(key),
                Follow::Talk(event) => self.on_talk(event, now),
                Follow::Products(event) => self.on_products(event, now),
                // A peer that went away wants no answer.
                Follow::Say { reply, message, about } => {
                    drop(reply.send(recorded(message, about, &self.writer.degraded)));
                }
                Follow::Answer { reply, response } => drop(reply.send(*response)),
                Follow::Status(reply) => drop(reply.send(Response::Status(Box::new(self.view().status())))),
                Follow::KeepPause { pause, reply } => drop(reply.send(self.keep_pause(*pause, now))),
                Follow::Rotate { reason, who, reply } => {
                    let budget = self.products.loaded.settings.budget;
                    drop(reply.send(rotated(self.writer.rotate(now, &reason, &who, budget))));
                }
                Follow::InFlight(action) => self.timers.in_flight = action,
                Follow::NotifyBy(program) => self.on_tell(NotifyEvent::Program(program), now),
                Follow::RotateIfDue => self.writer.rotate_if_due(now),
                Follow::TestNotification(reply) => self.on_tell(NotifyEvent::Test { reply }, now),
                Follow::NotifyWhatIsDue => self.on_tell(NotifyEvent::ProgramRecorded, now),
            }
        }
    }
}
