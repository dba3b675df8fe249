//! Tests of a packet's way through chains: what it surely meets, what it may meet, and which rule is named for it.
use serde_json::json;

use super::super::judge;
use super::super::packet::Here;
use super::*;

/// A base chain.
fn chain(family: &str, name: &str, hook: &str, policy: &str) -> Value {
    let about = json!({"family": family, "table": "t", "name": name, "hook": hook, "type": "filter", "policy": policy});
    json!({ "chain": about })
}

fn with(mut item: Value, key: &str, value: Value) -> Value {
    item.as_object_mut().unwrap().values_mut().next().unwrap()[key] = value;
    item
}

fn output(policy: &str) -> Value {
    chain("inet", "out", "output", policy)
}

/// A chain that others call.
fn called(name: &str) -> Value {
    json!({"chain": {"family": "inet", "table": "t", "name": name}})
}

fn rule(chain: &str, handle: u32, statements: &[Value]) -> Value {
    json!({"rule": {"family": "inet", "table": "t", "chain": chain, "handle": handle, "expr": statements}})
}

fn call(kind: &str, chain: &str) -> Value {
    json!({kind: {"target": chain}})
}

fn maybe() -> Value {
    json!({"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": 0}})
}

fn drop_it() -> Value {
    json!({"drop": null})
}

fn accept() -> Value {
    json!({"accept": null})
}

fn back() -> Value {
    json!({"return": null})
}

/// The rule that drops a connection to 198.51.100.7:443 over eth0, `None`: none; or why that cannot be told.
fn judged(items: &[Value]) -> Result<Option<String>, String> {
    let ruleset = Ruleset::parse(json!({ "nftables": items }).to_string().as_bytes()).unwrap();
    let here = Here { address: Some("192.0.2.10".parse().unwrap()), interface: Some("eth0".to_owned()) };
    judge(&ruleset, "198.51.100.7:443".parse().unwrap(), &here)
}

#[track_caller]
fn drops(items: &[Value], words: &str) {
    let rule = judged(items).unwrap().unwrap_or_else(|| panic!("nothing drops it"));
    assert!(rule.contains(words), "{rule}");
}

#[track_caller]
fn passes(items: &[Value]) {
    assert_eq!(judged(items), Ok(None));
}

#[track_caller]
fn unclear(items: &[Value], words: &str) {
    let why = judged(items).unwrap_err();
    assert!(why.contains(words), "{why}");
}

#[test]
fn a_rule_that_surely_drops_is_named_before_one_that_may_and_of_those_the_first() {
    let (out, may, sure) = (output("accept"), [maybe(), drop_it()], [drop_it()]);
    drops(&[out.clone(), rule("out", 7, &may), rule("out", 8, &sure)], "handle 8:");
    unclear(&[out.clone(), rule("out", 7, &may), rule("out", 8, &may)], "handle 7:");
    drops(&[output("drop"), rule("out", 7, &may)], "policy drop");
    let let_through = rule("out", 8, &[maybe(), accept()]);
    unclear(&[output("drop"), rule("out", 7, &may), let_through.clone()], "handle 7:");
    unclear(&[output("drop"), let_through], "policy drop");
    // What a called chain may do besides dropping leaves the first one in its place.
    let calls = [out, called("c"), rule("out", 7, &may), rule("out", 8, &[call("jump", "c")])];
    let after = |first: &[Value]| [&calls[..], &[rule("c", 9, first), rule("c", 10, &sure)]].concat();
    unclear(&after(&[maybe(), accept()]), "handle 7:");
    unclear(&after(&[maybe(), back()]), "handle 7:");
    drops(&after(&[maybe(), drop_it()]), "handle 10:");
}

#[test]
fn one_chain_that_surely_drops_is_enough_whatever_another_may_do_but_not_where_the_target_may_change() {
    let other = chain("inet", "after", "postrouting", "accept");
    let both = |first: &[Value], second: &[Value]| {
        judged(&[output("accept"), other.clone(), rule("out", 7, first), rule("after", 8, second)])
    };
    let may = [maybe(), drop_it()];
    for (first, second, handle) in [(&may[..], &[drop_it()][..], "handle 8:"), (&[drop_it()], &may, "handle 7:")] {
        assert!(both(first, second).unwrap().unwrap().contains(handle));
    }
    let redirect = [json!({"redirect": {"port": 1}})];
    let why = both(&redirect, &[drop_it()]).unwrap_err();
    assert!(why.contains("another target") && why.contains("handle 7:"), "{why}");
}

