//! Tests of one condition of a rule at a time, on a request and its reply: it fits, it does not, or it cannot be told.
use serde_json::{Value, json};

use super::super::packet::{Here, Packet};
use super::*;
use Tri::{Maybe, No, Yes};

fn here(address: &str) -> Here {
    Here { address: Some(address.parse().unwrap()), interface: Some("eth0".to_owned()) }
}

/// SYN from 192.0.2.10 over eth0 to 198.51.100.7:443.
fn request() -> Packet {
    Packet::request("198.51.100.7:443".parse().unwrap(), &here("192.0.2.10"))
}

fn reply() -> Packet {
    Packet::reply("198.51.100.7:443".parse().unwrap(), &here("192.0.2.10"))
}

fn request_v6() -> Packet {
    Packet::request("[2001:db8::7]:443".parse().unwrap(), &here("2001:db8::10"))
}

fn reply_v6() -> Packet {
    Packet::reply("[2001:db8::7]:443".parse().unwrap(), &here("2001:db8::10"))
}

fn sets(name: &str) -> Option<&'static [Value]> {
    static WEB: std::sync::LazyLock<Vec<Value>> =
        std::sync::LazyLock::new(|| vec![json!(443), json!({"range": [8000, 9000]})]);
    (name == "web").then_some(WEB.as_slice())
}

fn fit(left: &Value, op: &str, right: &Value, packet: &Packet) -> Tri {
    fits(&json!({"left": left, "op": op, "right": right}), packet, &sets)
}

fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

#[test]
fn numbers_are_compared_as_nft_compares_them() {
    let port = payload("tcp", "dport");
    for (op, below, same, above) in [
        ("==", No, Yes, No),
        ("in", No, Yes, No),
        ("!=", Yes, No, Yes),
        ("<", No, No, Yes),
        ("<=", No, Yes, Yes),
        (">", Yes, No, No),
        (">=", Yes, Yes, No),
        ("~", Maybe, Maybe, Maybe),
    ] {
        let seen = [442, 443, 444].map(|wanted| fit(&port, op, &json!(wanted), &request()));
        assert_eq!(seen, [below, same, above], "{op}");
        // Our own port is not known beforehand, and a packet of TCP has none of UDP.
        assert_eq!(fit(&payload("tcp", "sport"), op, &json!(443), &request()), Maybe, "{op}");
        assert_eq!(fit(&payload("udp", "dport"), op, &json!(443), &request()), No, "{op}");
        let expected = if matches!(op, "==" | "in" | "!=") { None } else { Some(Maybe) };
        let address = fit(&payload("ip", "daddr"), op, &json!("198.51.100.7"), &request());
        assert!(expected.is_none_or(|expected| expected == address), "addresses have no order: {op}");
    }
    assert_eq!(fit(&port, "<", &json!("many"), &request()), Maybe);
    for part in ["left", "op", "right"] {
        let mut statement = json!({"left": port, "op": "==", "right": 443});
        assert_eq!(fits(&statement, &request(), &sets), Yes);
        statement.as_object_mut().unwrap().remove(part);
        assert_eq!(fits(&statement, &request(), &sets), Maybe, "without {part}");
    }
}

#[test]
fn flags_are_asked_for_one_by_one_exactly_or_under_a_mask() {
    let flags = payload("tcp", "flags");
    let masked = |mask: Value| json!({"&": [flags, mask]});
    let both = json!({"|": ["syn", "ack"]});
    for (left, op, right, of_request, of_reply) in [
        (flags.clone(), "in", json!("syn"), Yes, Yes),
        (flags.clone(), "in", json!("ack"), No, Yes),
        (flags.clone(), "in", json!(["syn", "rst"]), Yes, Yes),
        (flags.clone(), "in", json!(["fin", "rst"]), No, No),
        (flags.clone(), "in", json!("bold"), Maybe, Maybe),
        (flags.clone(), "==", json!("syn"), Yes, No),
        (flags.clone(), "!=", json!("syn"), No, Yes),
        (flags.clone(), "==", both.clone(), No, Yes),
        (flags.clone(), "==", json!(2), Yes, No),
        (flags.clone(), "==", json!({"range": [1, 3]}), Maybe, Maybe),
        (masked(json!(["fin", "syn", "rst", "ack"])), "==", json!("syn"), Yes, No),
        (masked(both.clone()), "==", both.clone(), No, Yes),
        (masked(json!(["fin", "psh"])), "==", json!(0), Yes, Yes),
        (masked(json!(["ack", "ack"])), "==", json!("ack"), No, Yes),
        (masked(json!({"|": ["ack", "ack"]})), "==", json!("ack"), No, Yes),
        (masked(json!("bold")), "==", json!("syn"), Maybe, Maybe),
        (json!({"&": [payload("udp", "dport"), 255]}), "==", json!(1), No, No),
        (json!({"&": [meta("mark"), 255]}), "==", json!(1), Maybe, Maybe),
        (json!({"&": [flags]}), "==", json!("syn"), Maybe, Maybe),
        (json!({"^": [flags, 1]}), "==", json!("syn"), Maybe, Maybe),
    ] {
        assert_eq!(fit(&left, op, &right, &request()), of_request, "{left} {op} {right}");
        assert_eq!(fit(&left, op, &right, &reply()), of_reply, "{left} {op} {right} (reply)");
    }
}

