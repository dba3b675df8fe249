//! Follows a packet through nftables rules in nft's JSON, without any I/O. Where a rule is not understood the fate is
//! unclear.
use std::collections::BTreeMap;

use serde_json::Value;

use super::packet::Packet;
use super::values::{Field, Tri, field, fits, within};
use super::words;

/// Jumps nest at most this deep in the kernel, too.
const MAX_DEPTH: usize = 16;
/// Rules looked at for one packet; chains that jump around more are not followed.
const MAX_STEPS: usize = 200_000;

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// This rule surely drops it.
    Dropped(String),
    /// Surely none does.
    Passes,
    /// It cannot be told; the reason.
    Unclear(String),
}

/// All tables of a host.
#[derive(Debug, Default)]
pub(crate) struct Ruleset {
    chains: BTreeMap<ChainName, Chain>,
    /// Elements of sets and maps by family, table and name.
    sets: BTreeMap<ChainName, Vec<Value>>,
    /// Some rule takes packets out of connection tracking.
    untracks: bool,
}

type ChainName = (String, String, String);

#[derive(Debug, Default)]
struct Chain {
    about: Value,
    rules: Vec<Value>,
}

impl Chain {
    fn part(&self, key: &str) -> &str {
        self.about.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// All that may become of a packet in a piece of the rules.
#[derive(Debug, Default)]
struct Flow {
    /// It may go on to the next rule.
    on: bool,
    /// It may go back to the chain that called.
    returns: bool,
    /// It may be let through.
    passes: bool,
    /// This rule may drop it.
    drops: Option<String>,
    /// This rule may give it another target.
    rewrites: Option<String>,
}

impl Flow {
    fn on() -> Self {
        Self { on: true, ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.on |= other.on;
        self.returns |= other.returns;
        self.passes |= other.passes;
        self.drops = self.drops.take().or(other.drops);
        self.rewrites = self.rewrites.take().or(other.rewrites);
    }
}

/// One walk of one packet.
struct Walk<'a> {
    ruleset: &'a Ruleset,
    packet: &'a Packet,
    steps: usize,
}

impl Ruleset {
    /// Reads what `nft -j list ruleset` says.
    ///
    /// # Errors
    /// A reason where it is no such listing.
    pub(crate) fn parse(listing: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(listing)
            .map_err(|error| format!("cannot understand nft's list of rules: {error}"))?;
        let items = json.get("nftables").and_then(Value::as_array);
        let items = items.ok_or_else(|| "cannot understand nft's list of rules: it has no rules in it".to_owned())?;
        let mut ruleset = Self::default();
        let mut dormant = Vec::new();
        for (kind, item) in items.iter().filter_map(|item| item.as_object()?.iter().next()) {
            let part = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = |key: &str| (part("family"), part("table"), part(key));
            match kind.as_str() {
                "table" if item.get("flags").is_some_and(|flags| names(flags, "dormant")) => {
                    dormant.push((part("family"), part("name")))
                }
                "chain" => ruleset.chains.entry(name("name")).or_default().about = item.clone(),
                "rule" => ruleset.chains.entry(name("chain")).or_default().rules.push(item.clone()),
                "set" | "map" => {
                    let elements = item.get("elem").and_then(Value::as_array).cloned();
                    ruleset.sets.insert(name("name"), elements.unwrap_or_default());
                }
                _ => {}
            }
        }
        ruleset.chains.retain(|(family, table, _), _| !dormant.contains(&(family.clone(), table.clone())));
        let statements = ruleset.chains.values().flat_map(|chain| &chain.rules).filter_map(|rule| rule.get("expr"));
        ruleset.untracks = statements
            .filter_map(Value::as_array)
            .flatten()
            .any(|statement| statement.get("notrack").is_some() || xt_name(statement) == Some("CT"));
        Ok(ruleset)
    }

    /// What becomes of the packet. It must get through every base chain that it comes by.
    pub(crate) fn fate(&self, packet: &Packet) -> Fate {
        let mut packet = packet.clone();
        if self.untracks {
            // Whether it is tracked at all hangs on rules that are not followed that far.
            packet.state = "";
        }
        let mut walk = Walk { ruleset: self, packet: &packet, steps: 0 };
        let (mut unclear, mut dropped) = (None, None);
        for (name, chain) in &self.chains {
            if !comes_by(name, chain, &packet) {
                continue;
            }
            let mut flow = walk.chain(name, 0);
            if flow.on || flow.returns {
                match chain.part("policy") {
                    "drop" if !flow.passes => flow.drops = Some(words::policy(&chain.about)),
                    "drop" => flow.drops = flow.drops.or_else(|| Some(words::policy(&chain.about))),
                    _ => flow.passes = true,
                }
            }
            if let Some(rule) = flow.rewrites {
                unclear = unclear.or_else(|| Some(format!("a rule may give it another target ({rule})")));
            }
            match (flow.drops, flow.passes) {
                (None, _) => {}
                (Some(rule), false) => dropped = dropped.or(Some(rule)),
                (Some(rule), true) => {
                    unclear = unclear.or_else(|| Some(format!("whether a rule drops it cannot be told ({rule})")));
                }
            }
        }
        if walk.steps > MAX_STEPS {
            return Fate::Unclear(format!("more than {MAX_STEPS} rules would have to be followed"));
        }
        match (dropped, unclear) {
            (_, Some(reason)) if reason.starts_with("a rule may give") => Fate::Unclear(reason),
            (Some(rule), _) => Fate::Dropped(rule),
            (None, Some(reason)) => Fate::Unclear(reason),
            (None, None) => Fate::Passes,
        }
    }
}

/// What nft lists as one word or as several.
fn names(listed: &Value, word: &str) -> bool {
    let is_word = |one: &Value| one.as_str() == Some(word);
    is_word(listed) || listed.as_array().is_some_and(|list| list.iter().any(is_word))
}

/// The chain is a base chain that this packet goes through.
fn comes_by((family, _, _): &ChainName, chain: &Chain, packet: &Packet) -> bool {
    let hook = chain.part("hook");
    let family_fits = match family.as_str() {
        "inet" | "netdev" => true,
        "ip" => packet.v4,
        "ip6" => !packet.v4,
        _ => false,
    };
    let device_fits = match (&packet.interface, chain.about.get("dev")) {
        (Some(name), Some(devices)) => names(devices, name),
        (None, _) | (_, None) => true,
    };
    // Address translation is looked up for the first packet of a connection only.
    let translated_before = chain.part("type") == "nat" && !packet.outgoing;
    family_fits && device_fits && packet.hooks().contains(&hook) && !translated_before
}

impl Walk<'_> {
    fn chain(&mut self, name: &ChainName, depth: usize) -> Flow {
        let ruleset = self.ruleset;
        let Some(chain) = ruleset.chains.get(name).filter(|_| depth <= MAX_DEPTH) else {
            return self.unclear("a chain that is not listed");
        };
        let mut flow = Flow::on();
        for rule in &chain.rules {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                break;
            }
            flow.on = false;
            let one = self.rule(name, rule, depth);
            if one.drops.is_some() && !(one.on || one.passes || one.returns) {
                // It surely drops what comes this far, which earlier ones only might have done.
                flow.drops = None;
            }
            flow.add(one);
            if !flow.on {
                break;
            }
        }
        flow
    }

