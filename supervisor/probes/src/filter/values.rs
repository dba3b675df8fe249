//! Compares one field of a packet with what a rule wants there. What is not understood is "maybe", never "no".
use std::net::IpAddr;

use serde_json::Value;

use super::packet::Packet;

/// Three-valued truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tri {
    Yes,
    No,
    Maybe,
}

impl Tri {
    fn of(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }

    fn any(all: impl Iterator<Item = Self>) -> Self {
        let mut result = Self::No;
        for one in all {
            match one {
                Self::Yes => return Self::Yes,
                Self::Maybe => result = Self::Maybe,
                Self::No => {}
            }
        }
        result
    }
}

/// The value of a rule's left side for a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Address(IpAddr),
    Number(u64),
    /// TCP flags: "in" asks for one of them, "==" for exactly these.
    Flags(u64),
    Name(String),
    /// The packet has no such field, so the rule does not fit, whatever it wants.
    Missing,
    Unknown,
}

/// Elements of a named set; `None` if there is no such set.
pub(crate) type Sets<'s, 'v> = &'s dyn Fn(&str) -> Option<&'v [Value]>;

/// Whether a `match` statement fits the packet.
pub(crate) fn fits(statement: &Value, packet: &Packet, sets: Sets<'_, '_>) -> Tri {
    let (Some(left), Some(right)) = (statement.get("left"), statement.get("right")) else {
        return Tri::Maybe;
    };
    let field = field(left, packet);
    match (statement.get("op").and_then(Value::as_str), &field) {
        (_, Field::Missing) => Tri::No,
        (Some("in"), Field::Flags(flags)) => number(right).map_or(Tri::Maybe, |wanted| Tri::of(flags & wanted != 0)),
        (Some("==" | "in"), _) => within(&field, right, sets, 0),
        (Some("!="), _) => within(&field, right, sets, 0).not(),
        (Some(op), Field::Number(have)) => number(right).map_or(Tri::Maybe, |wanted| match op {
            "<" => Tri::of(*have < wanted),
            ">" => Tri::of(*have > wanted),
            "<=" => Tri::of(*have <= wanted),
            ">=" => Tri::of(*have >= wanted),
            _ => Tri::Maybe,
        }),
        _ => Tri::Maybe,
    }
}

/// Whether the packet's field equals, or lies in, what stands on a rule's right side.
pub(crate) fn within(field: &Field, right: &Value, sets: Sets<'_, '_>, depth: usize) -> Tri {
    // Sets of sets of sets are nobody's rules.
    if depth > 8 || *field == Field::Unknown {
        return Tri::Maybe;
    }
    if *field == Field::Missing {
        return Tri::No;
    }
    let any = |list: &[Value]| Tri::any(list.iter().map(|one| within(field, one, sets, depth + 1)));
    match right {
        Value::Array(list) => any(list),
        Value::String(name) if name.starts_with('@') => name.get(1..).and_then(sets).map_or(Tri::Maybe, any),
        Value::Object(object) => {
            if let Some(Value::Array(list)) = object.get("set") {
                any(list)
            } else if let Some(inner) = object.get("elem").and_then(|elem| elem.get("val")) {
                within(field, inner, sets, depth + 1)
            } else if let Some(prefix) = object.get("prefix") {
                in_prefix(field, prefix)
            } else if let Some(Value::Array(ends)) = object.get("range") {
                in_range(field, ends)
            } else {
                number(right).map_or(Tri::Maybe, |wanted| equals_number(field, wanted))
            }
        }
        Value::Number(_) => number(right).map_or(Tri::Maybe, |wanted| equals_number(field, wanted)),
        Value::String(text) => equals_text(field, text, right),
        Value::Bool(_) | Value::Null => Tri::Maybe,
    }
}

fn equals_number(field: &Field, wanted: u64) -> Tri {
    match field {
        Field::Number(have) | Field::Flags(have) => Tri::of(*have == wanted),
        Field::Address(_) | Field::Name(_) | Field::Missing | Field::Unknown => Tri::Maybe,
    }
}

fn equals_text(field: &Field, text: &str, right: &Value) -> Tri {
    match field {
        Field::Address(have) => text.parse::<IpAddr>().map_or(Tri::Maybe, |wanted| Tri::of(*have == wanted)),
        Field::Name(have) => match text.strip_suffix('*') {
            Some(start) => Tri::of(have.starts_with(start)),
            None => Tri::of(have == text),
        },
        Field::Number(_) | Field::Flags(_) => number(right).map_or(Tri::Maybe, |wanted| equals_number(field, wanted)),
        Field::Missing | Field::Unknown => Tri::Maybe,
    }
}

fn in_prefix(field: &Field, prefix: &Value) -> Tri {
    let address = prefix.get("addr").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let length = prefix.get("len").and_then(Value::as_u64);
    let (Field::Address(have), Some(address), Some(length)) = (field, address, length) else {
        return Tri::Maybe;
    };
    match (bits(*have), bits(address)) {
        ((have, width), (wanted, other)) if width == other && length <= u64::from(width) => {
            let host_bits = u32::try_from(u64::from(width) - length).unwrap_or(0);
            let shifted = |value: u128| value.checked_shr(host_bits).unwrap_or(0);
            Tri::of(shifted(have) == shifted(wanted))
        }
        _ => Tri::Maybe,
    }
}

