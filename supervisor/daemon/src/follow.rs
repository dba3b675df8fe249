//! What an owner wants from the others. The loop in `supervisor` does it, in this order; no owner reaches for another
//! one.
use tokio::sync::oneshot;
use wbd_engine::guard::Permit;
use wbd_engine::state::Hold;
use wbd_model::check::CheckKey;
use wbd_model::control::Response;
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::ActionId;
use wbd_model::name::TargetName;
use wbd_probes::Sighting;

use crate::event::{ActEvent, AgentEvent, CheckEvent, ProductEvent, TalkEvent};

/// Something that follows from an event.
#[derive(Debug)]
pub(crate) enum Follow {
    /// A record is written; what follows after it sees the state with it.
    Write(Subject, Box<Body>),
    /// This goes to the checks.
    Check(CheckEvent),
    /// Hold files are looked for.
    SeeHolds,
    /// The same, beside what the host is busy with.
    SeeBusy(Vec<Sighting>),
    /// This goes to what is done, with the state as it is then.
    Act(ActEvent),
    /// This goes to what is known of the agent.
    Agent(AgentEvent),
    /// The intent of an action is written; only what comes back can act.
    Record {
        /// What the guards permit.
        permit: Box<Permit>,
        /// Who waits for its end, if it was asked for by hand.
        reply: Option<oneshot::Sender<Response>>,
    },
    /// The engine is told that an operator asked for this check's playbook.
    AskedFor(CheckKey),
    /// This goes to what is asked on the control socket, with the state as it is then.
    Talk(TalkEvent),
    /// This goes to the products.
    Products(ProductEvent),
    /// Somebody is told that it is done, and whether that is on disk.
    Say {
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
        /// What is done.
        message: String,
        /// Whose incidents tell what comes of it.
        about: Vec<CheckKey>,
    },
    /// Somebody is answered, once all that stands before this is done and on record. An owner answers by itself only
    /// where nothing else follows.
    Answer {
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
        /// The answer.
        response: Box<Response>,
    },
    /// Somebody is told how the supervisor is.
    Status(oneshot::Sender<Response>),
    /// A pause that the ledger could not take is kept as a hold file, and somebody is told.
    KeepPause {
        /// The pause.
        pause: Box<Hold>,
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
    },
    /// The ledger is set aside, and a new one begun.
    Rotate {
        /// Why.
        reason: String,
        /// Who decided it.
        who: String,
        /// Who waits for it.
        reply: oneshot::Sender<Response>,
    },
    /// The engine knows which action is being done.
    InFlight(Option<ActionId>),
    /// People are told by this program from now on.
    NotifyBy(Vec<String>),
    /// The program that tells people is run with a made-up incident, and somebody is told what became of it.
    TestNotification(oneshot::Sender<Response>),
    /// The ledger begins a new file, if it is time to.
    RotateIfDue,
    /// People are told of what is due, now that it is in the ledger who tells.
    NotifyWhatIsDue,
}

impl Follow {
    /// A record of what somebody did by hand.
    pub(crate) fn manual(what: &str, who: &str, params: &str) -> Self {
        let body = Body::Manual { what: what.to_owned(), who: who.to_owned(), params: params.to_owned() };
        Self::of_agent(body)
    }

    /// A record about our own agent.
    pub(crate) fn of_agent(body: Body) -> Self {
        Self::Write(Subject { target: agent_target(), ..Subject::default() }, Box::new(body))
    }
}

#[cfg(test)]
impl PartialEq for Follow {
    /// What they are about reads the same; checks cannot be compared.
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// Our own agent as a target.
pub(crate) fn agent_target() -> Option<TargetName> {
    TargetName::new("wbd").ok()
}
