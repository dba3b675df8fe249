//! What an owner wants from the others. The loop in `supervisor` does it, in this order; no owner reaches for another one.
use wbd_model::entry::{Body, Subject};
use wbd_model::name::TargetName;

/// Something that follows from an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Follow {
    /// A record is written; what follows after it sees the state with it.
    Write(Subject, Box<Body>),
    /// Everything that concerns the agent is looked at now.
    LookAtAgent,
    /// Everything is looked at now.
    LookAtAll,
    /// People are told of what is due, now that it is in the ledger who tells.
    TellWhatIsDue,
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

/// Our own agent as a target.
pub(crate) fn agent_target() -> Option<TargetName> {
    TargetName::new("wbd").ok()
}
