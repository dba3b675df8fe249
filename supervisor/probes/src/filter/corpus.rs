//! Rule sets as nft lists them, each with what becomes of a connection; evaluated without any host.
use super::judge;
use super::packet::Here;
use super::rules::Ruleset;

/// A base chain of the output hook.
fn chain(family: &str, name: &str, hook: &str, policy: &str) -> String {
    format!(
        r#"{{"chain":{{"family":"{family}","table":"filter","name":"{name}","handle":1,"type":"filter","hook":"{hook}","prio":0,"policy":"{policy}"}}}}"#
    )
}

fn sub(name: &str) -> String {
    format!(r#"{{"chain":{{"family":"inet","table":"filter","name":"{name}","handle":9}}}}"#)
}

fn rule(family: &str, chain: &str, expr: &str) -> String {
    format!(r#"{{"rule":{{"family":"{family}","table":"filter","chain":"{chain}","handle":7,"expr":[{expr}]}}}}"#)
}

fn cmp(left: &str, op: &str, right: &str) -> String {
    format!(r#"{{"match":{{"op":"{op}","left":{left},"right":{right}}}}}"#)
}

fn payload(protocol: &str, field: &str) -> String {
    format!(r#"{{"payload":{{"protocol":"{protocol}","field":"{field}"}}}}"#)
}

fn meta(key: &str) -> String {
    format!(r#"{{"meta":{{"key":"{key}"}}}}"#)
}

const STATE: &str = r#"{"ct":{"key":"state"}}"#;
const DROP: &str = r#"{"drop":null}"#;
const ACCEPT: &str = r#"{"accept":null}"#;

/// `Some(true)` dropped, `Some(false)` not, `None` cannot be told; with the rule or the reason.
fn fate_at(place: &str, items: &[String]) -> (Option<bool>, String) {
    let mut all = vec![r#"{"metainfo":{}}"#.to_owned()];
    all.extend(items.iter().cloned());
    let listing = format!(r#"{{"nftables":[{}]}}"#, all.join(","));
    let ruleset = Ruleset::parse(listing.as_bytes()).unwrap();
    let here = Here { address: Some("192.0.2.10".parse().unwrap()), interface: Some("eth0".to_owned()) };
    match judge(&ruleset, place.parse().unwrap(), &here) {
        Ok(Some(rule)) => (Some(true), rule),
        Ok(None) => (Some(false), String::new()),
        Err(reason) => (None, reason),
    }
}

fn output(rules: &[&str]) -> (Option<bool>, String) {
    let mut items = vec![chain("inet", "output", "output", "accept")];
    items.extend(rules.iter().map(|expr| rule("inet", "output", expr)));
    fate_at("198.51.100.7:443", &items)
}

#[test]
fn nothing_drops_where_there_are_no_rules() {
    assert_eq!(fate_at("198.51.100.7:443", &[]).0, Some(false));
    assert_eq!(output(&[]).0, Some(false));
}

#[test]
fn a_rule_that_surely_fits_is_named() {
    let daddr = payload("ip", "daddr");
    let dport = payload("tcp", "dport");
    let net = r#"{"prefix":{"addr":"198.51.100.0","len":24}}"#;
    let seen = output(&[&[cmp(&daddr, "==", net), DROP.into()].join(",")]);
    let text = "table inet filter chain output handle 7: ip daddr 198.51.100.0/24 drop";
    assert_eq!(seen, (Some(true), text.to_owned()));
    for (name, expr) in [
        ("all", DROP.to_owned()),
        ("reject", r#"{"counter":{"packets":1,"bytes":2}},{"reject":{"type":"tcp reset"}}"#.to_owned()),
        ("address", format!("{},{DROP}", cmp(&daddr, "==", "\"198.51.100.7\""))),
        ("port set", format!("{},{DROP}", cmp(&dport, "==", r#"{"set":[80,443]}"#))),
        ("port range", format!("{},{DROP}", cmp(&dport, "==", r#"{"range":[400,500]}"#))),
        ("not a port", format!("{},{DROP}", cmp(&dport, "!=", "80"))),
        ("port below", format!("{},{DROP}", cmp(&dport, "<", "1024"))),
        ("new", format!("{},{DROP}", cmp(STATE, "in", "\"new\""))),
        ("interface", format!("{},{DROP}", cmp(&meta("oifname"), "==", "\"eth*\""))),
        ("own address", format!("{},{DROP}", cmp(&payload("ip", "saddr"), "==", "\"192.0.2.10\""))),
        ("protocol", format!("{},{DROP}", cmp(&meta("l4proto"), "==", "\"tcp\""))),
        (
            "syn",
            format!(
                "{},{DROP}",
                cmp(&format!(r#"{{"&":[{},["syn","ack"]]}}"#, payload("tcp", "flags")), "==", "\"syn\"")
            ),
        ),
    ] {
        assert_eq!(output(&[&expr]).0, Some(true), "{name}");
    }
}

#[test]
fn a_rule_that_surely_does_not_fit_drops_nothing() {
    for (name, expr) in [
        ("other net", cmp(&payload("ip", "daddr"), "==", r#"{"prefix":{"addr":"10.0.0.0","len":8}}"#)),
        ("other family", cmp(&payload("ip6", "daddr"), "!=", "\"::1\"")),
        ("other protocol", cmp(&payload("udp", "dport"), "==", "443")),
        ("other port", cmp(&payload("tcp", "dport"), "==", "25")),
        ("other interface", cmp(&meta("oifname"), "==", "\"lo\"")),
        ("other state", cmp(STATE, "in", r#"["invalid","untracked"]"#)),
    ] {
        assert_eq!(output(&[&format!("{expr},{DROP}")]).0, Some(false), "{name}");
    }
}

#[test]
fn what_is_not_understood_is_unclear_and_not_passing() {
    for (name, expr) in [
        ("user", format!("{},{DROP}", cmp(&meta("skuid"), "==", "0"))),
        ("limit", format!(r#"{{"limit":{{"rate":1}}}},{DROP}"#)),
        ("fib", format!("{},{DROP}", cmp(r#"{"fib":{"result":"type","flags":"daddr"}}"#, "==", "\"local\""))),
        ("iptables match", format!(r#"{{"xt":{{"type":"match","name":"owner"}}}},{DROP}"#)),
        ("iptables target", r#"{"xt":{"type":"target","name":"NFQUEUE"}}"#.to_owned()),
        ("queue", r#"{"queue":{"num":1}}"#.to_owned()),
        ("set unknown", format!("{},{DROP}", cmp(&payload("ip", "daddr"), "==", "\"@gone\""))),
        ("future", r#"{"teleport":{}}"#.to_owned()),
        ("redirect", r#"{"redirect":{"port":1}}"#.to_owned()),
    ] {
        let (fate, reason) = output(&[&expr]);
        assert_eq!(fate, None, "{name}");
        assert!(reason.contains("handle 7"), "{name}: {reason}");
    }
    // The unclear rule does not matter where a later one drops all the same.
    let maybe = format!("{},{DROP}", cmp(&meta("skuid"), "==", "0"));
    assert_eq!(output(&[&maybe, DROP]).0, Some(true));
    let maybe = format!("{},{ACCEPT}", cmp(&meta("skuid"), "==", "0"));
    assert_eq!(output(&[&maybe]).0, Some(false));
    assert_eq!(output(&[&maybe, DROP]).0, None);
}

#[test]
fn order_jumps_and_policies_are_followed() {
    let https = format!("{},{ACCEPT}", cmp(&payload("tcp", "dport"), "==", "443"));
    assert_eq!(output(&[&https, DROP]).0, Some(false));
    assert_eq!(output(&[DROP, &https]).0, Some(true));
    let policy = |rules: &[String]| {
        let mut items = vec![chain("inet", "output", "output", "drop"), sub("mine")];
        items.extend(rules.iter().cloned());
        fate_at("198.51.100.7:443", &items)
    };
    assert_eq!(policy(&[]), (Some(true), "table inet filter chain output: policy drop".to_owned()));
    let jump = |kind: &str| rule("inet", "output", &format!(r#"{{"{kind}":{{"target":"mine"}}}}"#));
    let mine = |expr: &str| rule("inet", "mine", expr);
    let after = rule("inet", "output", ACCEPT);
    assert_eq!(policy(&[jump("jump"), mine(ACCEPT)]).0, Some(false));
    assert_eq!(policy(&[jump("jump"), mine(r#"{"return":null}"#), after.clone()]).0, Some(false));
    assert_eq!(policy(&[jump("goto"), mine(r#"{"return":null}"#), after.clone()]).0, Some(true));
    assert_eq!(policy(&[jump("goto"), after]).0, Some(true));
    let own = rule("inet", "mine", r#"{"jump":{"target":"mine"}}"#);
    assert_eq!(policy(&[jump("jump"), own]).0, None, "a chain that jumps to itself ends");
}

#[test]
fn replies_are_tried_on_the_way_in() {
    let input = |rules: &[&str]| {
        let mut items = vec![chain("ip", "input", "input", "drop")];
        items.extend(rules.iter().map(|expr| rule("ip", "input", expr)));
        fate_at("198.51.100.7:443", &items)
    };
    assert_eq!(input(&[]).0, Some(true), "a stateless wall drops the replies");
    let tracked = format!("{},{ACCEPT}", cmp(STATE, "in", r#"["established","related"]"#));
    assert_eq!(input(&[&tracked]).0, Some(false));
    let by_map = r#"{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["invalid",{"drop":null}],["established",{"accept":null}]]}}}"#;
    assert_eq!(input(&[by_map]).0, Some(false));
    let from_port = format!("{},{ACCEPT}", cmp(&payload("tcp", "sport"), "==", "443"));
    assert_eq!(input(&[&from_port]).0, Some(false));
    let to_port = format!("{},{ACCEPT}", cmp(&payload("tcp", "dport"), "==", "22"));
    assert_eq!(input(&[&to_port]).0, None, "our own port is not known beforehand");
    assert_eq!(input(&[r#"{"notrack":null}"#, &tracked]).0, None, "nor is the state without tracking");
}

#[test]
fn only_tables_of_the_packets_family_count() {
    let dropping = |family: &str| vec![chain(family, "output", "output", "accept"), rule(family, "output", DROP)];
    for (place, family, expected) in [
        ("198.51.100.7:443", "ip", true),
        ("198.51.100.7:443", "ip6", false),
        ("[2001:db8::7]:443", "ip6", true),
        ("[2001:db8::7]:443", "ip", false),
        ("[2001:db8::7]:443", "inet", true),
        ("198.51.100.7:443", "bridge", false),
        ("198.51.100.7:443", "arp", false),
    ] {
        assert_eq!(fate_at(place, &dropping(family)).0, Some(expected), "{place} {family}");
    }
    let mut dormant = dropping("inet");
    dormant.insert(0, r#"{"table":{"family":"inet","name":"filter","handle":1,"flags":["dormant"]}}"#.to_owned());
    assert_eq!(fate_at("198.51.100.7:443", &dormant).0, Some(false));
    let forward = vec![chain("ip", "forward", "forward", "drop")];
    assert_eq!(fate_at("198.51.100.7:443", &forward).0, Some(false));
}

#[test]
fn named_sets_are_looked_into() {
    let set = r#"{"set":{"family":"inet","name":"bad","table":"filter","type":"ipv4_addr","handle":3,"flags":["interval"],"elem":[{"prefix":{"addr":"203.0.113.0","len":24}},{"elem":{"val":"198.51.100.7","counter":{}}}]}}"#;
    let expr = format!("{},{DROP}", cmp(&payload("ip", "daddr"), "==", "\"@bad\""));
    let items = [set.to_owned(), chain("inet", "output", "output", "accept"), rule("inet", "output", &expr)];
    assert_eq!(fate_at("198.51.100.7:443", &items).0, Some(true));
    assert_eq!(fate_at("198.51.100.8:443", &items).0, Some(false));
}

#[test]
fn a_listing_that_is_none_is_an_error() {
    for listing in ["", "{}", "[]", "{\"nftables\":3}"] {
        assert!(Ruleset::parse(listing.as_bytes()).is_err(), "{listing}");
    }
}

/// Listed by nft 1.0.6 from rules typed in by hand; each place with the handle that decides, or the fate alone.
#[test]
fn a_real_listing_is_understood() {
    let ruleset = Ruleset::parse(include_bytes!("listing.json")).unwrap();
    let here = Here { address: Some("192.0.2.10".parse().unwrap()), interface: Some("eth0".to_owned()) };
    let fate = |place: &str| judge(&ruleset, place.parse().unwrap(), &here);
    for (place, handle) in [
        ("198.51.100.7:80", "handle 17: ip daddr @bad tcp dport { 80, 8000-9000 } reject"),
        ("203.0.113.9:8500", "handle 17:"),
        ("192.0.2.1:25", "handle 18: tcp dport vmap ..."),
        ("[2001:db8::1]:443", "handle 20: ip6 daddr 2001:db8::/32 tcp dport != 22 log drop"),
    ] {
        let rule = fate(place).unwrap().unwrap();
        assert!(rule.contains(handle), "{place}: {rule}");
    }
    assert_eq!(fate("203.0.113.9:53"), Ok(None));
    for place in ["198.51.100.7:443", "10.0.0.1:80"] {
        assert!(fate(place).unwrap_err().contains("cannot be told"), "{place}");
    }
    let local = Here { address: Some("127.0.0.1".parse().unwrap()), interface: Some("lo".to_owned()) };
    assert_eq!(judge(&ruleset, "127.0.0.1:25".parse().unwrap(), &local), Ok(None));
}