fn in_range(field: &Field, ends: &[Value]) -> Tri {
    let [from, to] = ends else {
        return Tri::Maybe;
    };
    match field {
        Field::Address(have) => {
            let end = |value: &Value| value.as_str()?.parse::<IpAddr>().ok();
            match (end(from), end(to)) {
                (Some(from), Some(to)) if from.is_ipv4() == have.is_ipv4() => Tri::of((from..=to).contains(have)),
                _ => Tri::Maybe,
            }
        }
        Field::Number(have) => match (number(from), number(to)) {
            (Some(from), Some(to)) => Tri::of((from..=to).contains(have)),
            _ => Tri::Maybe,
        },
        Field::Flags(_) | Field::Name(_) | Field::Missing | Field::Unknown => Tri::Maybe,
    }
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// A number, a protocol's or flag's name, or several flags joined.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => named(text).or_else(|| text.parse().ok()),
        Value::Array(list) => list.iter().try_fold(0, |sum, one| Some(sum | number(one)?)),
        Value::Object(object) => match object.get("|") {
            Some(Value::Array(list)) => list.iter().try_fold(0, |sum, one| Some(sum | number(one)?)),
            _ => None,
        },
        Value::Bool(_) | Value::Null => None,
    }
}

fn named(text: &str) -> Option<u64> {
    Some(match text {
        "fin" => 0x01,
        "syn" => 0x02,
        "rst" => 0x04,
        "psh" => 0x08,
        "ack" => 0x10,
        "urg" => 0x20,
        "ecn" => 0x40,
        "cwr" => 0x80,
        "icmp" => 1,
        "igmp" => 2,
        "tcp" => TCP,
        "udp" => 17,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "icmpv6" | "ipv6-icmp" => 58,
        "sctp" => 132,
        "ipv4" => NFPROTO_IPV4,
        "ipv6" => NFPROTO_IPV6,
        _ => return None,
    })
}

const TCP: u64 = 6;
const NFPROTO_IPV4: u64 = 2;
const NFPROTO_IPV6: u64 = 10;

/// What the packet has where the rule looks.
pub(crate) fn field(left: &Value, packet: &Packet) -> Field {
    if let Some(payload) = left.get("payload") {
        let part = |key| payload.get(key).and_then(Value::as_str).unwrap_or_default();
        return payload_field(part("protocol"), part("field"), packet);
    }
    if let Some(key) = left.get("meta").and_then(|meta| meta.get("key")?.as_str()) {
        return meta_field(key, packet);
    }
    if let Some(key) = left.get("ct").and_then(|ct| ct.get("key")?.as_str()) {
        return match (key, packet.outgoing) {
            ("state", _) => Field::Name(packet.state.to_owned()),
            ("direction", true) => Field::Name("original".to_owned()),
            ("direction", false) => Field::Name("reply".to_owned()),
            _ => Field::Unknown,
        };
    }
    if let Some(Value::Array(parts)) = left.get("&")
        && let [inner, mask] = parts.as_slice()
    {
        return match (field(inner, packet), number(mask)) {
            (Field::Flags(have) | Field::Number(have), Some(mask)) => Field::Number(have & mask),
            (Field::Missing, _) => Field::Missing,
            _ => Field::Unknown,
        };
    }
    Field::Unknown
}

fn payload_field(protocol: &str, name: &str, packet: &Packet) -> Field {
    let address = |address: Option<IpAddr>| address.map_or(Field::Unknown, Field::Address);
    let port = |port: Option<u16>| port.map_or(Field::Unknown, |port| Field::Number(u64::from(port)));
    match (protocol, name) {
        ("ip", _) if !packet.v4 => Field::Missing,
        ("ip6", _) if packet.v4 => Field::Missing,
        ("ip" | "ip6", "saddr") => address(packet.source),
        ("ip" | "ip6", "daddr") => address(packet.target),
        ("ip", "protocol") | ("ip6", "nexthdr") => Field::Number(TCP),
        ("tcp" | "th", "sport") => port(packet.source_port),
        ("tcp" | "th", "dport") => port(packet.target_port),
        ("tcp", "flags") => Field::Flags(packet.flags),
        ("udp" | "udplite" | "icmp" | "icmpv6" | "igmp" | "sctp" | "dccp" | "esp" | "ah" | "comp" | "gre", _) => {
            Field::Missing
        }
        _ => Field::Unknown,
    }
}

fn meta_field(key: &str, packet: &Packet) -> Field {
    let interface = || packet.interface.clone().map_or(Field::Unknown, Field::Name);
    match key {
        "l4proto" => Field::Number(TCP),
        "nfproto" if packet.v4 => Field::Number(NFPROTO_IPV4),
        "nfproto" => Field::Number(NFPROTO_IPV6),
        "oifname" | "oif" if packet.outgoing => interface(),
        "iifname" | "iif" if !packet.outgoing => interface(),
        _ => Field::Unknown,
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
