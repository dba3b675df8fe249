//! What an owner wants from the others. The loop in `supervisor` does it, in this order; no owner reaches for another one.
use std::collections::BTreeMap;

use wbd_engine::playbook::Bound;
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Subject};
use wbd_model::name::TargetName;

/// Something that follows from an event.
#[derive(Debug)]
pub(crate) enum Follow {
    /// A record is written; what follows after it sees the state with it.
    Write(Subject, Box<Body>),
    /// Everything that concerns the agent is looked at now.
    LookAtAgent,
    /// This check is looked at now.
    LookAt(CheckKey),
    /// An action that was asked for and has not begun is given up; it is asked for again where it is still wanted.
    GiveUpLooking,
    /// Everything is looked at now.
    LookAtAll,
    /// From now on these checks are looked at; `is_first`: there were none before.
    Bind {
        /// All of them.
        bounds: Vec<Bound>,
        /// The products of this host were not known before.
        is_first: bool,
    },
    /// Looks use these facts of the site from now on.
    LookWith(BTreeMap<String, String>),
    /// People are told by this program from now on.
    TellBy(Vec<String>),
    /// The ledger begins a new file, if it is time to.
    RotateIfDue,
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