#[test]
fn what_changes_the_target_is_told_from_what_changes_a_mark_only() {
    let out = output("accept");
    for kind in ["dnat", "redirect", "tproxy"] {
        unclear(&[out.clone(), rule("out", 7, &[json!({kind: {"addr": "203.0.113.1"}})])], "another target");
    }
    let mangle = |key: Value| json!({"mangle": {"key": key, "value": 1}});
    let address = mangle(json!({"payload": {"protocol": "ip", "field": "daddr"}}));
    unclear(&[out.clone(), rule("out", 7, &[address])], "another target");
    let mark = mangle(json!({"meta": {"key": "mark"}}));
    passes(&[out.clone(), rule("out", 7, std::slice::from_ref(&mark))]);
    drops(&[out, rule("out", 7, &[mark, drop_it()])], "handle 7:");
}

#[test]
fn called_chains_give_the_packet_back_at_their_end_and_at_a_return() {
    let calls = |kind: &str, inner: &[Value], policy: &str, after: &[Value]| {
        let inner = inner.iter().map(|statement| rule("c", 9, std::slice::from_ref(statement)));
        let after = after.iter().map(|statement| rule("out", 8, std::slice::from_ref(statement)));
        let begin = [output(policy), called("c"), rule("out", 7, &[call(kind, "c")])];
        judged(&begin.into_iter().chain(inner).chain(after).collect::<Vec<_>>()).unwrap()
    };
    for inner in [&[][..], &[back()], &[back(), accept()]] {
        assert!(calls("jump", inner, "drop", &[]).unwrap().contains("policy"), "{inner:?}");
        assert!(calls("jump", inner, "accept", &[drop_it()]).unwrap().contains("handle 8:"), "{inner:?}");
        assert_eq!(calls("jump", inner, "drop", &[accept()]), None, "{inner:?}");
        // A goto gives it back to the chain before, and a base chain has none: its policy decides.
        assert!(calls("goto", inner, "drop", &[accept()]).unwrap().contains("policy"), "{inner:?}");
        assert_eq!(calls("goto", inner, "accept", &[drop_it()]), None, "{inner:?}");
    }
    for kind in ["jump", "goto"] {
        let own = rule("c", 9, &[call(kind, "c")]);
        unclear(
            &[output("drop"), called("c"), rule("out", 7, &[call("jump", "c")]), own],
            "a chain that is not listed",
        );
    }
    assert!(calls("jump", &[drop_it()], "accept", &[accept()]).unwrap().contains("handle 9:"));
    assert_eq!(calls("goto", &[accept()], "drop", &[drop_it()]), None);
}

#[test]
fn conditions_that_nobody_can_foresee_may_fit_and_only_what_they_guard_is_uncertain() {
    let xt = |kind: &str, name: &str| json!({"xt": {"type": kind, "name": name}});
    let conditions = [
        maybe(),
        json!({"limit": {"rate": 1}}),
        json!({"quota": {"val": 1}}),
        json!({"ct count": {"val": 1}}),
        json!({"meter": {"name": "x"}}),
        xt("match", "owner"),
    ];
    for condition in conditions {
        let guarded = |verdict: Value| rule("out", 7, &[condition.clone(), verdict]);
        passes(&[output("accept"), guarded(accept())]);
        unclear(&[output("accept"), guarded(drop_it())], "handle 7:");
        drops(&[output("accept"), guarded(drop_it()), rule("out", 8, &[drop_it()])], "handle 8:");
    }
    for harmless in [xt("target", "LOG"), xt("target", "CT"), json!({"log": null}), json!({"notrack": null})] {
        passes(&[output("accept"), rule("out", 7, std::slice::from_ref(&harmless))]);
        drops(&[output("accept"), rule("out", 7, &[harmless, drop_it()])], "handle 7:");
    }
    drops(&[output("accept"), rule("out", 7, &[xt("target", "REJECT")])], "handle 7:");
    unclear(&[output("drop"), rule("out", 7, &[xt("target", "NFQUEUE")])], "handle 7:");
    unclear(&[output("drop"), rule("out", 7, &[json!({"teleport": {}})])], "handle 7:");
    unclear(&[output("drop"), rule("out", 7, &[call("jump", "nowhere")])], "a chain that is not listed");
}