    /// Anything may become of it.
    fn unclear(&self, rule: &str) -> Flow {
        Flow { on: true, passes: true, drops: Some(rule.to_owned()), ..Flow::default() }
    }

    fn rule(&mut self, name: &ChainName, rule: &Value, depth: usize) -> Flow {
        let Some(statements) = rule.get("expr").and_then(Value::as_array) else {
            return self.unclear(&words::rule(rule));
        };
        let mut flow = Flow::default();
        let mut fit = Tri::Yes;
        for statement in statements {
            let Some((kind, body)) = statement.as_object().and_then(|it| it.iter().next()) else {
                return self.unclear(&words::rule(rule));
            };
            let condition = match kind.as_str() {
                "match" => self.fits(name, body),
                "limit" | "quota" | "ct count" | "meter" => Tri::Maybe,
                "xt" if body.get("type").and_then(Value::as_str) == Some("match") => Tri::Maybe,
                _ => {
                    let effect = self.effect(name, rule, statement, depth);
                    let goes_on = effect.on;
                    flow.add(Flow { on: false, ..effect });
                    if !goes_on {
                        // The end of the rule for a packet that fits.
                        flow.on |= fit == Tri::Maybe;
                        return flow;
                    }
                    continue;
                }
            };
            fit = fit.and(condition);
            if fit == Tri::No {
                break;
            }
        }
        flow.on = true;
        flow
    }

