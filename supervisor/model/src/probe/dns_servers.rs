//! `dns.servers`: whether each configured name server answers for the names of the endpoints.
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

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "dns.servers",
    asks: "Does each configured name server answer for the names of the endpoints?",
    parameters: &[],
    needs: &[Need::Endpoints],
    answered: Answered::Host,
    of_host: true,
    costly: true,
    fields: &[
        Field::number("configured", Unit::Count, "name servers", "name servers in resolv.conf"),
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
            "servers whose answer does not belong to the question or contradicts the others",
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
            "unit of a resolver on this host that is configured, empty if none is",
        ),
        Field::truth("local_failed", "local resolver failed", "that unit has failed"),
    ],
    unknown: "All of it where resolv.conf cannot be read or no server could be asked in time. local_unit and \
              local_failed where the owner of port 53 cannot be told or systemd does not answer.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    // For the host: without a name to ask for there is nothing to be seen, and nothing is not "healthy".
    if binding.profile.is_none() && binding.host_names.is_empty() {
        return None;
    }
    Some(Parameters { names: binding.host_names.to_vec() })
}