#[test]
fn what_is_not_tracked_has_no_known_state_for_a_rule_or_a_map() {
    let input = chain("inet", "in", "input", "drop");
    let state = json!({"ct": {"key": "state"}});
    let by_rule = [json!({"match": {"op": "in", "left": state, "right": ["established"]}}), accept()];
    let verdicts = json!({"set": [["invalid", drop_it()], ["established", accept()]]});
    let by_map = [json!({"vmap": {"key": state, "data": verdicts}})];
    let untracked = |statement: Value| rule("in", 6, &[statement]);
    for rules in [&by_rule[..], &by_map] {
        passes(&[input.clone(), rule("in", 7, rules)]);
        for statement in [json!({"notrack": null}), json!({"xt": {"type": "target", "name": "CT"}})] {
            unclear(&[input.clone(), untracked(statement), rule("in", 7, rules)], "cannot be told");
        }
    }
}

#[test]
fn a_table_sleeps_only_where_its_flags_say_so() {
    let table = |flags: Value| json!({"table": {"family": "inet", "name": "t", "flags": flags}});
    let dropped = |flags: Value| judged(&[table(flags), output("drop")]).unwrap().is_some();
    let flags = [json!("dormant"), json!(["dormant"]), json!(["owner", "dormant"]), json!("owner"), json!(["owner"])];
    assert_eq!(flags.map(dropped), [false, false, false, true, true]);
    assert!(judged(&[json!({"table": {"family": "inet", "name": "t"}}), output("drop")]).unwrap().is_some());
    let other = json!({"table": {"family": "ip", "name": "t", "flags": "dormant"}});
    assert!(judged(&[other, output("drop")]).unwrap().is_some(), "a table of that name in another family");
}

#[test]
fn a_chain_on_a_device_sees_the_packets_of_that_device_only() {
    for (family, hook) in [("netdev", "egress"), ("netdev", "ingress"), ("inet", "ingress")] {
        let on = |devices: Value| judged(&[with(chain(family, "c", hook, "drop"), "dev", devices)]).unwrap().is_some();
        let devices = [json!("eth0"), json!(["eth1", "eth0"]), json!("eth1"), json!(["eth1", "eth2"])];
        assert_eq!(devices.map(on), [true, true, false, false], "{family} {hook}");
    }
    drops(&[chain("netdev", "c", "egress", "drop")], "policy");
    let ruleset = [with(chain("netdev", "c", "egress", "drop"), "dev", json!("eth1"))];
    let ruleset = Ruleset::parse(json!({ "nftables": ruleset }).to_string().as_bytes()).unwrap();
    let nowhere = judge(&ruleset, "198.51.100.7:443".parse().unwrap(), &Here::default());
    assert!(nowhere.unwrap().is_some(), "over which device is not known");
}

#[test]
fn addresses_are_translated_for_the_first_packet_of_a_connection_only() {
    let nat = |hook: &str| with(chain("inet", "nat", hook, "accept"), "type", json!("nat"));
    let redirect = rule("nat", 7, &[json!({"redirect": {"port": 1}})]);
    unclear(&[nat("output"), redirect.clone()], "another target");
    passes(&[nat("prerouting"), redirect.clone()]);
    unclear(&[chain("inet", "nat", "prerouting", "accept"), redirect], "another target");
}

#[test]
fn as_many_rules_as_a_packet_may_meet_are_followed_and_one_more_is_unclear() {
    let log = json!({"log": null});
    // 399 rules that each call a chain of 499 are 199,500 steps; then so many more, and one that drops.
    let most = |more: usize| {
        let inner = (0..499).map(|_| rule("c", 9, std::slice::from_ref(&log)));
        let callers = (0..399).map(|_| rule("out", 7, &[call("jump", "c")]));
        let more = (0..more).map(|_| rule("out", 6, std::slice::from_ref(&log)));
        let items = [output("accept"), called("c")].into_iter().chain(inner).chain(callers).chain(more);
        judged(&items.chain([rule("out", 8, &[drop_it()])]).collect::<Vec<_>>())
    };
    assert!(most(499).unwrap().unwrap().contains("handle 8:"), "200,000 with the last one");
    assert!(most(500).unwrap_err().contains("more than 200000 rules"));
}
