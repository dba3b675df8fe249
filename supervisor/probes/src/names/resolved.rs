//! What became of a name, in one word and in many; how it came to it is not told here.
use std::net::IpAddr;

/// What became of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It has an address.
    Ok,
    /// It is one.
    Literal,
    /// It is not known.
    Nxdomain,
    /// It has no address.
    Empty,
    /// No server gives an answer that can be used.
    Servfail,
    /// No answer in time.
    Silent,
    /// No answer in time, but a server has one: programs that wait get it.
    Late,
    /// The resolver itself fails.
    Failed,
}

impl Word {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Literal => "literal",
            Self::Nxdomain => "nxdomain",
            Self::Empty => "empty",
            Self::Servfail => "servfail",
            Self::Silent => "silent",
            Self::Late => "late",
            Self::Failed => "failed",
        }
    }

    pub(super) fn is_found(self) -> bool {
        matches!(self, Self::Ok | Self::Literal)
    }
}

/// A name, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) word: Word,
    /// What the resolver says, in words.
    pub(crate) says: String,
    /// In the order in which programs try them.
    pub(crate) addresses: Vec<IpAddr>,
    /// What each server says, where they were asked.
    pub(crate) servers: String,
}