#[test]
fn a_packet_is_looked_at_where_the_rule_looks() {
    let ours = ["192.0.2.10", "2001:db8::10"];
    let theirs = ["198.51.100.7", "2001:db8::7"];
    let ct = |key: &str| json!({"ct": {"key": key}});
    // For the request, the reply, and both in IPv6.
    for (left, right, expected) in [
        (payload("ip", "saddr"), json!(ours[0]), [Yes, No, No, No]),
        (payload("ip", "daddr"), json!(theirs[0]), [Yes, No, No, No]),
        (payload("ip6", "saddr"), json!(theirs[1]), [No, No, No, Yes]),
        (payload("ip6", "daddr"), json!(ours[1]), [No, No, No, Yes]),
        (payload("ip", "protocol"), json!("tcp"), [Yes, Yes, No, No]),
        (payload("ip6", "nexthdr"), json!("udp"), [No; 4]),
        (payload("ip6", "nexthdr"), json!(6), [No, No, Yes, Yes]),
        (payload("ip", "ttl"), json!(64), [Maybe, Maybe, No, No]),
        (payload("tcp", "sport"), json!(443), [Maybe, Yes, Maybe, Yes]),
        (payload("th", "sport"), json!(80), [Maybe, No, Maybe, No]),
        (payload("th", "dport"), json!(443), [Yes, Maybe, Yes, Maybe]),
        (payload("tcp", "seq"), json!(1), [Maybe; 4]),
        (payload("arp", "htype"), json!(1), [Maybe; 4]),
        (meta("l4proto"), json!("tcp"), [Yes; 4]),
        (meta("l4proto"), json!("udp"), [No; 4]),
        (meta("nfproto"), json!("ipv4"), [Yes, Yes, No, No]),
        (meta("nfproto"), json!("ipv6"), [No, No, Yes, Yes]),
        (meta("oifname"), json!("eth0"), [Yes, Maybe, Yes, Maybe]),
        (meta("oif"), json!("lo"), [No, Maybe, No, Maybe]),
        (meta("iifname"), json!("eth*"), [Maybe, Yes, Maybe, Yes]),
        (meta("iif"), json!("wlan*"), [Maybe, No, Maybe, No]),
        (meta("mark"), json!(1), [Maybe; 4]),
        (ct("state"), json!("new"), [Yes, No, Yes, No]),
        (ct("state"), json!(["established", "related"]), [No, Yes, No, Yes]),
        (ct("direction"), json!("original"), [Yes, No, Yes, No]),
        (ct("direction"), json!("reply"), [No, Yes, No, Yes]),
        (ct("mark"), json!(1), [Maybe; 4]),
        (json!({"fib": {"result": "type"}}), json!("local"), [Maybe; 4]),
    ] {
        let packets = [request(), reply(), request_v6(), reply_v6()];
        assert_eq!(packets.each_ref().map(|packet| fit(&left, "==", &right, packet)), expected, "{left} {right}");
    }
    for protocol in ["udp", "udplite", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "gre"] {
        assert_eq!(fit(&payload(protocol, "x"), "!=", &json!(1), &request()), No, "{protocol}");
    }
    let unknown = Packet { source: None, target: None, interface: None, ..request() };
    for left in [payload("ip", "saddr"), payload("ip", "daddr"), meta("oifname")] {
        assert_eq!(fit(&left, "==", &json!("192.0.2.10"), &unknown), Maybe, "{left}");
    }
}

#[test]
fn addresses_lie_in_a_net_or_a_range_of_their_own_kind() {
    let prefix = |addr: &str, len: u32| json!({"prefix": {"addr": addr, "len": len}});
    let range = |from: &str, to: &str| json!({"range": [from, to]});
    let (v4, v6) = (payload("ip", "daddr"), payload("ip6", "daddr"));
    for (right, expected) in [
        (prefix("198.51.100.0", 24), Yes),
        (prefix("198.51.100.128", 25), No),
        (prefix("198.51.100.0", 29), Yes),
        (prefix("198.51.100.8", 29), No),
        (prefix("198.51.100.7", 32), Yes),
        (prefix("198.51.100.6", 32), No),
        (prefix("10.0.0.0", 0), Yes),
        (prefix("198.51.100.0", 33), Maybe),
        (prefix("2001:db8::", 24), Maybe),
        (json!({"prefix": {"addr": "198.51.100.0"}}), Maybe),
        (range("198.51.100.1", "198.51.100.7"), Yes),
        (range("198.51.100.7", "198.51.100.9"), Yes),
        (range("198.51.100.8", "198.51.100.9"), No),
        (range("198.51.100.1", "198.51.100.6"), No),
        (range("2001:db8::1", "2001:db8::9"), Maybe),
        (range("198.51.100.1", "some-name"), Maybe),
        (json!({"range": ["198.51.100.7"]}), Maybe),
        (json!("198.51.100.8"), No),
        (json!("some-name"), Maybe),
        (json!(7), Maybe),
        (json!(null), Maybe),
    ] {
        assert_eq!(fit(&v4, "==", &right, &request()), expected, "{right}");
    }
    for (right, expected) in [
        (prefix("2001:db8::", 32), Yes),
        (prefix("2001:db9::", 32), No),
        (prefix("::", 0), Yes),
        (prefix("2001:db8::7", 128), Yes),
        (prefix("2001:db8::6", 128), No),
        (prefix("2001:db8::", 129), Maybe),
        (prefix("198.51.100.0", 24), Maybe),
        (range("2001:db8::1", "2001:db8::7"), Yes),
        (range("2001:db8::8", "2001:db8::9"), No),
        (range("198.51.100.1", "198.51.100.9"), Maybe),
    ] {
        assert_eq!(fit(&v6, "==", &right, &request_v6()), expected, "{right}");
    }
}

