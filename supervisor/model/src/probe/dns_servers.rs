//! `dns.servers`: whether the names of the endpoints resolve on this host, and what each name server says of them.
use serde::{Deserialize, Serialize};

use super::declared::{Answered, Binding, Declaration};
use crate::declared::Need;
use crate::observation::{Field, Unit};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parameters {
    /// Host names to ask for, at most 8.
    pub names: Vec<String>,
}

/// The field that tells which unit listens at a local address; what it said last is remembered.
pub const LOCAL_SEEN: &str = "local_seen";

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "dns.servers",
    asks: "Do the names of the endpoints resolve on this host, and what does each name server say of them?",
    parameters: &[],
    needs: &[Need::Endpoints],
    answered: Answered::Host,
    of_host: true,
    costly: true,
    fields: &[
        Field::number("names", Unit::Count, "names that wbd asked for", "names that were asked for"),
        Field::number(
            "resolving",
            Unit::Count,
            "names that resolve",
            "names that the host's own resolver (getaddrinfo, nsswitch) has an address for; under --root what wbd \
             reads in the files there",
        ),
        Field::number(
            "late",
            Unit::Count,
            "names that resolve late",
            "of these, names that the resolver gave no answer for in time and a server has an address for",
        ),
        Field::text(
            "says",
            "the resolver says",
            "what the host's own resolver says of the first name without an address, empty if all have one",
        ),
        Field::text(
            "denier",
            "server that denies first",
            "address of a server that denies a name before a server is asked that knows it, empty if none does",
        ),
        Field::number(
            "named",
            Unit::Count,
            "servers in resolv.conf",
            "name servers that resolv.conf names, of those that are asked; 0 if none, and 127.0.0.1 is asked",
        ),
        Field::number("configured", Unit::Count, "name servers", "name servers that programs ask: three at most"),
        Field::number("answering", Unit::Count, "servers that answer", "servers that gave a usable answer"),
        Field::number(
            "refused",
            Unit::Count,
            "servers that refuse",
            "servers whose port refuses, or that answer REFUSED",
        ),
        Field::number("silent", Unit::Count, "silent servers", "servers that did not answer in time"),
        Field::number("servfail", Unit::Count, "servers that fail", "servers that answer SERVFAIL"),
        Field::number(
            "nxdomain",
            Unit::Count,
            "servers that deny a name",
            "servers that say a name does not exist which another server knows, or that all deny",
        ),
        Field::number(
            "wrong",
            Unit::Count,
            "servers that answer wrongly",
            "servers whose answer does not belong to the question, or has no address where another one has",
        ),
        Field::number("slow", Unit::Count, "slow servers", "servers that answer, but take over a second"),
        Field::number("udp_only", Unit::Count, "servers without TCP", "servers that answer over UDP and not over TCP"),
        Field::number(
            "slowest_ms",
            Unit::Milliseconds,
            "slowest answer",
            "the slowest usable answer in milliseconds; 0 without one",
        ),
        Field::text(
            "first_bad",
            "first bad server",
            "address of the first server that is not usable, empty if all are",
        ),
        Field::text("detail", "each server", "a word for each server: address=result"),
        Field::text(
            "local_unit",
            "local resolver",
            "unit of a resolver on this host that is configured: the one that listens at its address, or was seen \
             there last; empty if none is",
        ),
        Field::flag(
            "local_failed",
            "the unit of the resolver on this host has failed",
            "the unit of the resolver on this host has not failed",
            "that unit has failed",
        ),
        Field::text(
            "local_address",
            "local address",
            "the first configured address that is this host's own, empty if none is",
        ),
        Field::text(LOCAL_SEEN, "local resolver seen", "that address and its unit while the unit listens there"),
        Field::flag(
            "local_missing",
            "the resolver on this host is not installed",
            "the resolver on this host is installed",
            "that address is systemd-resolved's, nobody listens there and this host does not have it",
        ),
    ],
    unknown: "All of it where resolv.conf cannot be read or no server could be asked in time. resolving, late, says \
              and denier where the host's resolver could not be asked. What begins with local_ where the owner of \
              port 53 cannot be told or systemd does not answer.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    // For the host: without a name to ask for there is nothing to be seen, and nothing is not "healthy".
    if binding.profile.is_none() && binding.host_names.is_empty() {
        return None;
    }
    Some(Parameters { names: binding.host_names.to_vec() })
}
