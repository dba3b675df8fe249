//! `net.endpoint`: name, address, TCP ports and ping of one endpoint.
use super::declared::{Answered, Binding, Declaration, Item};
use crate::declared::{Parameter, Takes};
use crate::observation::{Field, Unit};
use crate::profile::Endpoint;

/// Which endpoint.
pub type Parameters = Endpoint;

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "net.endpoint",
    asks: "Name, address, TCP ports and ping of the item of `each`.",
    parameters: &[Parameter {
        name: "endpoint",
        takes: Takes::Endpoint,
        required: true,
        doc: "`endpoint`: the item of `each`.",
    }],
    needs: &[],
    answered: Answered::Host,
    of_host: false,
    costly: true,
    fields: &[
        Field::text(
            "host",
            "host name",
            "the host name that was used (where the side is not known: the one that answered)",
        ),
        Field::word(
            "name",
            "name resolution",
            &["ok", "literal", "nxdomain", "servfail", "silent", "empty", "failed", "late"],
            "what became of the name: ok, literal, nxdomain, servfail, silent, empty, failed, or late where the \
             resolver gave no answer in time and a server has one",
        ),
        Field::text("says", "the resolver says", "what the host's own resolver says of the name, in words"),
        Field::text(
            "servers",
            "name servers",
            "what each name server says of a name that has no address, empty if it has one",
        ),
        Field::text("address", "address", "the address that programs try first, empty if there is none"),
        Field::number("addresses", Unit::Count, "addresses", "how many addresses the name has"),
        Field::word(
            "tcp",
            "TCP connection",
            &["open", "refused", "dropped", "reset", "no-route", "denied", "not-tried"],
            "worst result of the ports; one is open where any address accepts: open, refused, dropped, reset, no-route, denied or not-tried",
        ),
        Field::number("open_ports", Unit::Count, "open ports", "ports that accept"),
        Field::number("bad_ports", Unit::Count, "ports that do not accept", "ports that do not"),
        Field::number("bad_port", Unit::Id, "first port that does not accept", "the first of them; 0 if none"),
        Field::word(
            "ping",
            "ping",
            &["answered", "silent", "no-route", "denied", "not-tried"],
            "answered, silent, no-route, denied, or not-tried",
        ),
        Field::flag(
            "local_drop",
            "a packet filter rule on this host drops the packets",
            "no packet filter rule on this host drops the packets",
            "a packet filter rule on this host drops it",
        ),
        Field::text("rule", "packet filter rule", "that rule, empty if none"),
        Field::text("detail", "each port", "a word for each address and port"),
    ],
    unknown: "The name and what follows from it where the host's resolver could not be asked; the ports where no time was left to \
              try them; ping where it may not be sent; local_drop and rule where there is no address, or where the \
              packet filter cannot be listed or has something in it that wbd cannot follow.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    match binding.item? {
        Item::Endpoint(endpoint) => Some(endpoint.clone()),
        Item::Role { .. } => None,
    }
}
