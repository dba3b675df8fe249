//! Everything that can happen to the supervisor: one closed list, one bounded queue, one loop.
pub(crate) mod loaded;
pub(crate) mod unit;

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use wbd_actions::{Preview, Report};
use wbd_engine::playbook::Bound;
use wbd_engine::state::ActionRequest;
use wbd_ledger::Recorded;
use wbd_model::action::{Action, Change};
use wbd_model::check::CheckKey;
use wbd_model::control::{EscalationTest, Offer, Request, Response};
use wbd_model::entry::{Exit, Outcome, Subject};
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::name::ProfileName;
use wbd_model::observation::{Observation, Observations};
use wbd_model::plan::Plan;
use wbd_model::probe::Probe;
use wbd_model::time::Now;
use wbd_probes::Sighting;

use loaded::{Found, Loaded};
use unit::UnitView;

/// Events that may wait for the loop; senders wait when it is full.
pub(crate) const QUEUE: usize = 256;

/// Something happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something about the checks.
    Check(CheckEvent),
    /// Something about what is done.
    Act(ActEvent),
    /// Something about settings, playbooks and products.
    Products(ProductEvent),
    /// Something about what people are told.
    Tell(NotifyEvent),
    /// Something about the agent.
    Agent(AgentEvent),
    /// Something about what is asked on the control socket.
    Talk(TalkEvent),
    /// Something about the ledger.
    Record(RecordEvent),
    /// Something about what holds actions back.
    Hold(HoldEvent),
    /// The control socket is gone and cannot be made again; why.
    ControlSocketLost(String),
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// Something happened to the checks, or is wanted of them.
#[derive(Debug)]
pub(crate) enum CheckEvent {
    /// Time has passed: what is due is asked.
    TimePassed,
    /// A probe answered.
    Seen {
        /// The question.
        probe: Probe,
        /// Its answer.
        observation: Observation,
        /// When looking began (milliseconds of this boot).
        began_ms: u64,
        /// How long it took (milliseconds).
        took_ms: u64,
    },
    /// Everything that concerns the agent is looked at now.
    Agent,
    /// The agent is judged by what it reports from this moment on (milliseconds of this boot).
    AgentAnew {
        /// That moment.
        from_ms: u64,
    },
    /// This check is looked at now.
    Now(CheckKey),
    /// This check is looked at at this moment at the latest (milliseconds of this boot).
    By(CheckKey, u64),
    /// This check waits for a proof, and is looked at again as soon as what it asks allows.
    Prove(CheckKey),
    /// Everything is looked at now.
    All,
    /// All that this check asks is asked once more, just before an action, as the look of this number.
    Again {
        /// Which last look this is.
        number: u64,
        /// The check.
        bound: Box<Bound>,
    },
    /// From now on these checks are looked at; `is_first`: there were none before.
    Bound {
        /// All of them.
        bounds: Vec<Bound>,
        /// The products of this host were not known before.
        is_first: bool,
    },
    /// Probes use these facts of the site from now on.
    Facts(BTreeMap<String, String>),
}

/// Something happened to what is asked on the control socket.
#[derive(Debug)]
pub(crate) enum TalkEvent {
    /// Somebody asks.
    Asked {
        /// What is asked.
        request: Request,
        /// Who asks, for the ledger.
        who: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Response>,
    },
    /// What a whole plan would change was looked at, step by step, for somebody who may approve it.
    PlanPreviewed {
        /// The incident that waits to do it; `None`: nobody is asked for an approval.
        incident: Option<IncidentId>,
        /// The plan.
        plan: Box<Plan>,
        /// What each of its steps would change.
        changes: Vec<Vec<Change>>,
        /// What the guards said to it.
        offer: Option<Offer>,
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
    },
    /// A pause was lifted, as far as it could be.
    Resumed {
        /// What goes on, or is tried again.
        about: Vec<CheckKey>,
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
    },
    /// This command is for the agent; where it changes something, that is on record.
    CallAgent {
        /// The command, as the agent's socket takes it.
        command: String,
        /// It changes the agent.
        change: bool,
        /// Who waits for the agent's answer.
        reply: oneshot::Sender<Response>,
    },
}

/// Something happened to what people are told.
#[derive(Debug)]
pub(crate) enum NotifyEvent {
    /// The supervisor begins; the one before it may not have got as far as the journal.
    Begun,
    /// The settings name this program.
    Program(Vec<String>),
    /// An escalation is in the ledger.
    Escalated {
        /// What it is about.
        about: Subject,
        /// When it was written.
        at: Now,
        /// Why a person is needed.
        reason: String,
        /// What that person can do.
        guide: Vec<String>,
    },
    /// Nothing but time has passed.
    TimePassed,
    /// Who tells stands in the ledger.
    ProgramRecorded,
    /// The site's program was run for an escalation.
    Ran {
        /// What that is about.
        about: Subject,
        /// When it was written.
        of: Now,
        /// Which try this was.
        tries: u32,
        /// What became of it, or why nobody was notified.
        result: Result<(), String>,
    },
    /// The program is wanted to be run with a made-up incident.
    Test {
        /// Who waits for what becomes of it.
        reply: oneshot::Sender<Response>,
    },
    /// It was.
    Tested {
        /// What became of it.
        test: EscalationTest,
        /// Who waits for that.
        reply: oneshot::Sender<Response>,
    },
}