    fn fits(&self, name: &ChainName, body: &Value) -> Tri {
        let sets = self.sets(name);
        let fit = fits(body, self.packet, &sets);
        let on_state = body.get("left").and_then(|left| left.get("ct")?.get("key")?.as_str()) == Some("state");
        if on_state && self.packet.state.is_empty() { Tri::Maybe } else { fit }
    }

    fn sets<'b>(&'b self, (family, table, _): &'b ChainName) -> impl Fn(&str) -> Option<&'b [Value]> {
        move |set: &str| {
            let key = (family.clone(), table.clone(), set.to_owned());
            self.ruleset.sets.get(&key).map(Vec::as_slice)
        }
    }

    /// What a statement that is no condition does to the packet.
    fn effect(&mut self, name: &ChainName, rule: &Value, statement: &Value, depth: usize) -> Flow {
        let text = || Some(words::rule(rule));
        let (family, table, _) = name;
        let target = |body: &Value| {
            let chain = body.get("target").and_then(Value::as_str).unwrap_or_default();
            (family.clone(), table.clone(), chain.to_owned())
        };
        let Some((kind, body)) = statement.as_object().and_then(|it| it.iter().next()) else {
            return self.unclear(&words::rule(rule));
        };
        match kind.as_str() {
            "accept" | "masquerade" | "snat" => Flow { passes: true, ..Flow::default() },
            "drop" | "reject" => Flow { drops: text(), ..Flow::default() },
            "return" => Flow { returns: true, ..Flow::default() },
            "jump" => {
                let mut flow = self.chain(&target(body), depth + 1);
                flow.on |= flow.returns;
                flow.returns = false;
                flow
            }
            "goto" => {
                let mut flow = self.chain(&target(body), depth + 1);
                flow.returns |= flow.on;
                flow.on = false;
                flow
            }
            "dnat" | "redirect" | "tproxy" => Flow { rewrites: text(), passes: true, ..Flow::default() },
            "mangle" if body.get("key").is_some_and(|key| key.get("payload").is_some()) => {
                Flow { rewrites: text(), on: true, ..Flow::default() }
            }
            "counter" | "log" | "mangle" | "notrack" | "last" | "comment" | "continue" | "set" | "map" | "dup"
            | "flow" | "secmark" | "ct helper" | "ct timeout" | "ct expectation" => Flow::on(),
            "vmap" => self.verdict_map(name, rule, body, depth),
            "xt" => match xt_name(statement) {
                Some("LOG" | "NFLOG" | "MARK" | "CONNMARK" | "CT" | "SET" | "AUDIT" | "TCPMSS") => Flow::on(),
                Some("REJECT") => Flow { drops: text(), ..Flow::default() },
                _ => self.unclear(&words::rule(rule)),
            },
            _ => self.unclear(&words::rule(rule)),
        }
    }

    /// `ct state vmap { established : accept, invalid : drop }`: the first key that fits; none is no verdict.
    fn verdict_map(&mut self, name: &ChainName, rule: &Value, body: &Value, depth: usize) -> Flow {
        let (Some(key), Some(data)) = (body.get("key"), body.get("data")) else {
            return self.unclear(&words::rule(rule));
        };
        let ruleset = self.ruleset;
        let (family, table, _) = name;
        let named = |map: &str| ruleset.sets.get(&(family.clone(), table.clone(), map.to_owned()));
        let entries = match data.as_str() {
            Some(map) => map.strip_prefix('@').and_then(named),
            None => data.get("set").and_then(Value::as_array),
        };
        let Some(entries) = entries else {
            return self.unclear(&words::rule(rule));
        };
        let mut seen = field(key, self.packet);
        if seen == Field::Name(String::new()) {
            seen = Field::Unknown;
        }
        let mut flow = Flow::default();
        for entry in entries {
            let Some([wanted, verdict]) = entry.as_array().map(Vec::as_slice) else {
                return self.unclear(&words::rule(rule));
            };
            let fit = {
                let sets = self.sets(name);
                within(&seen, wanted, &sets, 0)
            };
            match fit {
                Tri::No => {}
                Tri::Maybe => flow.add(self.effect(name, rule, verdict, depth)),
                Tri::Yes => {
                    flow.add(self.effect(name, rule, verdict, depth));
                    return flow;
                }
            }
        }
        flow.add(Flow::on());
        flow
    }
}

fn xt_name(statement: &Value) -> Option<&str> {
    statement.get("xt")?.get("name")?.as_str()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