#[test]
fn sets_named_sets_and_elements_are_looked_into_and_not_without_end() {
    let port = payload("tcp", "dport");
    for (right, expected) in [
        (json!({"set": [80, 443]}), Yes),
        (json!({"set": [80, {"range": [400, 500]}]}), Yes),
        (json!({"set": [80, 81]}), No),
        (json!({"set": [80, {"teleport": 1}]}), Maybe),
        (json!({"set": [80, {"teleport": 1}, 443]}), Yes),
        (json!({"elem": {"val": 443, "counter": {}}}), Yes),
        (json!("@web"), Yes),
        (json!("@gone"), Maybe),
        (json!("443"), Yes),
        (json!("https"), Maybe),
        (json!({"range": [443, 443]}), Yes),
        (json!({"range": [444, 450]}), No),
        (json!({"range": ["a", "b"]}), Maybe),
        (json!(true), Maybe),
    ] {
        assert_eq!(fit(&port, "==", &right, &request()), expected, "{right}");
        assert_eq!(fit(&port, "!=", &right, &request()), expected.not(), "not {right}");
    }
    type Around = fn(Value) -> Value;
    let around: [Around; 3] =
        [|inner| json!([inner]), |inner| json!({"set": [inner]}), |inner| json!({"elem": {"val": inner}})];
    for around in around {
        let nested = |depth: usize| (0..depth).fold(json!(443), |inner, _| around(inner));
        let seen = [0, 1, 8, 9, 20].map(|depth| fit(&port, "==", &nested(depth), &request()));
        assert_eq!(seen, [Yes, Yes, Yes, Maybe, Maybe], "{}", around(json!(443)));
    }
    for (field, expected) in [(Field::Missing, No), (Field::Unknown, Maybe), (Field::Number(80), No)] {
        for right in [json!(443), json!([443]), json!("@web")] {
            assert_eq!(within(&field, &right, &sets, 0), expected, "{field:?} {right}");
        }
    }
}

#[test]
fn names_stand_for_the_numbers_that_the_protocols_give_them() {
    let names = [
        ("fin", 0x01),
        ("syn", 0x02),
        ("rst", 0x04),
        ("psh", 0x08),
        ("ack", 0x10),
        ("urg", 0x20),
        ("ecn", 0x40),
        ("cwr", 0x80),
        ("icmp", 1),
        ("igmp", 2),
        ("tcp", 6),
        ("udp", 17),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("ipv6-icmp", 58),
        ("sctp", 132),
        ("ipv4", 2),
        ("ipv6", 10),
        ("77", 77),
    ];
    for (name, wanted) in names {
        assert_eq!(number(&json!(name)), Some(wanted), "{name}");
    }
    assert_eq!(number(&json!(["fin", "ack", 4])), Some(0x15));
    assert_eq!(number(&json!({"|": ["fin", 2]})), Some(3));
    let none =
        [json!("bold"), json!(-1), json!(["fin", "bold"]), json!({"|": 3}), json!({"|": ["bold"]}), json!({"x": [1]})];
    for value in none.into_iter().chain([json!(true), json!(null)]) {
        assert_eq!(number(&value), None, "{value}");
    }
}

#[test]
fn three_valued_truth_is_no_where_one_side_is_and_yes_where_both_are() {
    for (one, other, both) in
        [(Yes, Yes, Yes), (Yes, No, No), (Yes, Maybe, Maybe), (No, No, No), (No, Maybe, No), (Maybe, Maybe, Maybe)]
    {
        assert_eq!((one.and(other), other.and(one)), (both, both), "{one:?} {other:?}");
    }
    assert_eq!([Yes, No, Maybe].map(Tri::not), [No, Yes, Maybe]);
    for (all, expected) in [(&[][..], No), (&[No, No], No), (&[No, Maybe, No], Maybe), (&[Maybe, Yes], Yes)] {
        assert_eq!(Tri::any(all.iter().copied()), expected, "{all:?}");
    }
}