/// Something happened to what is done.
#[derive(Debug)]
pub(crate) enum ActEvent {
    /// A turn asks for an action.
    Wanted(Box<ActionRequest>),
    /// The observations just before an action.
    Relooked {
        /// Which last look this is.
        number: u64,
        /// Everything its check asks.
        answers: BTreeMap<Probe, Observation>,
    },
    /// What an action would change was looked at.
    Previewed {
        /// Who waits for it.
        of: Box<Asked>,
        /// What it would change, or in words why that cannot be told.
        preview: Result<Preview, String>,
        /// What the host was busy with then; for an action by hand it is not looked at.
        busy: Vec<Sighting>,
    },
    /// Hold files were looked for just before the guards are asked.
    HoldsSeen {
        /// The action.
        want: Box<ActionRequest>,
        /// The last look before it.
        seen: Observations,
        /// What it would change.
        preview: Preview,
    },
    /// Its intent is on disk.
    Recorded {
        /// What it is for.
        subject: Subject,
        /// The intent.
        recorded: Box<Recorded>,
        /// Who waits for its end, if it was asked for by hand.
        reply: Option<oneshot::Sender<Response>>,
    },
    /// Its intent could not be written.
    NotRecorded {
        /// The action.
        action: &'static str,
        /// In words, why not.
        reason: String,
        /// Who waits for it, if it was asked for by hand.
        reply: Option<oneshot::Sender<Response>>,
    },
    /// An action ended.
    Ended {
        /// What it was for.
        subject: Subject,
        /// What became of it.
        report: Report,
        /// Who waits for it, if it was asked for by hand.
        reply: Option<oneshot::Sender<Response>>,
    },
    /// An operator asks for an action.
    ByHand(ByHand),
    /// Somebody asks what a plan would change.
    PlanAsked {
        /// The incident that waits to do it; `None`: nobody is asked for an approval.
        incident: Option<IncidentId>,
        /// The plan.
        plan: Box<Plan>,
        /// How many of its steps are done.
        begun: usize,
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
    },
    /// An action that has not begun is not wanted any more, or has to wait for another one.
    GiveUp,
    /// Nothing came of an action that was wanted.
    Idle,
}

/// An action that an operator asks for.
#[derive(Debug)]
pub(crate) struct ByHand {
    /// The action.
    pub(crate) action: Action,
    /// What it takes back.
    pub(crate) undoes: Option<ActionId>,
    /// Who asked.
    pub(crate) who: String,
    /// Who waits for its end.
    pub(crate) reply: oneshot::Sender<Response>,
}

/// Who waits for a preview.
#[derive(Debug)]
pub(crate) enum Asked {
    /// An action of the engine's.
    ActionRequest {
        /// The action.
        want: Box<ActionRequest>,
        /// The last look before it.
        seen: Observations,
        /// Which preview this is.
        number: u64,
    },
    /// An action by hand.
    ByHand(ByHand),
}

/// Something happened to settings, playbooks and products.
#[derive(Debug)]
pub(crate) enum ProductEvent {
    /// Nothing but time has passed.
    TimePassed,
    /// Which products are there; `None` where looking for them broke off.
    Found(Option<Found>),
    /// An administrator does not want this product checked any more.
    Forget {
        /// Which.
        name: ProfileName,
        /// Who said so.
        who: String,
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
    },
    /// What is known of products is on the disk, or why not.
    Kept(Result<(), String>),
    /// All is to be read again; who waits for it, if it was asked for by hand.
    Reload(Option<oneshot::Sender<Response>>),
    /// Settings and playbooks were read again.
    Loaded {
        /// They, and the products they are for; or every problem.
        result: Result<Box<(Loaded, Found)>, Vec<String>>,
        /// Who waits for it, if it was asked for by hand.
        reply: Option<oneshot::Sender<Response>>,
    },
}

/// Why hold files are looked for.
#[derive(Debug, Clone)]
pub(crate) enum HoldEvent {
    /// Nothing but time has passed.
    TimePassed,
    /// What is there now decides something.
    Wanted,
    /// What the host is busy with was looked at.
    Busy(Vec<Sighting>),
}

/// Something happened to the ledger.
#[derive(Debug)]
pub(crate) enum RecordEvent {
    /// What is wrong with its disk, if anything is.
    DiskAnswered(Option<String>),
    /// Nothing but time has passed.
    TimePassed,
}

/// Something happened to the agent, or to what is done about it.
#[derive(Debug)]
pub(crate) enum AgentEvent {
    /// Its process is gone (its pidfd says so).
    Gone {
        /// Which process.
        pid: u32,
        /// How it ended, where its parent could tell.
        exit: Option<Exit>,
    },
    /// The service manager tells that its process ended, and how.
    Exit(Exit),
    /// Nothing but time has passed.
    TimePassed,
    /// The service manager tells of its unit.
    Unit(Box<UnitView>),
    /// A job on its unit ended; whose it was is not known yet.
    JobEnded(EndedJob),
    /// Somebody stopped its unit while nobody could be asked.
    StoppedByHand {
        /// It was seen to run before.
        ran: bool,
    },
    /// Somebody started it while nobody could be asked.
    StartedByHand,
    /// The bus or the service manager cannot be reached.
    BusLost,
    /// The intent of an action is on disk, and it is being done.
    ActionBegins {
        /// The action, about the agent or not.
        action: Action,
        /// The agent's process at this moment.
        process: Option<u32>,
    },
    /// That action ended.
    ActionEnded {
        /// What became of it.
        outcome: Outcome,
        /// The number of its job.
        job: Option<u32>,
        /// The agent's process, if it is our child now.
        spawned: Option<u32>,
    },
}

/// A job that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndedJob {
    /// Its number.
    pub(crate) id: u32,
    /// What it did.
    pub(crate) effect: Effect,
}

/// What a job did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It stopped the unit; `ran`: there was something to stop.
    Stopped {
        /// The unit was not at rest.
        ran: bool,
    },
    /// The unit runs after it; what it did to it, if anything.
    Runs(Option<&'static str>),
}
