//! A rule in words, close to nft's own, for people; nothing is decided by it.
use serde_json::Value;

/// Longer rules are cut: the handle names them fully.
const MAX_CHARS: usize = 200;

/// `table inet filter chain output handle 7: ip daddr 10.0.0.0/8 drop`
pub(crate) fn rule(rule: &Value) -> String {
    let place = place(rule, "chain");
    let handle = rule.get("handle").and_then(Value::as_u64).unwrap_or(0);
    let statements = rule.get("expr").and_then(Value::as_array);
    let words: Vec<String> = statements.into_iter().flatten().filter_map(statement).collect();
    let text = format!("{place} handle {handle}: {}", words.join(" "));
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// `table inet filter chain output: policy drop`
pub(crate) fn policy(chain: &Value) -> String {
    format!("{}: policy drop", place(chain, "name"))
}

fn place(object: &Value, chain: &str) -> String {
    let part = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("?");
    format!("table {} {} chain {}", part("family"), part("table"), part(chain))
}

fn statement(statement: &Value) -> Option<String> {
    let (name, body) = statement.as_object()?.iter().next()?;
    match name.as_str() {
        "counter" | "comment" => None,
        "match" => {
            let side = |key| body.get(key).map(value).unwrap_or_default();
            let op = body.get("op").and_then(Value::as_str).unwrap_or_default();
            let op = if matches!(op, "==" | "in") { String::new() } else { format!("{op} ") };
            Some(format!("{} {op}{}", side("left"), side("right")))
        }
        "jump" | "goto" => Some(format!("{name} {}", body.get("target").map(value).unwrap_or_default())),
        "vmap" => Some(format!("{} vmap ...", body.get("key").map(value).unwrap_or_default())),
        "xt" => Some(format!("xt {}", body.get("name").and_then(Value::as_str).unwrap_or("?"))),
        _ => Some(name.clone()),
    }
}

fn value(value: &Value) -> String {
    let list = |items: &[Value], between| items.iter().map(self::value).collect::<Vec<_>>().join(between);
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => list(items, ","),
        Value::Object(object) => {
            let Some((name, body)) = object.iter().next() else {
                return String::new();
            };
            let part = |key: &str| body.get(key).map(self::value).unwrap_or_default();
            match (name.as_str(), body) {
                ("payload", _) => format!("{} {}", part("protocol"), part("field")),
                ("meta", _) => part("key"),
                ("ct", _) => format!("ct {}", part("key")),
                ("prefix", _) => format!("{}/{}", part("addr"), part("len")),
                ("elem", _) => part("val"),
                ("range", Value::Array(ends)) => list(ends, "-"),
                ("set", Value::Array(items)) => format!("{{ {} }}", list(items, ", ")),
                ("|" | "&", Value::Array(items)) => list(items, &format!(" {name} ")),
                _ => name.clone(),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_reads_as_nft_lists_it() {
        let fits = |op: &str, left: Value, right: Value| json!({"match": {"op": op, "left": left, "right": right}});
        let flags = json!({"payload": {"protocol": "tcp", "field": "flags"}});
        for (statement, words) in [
            (fits("==", json!({"meta": {"key": "oifname"}}), json!("eth0")), "oifname eth0"),
            (fits("!=", json!({"meta": {"key": "skuid"}}), json!(0)), "skuid != 0"),
            (fits("in", json!({"ct": {"key": "state"}}), json!(["new", "related"])), "ct state new,related"),
            (fits("==", json!({"&": [flags, {"|": ["syn", "ack"]}]}), json!("syn")), "tcp flags & syn | ack syn"),
            (fits("==", flags.clone(), json!({"range": [1, 9]})), "tcp flags 1-9"),
            (fits("==", flags, json!({"set": [1, {"elem": {"val": 2, "counter": {}}}]})), "tcp flags { 1, 2 }"),
            (fits("==", json!({"fib": {"result": "type"}}), json!(true)), "fib true"),
            (json!({"jump": {"target": "mine"}}), "jump mine"),
            (json!({"goto": {"target": "mine"}}), "goto mine"),
            (json!({"vmap": {"key": {"ct": {"key": "state"}}, "data": {}}}), "ct state vmap ..."),
            (json!({"xt": {"type": "target", "name": "LOG"}}), "xt LOG"),
            (json!({"xt": {"type": "target"}}), "xt ?"),
            (json!({"drop": null}), "drop"),
        ] {
            let listed = json!({"family": "ip", "table": "t", "chain": "c", "handle": 7, "expr": [statement]});
            assert_eq!(rule(&listed), format!("table ip t chain c handle 7: {words}"));
        }
        let silent = json!({"family": "ip", "table": "t", "handle": 7, "expr": [{"counter": {}}, {"comment": "x"}]});
        assert_eq!(rule(&silent), "table ip t chain ? handle 7: ");
    }

    #[test]
    fn a_long_rule_is_cut_and_a_shorter_one_is_not() {
        let beginning = "table ip t chain c handle 7: ";
        let named = |length: usize| json!({"family": "ip", "table": "t", "chain": "c", "handle": 7, "expr": [{"é".repeat(length): null}]});
        let room = MAX_CHARS - beginning.len();
        assert_eq!(rule(&named(room)), format!("{beginning}{}", "é".repeat(room)));
        assert_eq!(rule(&named(room + 1)), format!("{beginning}{}...", "é".repeat(room)));
    }
}
