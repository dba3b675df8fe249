//! What expressions mean, and what is refused with which words and where.
use std::collections::BTreeMap;

use wbd_model::observation::{Fact, Kind, Observation, Observations, Value};
use wbd_model::probe::ProbeName;

use super::{Expr, Names, STACK_BYTES, Scope};

fn names() -> Names<'static> {
    Names {
        observations: BTreeMap::from([("ino", ProbeName::InotifyUsage), ("proc", ProbeName::ProcessState)]),
        lets: vec![("wanted", Kind::Int)],
        cases: Some(vec!["watches", "near"]),
        profile: true,
        before: true,
        items: None,
    }
}

/// Compiles as loading does: with the large stack.
fn compile(text: &str, kind: Option<Kind>) -> Result<Expr, super::Fault> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || Expr::compile(text, kind, &names())).unwrap().join().unwrap()
    })
}

/// ino.missing = 5, ino.failed_at = 'watches', proc.alive = true; ino.needed and proc.traced unknown.
fn seen() -> Observations {
    let mut ino = Observation::default();
    ino.know("missing", 5).know("failed_at", "watches").know("max_watches", 8192).miss("needed", "no document");
    ino.know("max_queued", i64::MAX).know("user_used", 0);
    let mut process = Observation::default();
    process.know("alive", true).miss("traced", "not permitted");
    BTreeMap::from([("ino".to_owned(), ino), ("proc".to_owned(), process)])
}

fn value(text: &str) -> Fact {
    let expression = compile(text, None).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let before = BTreeMap::from([("ino".to_owned(), Observation::default().know("missing", 9).clone())]);
    expression.evaluate(&Scope {
        seen: &seen(),
        before: Some(&before),
        lets: &BTreeMap::from([("wanted".to_owned(), Fact::Known(10_240.into()))]),
        case: Some("watches"),
        profile: &BTreeMap::from([("limits.watches_ceiling".to_owned(), Value::Int(1_048_576))]),
        item: &BTreeMap::new(),
    })
}

fn known(text: &str) -> Value {
    match value(text) {
        Fact::Known(value) => value,
        Fact::Unknown(reason) => panic!("{text} is unknown: {reason}"),
    }
}

fn unknown(text: &str) -> String {
    match value(text) {
        Fact::Known(value) => panic!("{text} is known: {value}"),
        Fact::Unknown(reason) => reason,
    }
}

#[test]
fn values_are_computed_as_cel_says() {
    for (text, wanted) in [
        ("ino.missing > 0 && ino.failed_at == 'watches'", Value::Bool(true)),
        ("least(profile.limits.watches_ceiling, (ino.max_watches + ino.missing) * 5 / 4)", Value::Int(10_246)),
        ("greatest(1, 3, 2)", Value::Int(3)),
        ("7 % 4 - -1", Value::Int(4)),
        ("-ino.missing", Value::Int(-5)),
        ("ino.failed_at in ['other', 'watches']", Value::Bool(true)),
        ("!(ino.missing in [1, 2])", Value::Bool(true)),
        (
            "ino.failed_at.startsWith('wat') && ino.failed_at.endsWith('es') && ino.failed_at.contains('tch')",
            Value::Bool(true),
        ),
        ("size(ino.failed_at) == ino.failed_at.size()", Value::Bool(true)),
        ("'a' + 'b'", Value::Text("ab".to_owned())),
        ("case == 'watches' ? wanted : 0", Value::Int(10_240)),
        ("before.ino.missing - ino.missing", Value::Int(4)),
        ("true || false && false", Value::Bool(true)),
        ("1 + 2 * 3", Value::Int(7)),
        ("'größer' == 'größer'", Value::Bool(true)),
        ("has(ino.missing) && !has(ino.needed) && !has(ino.errno)", Value::Bool(true)),
        ("has(proc.traced) && proc.traced", Value::Bool(false)),
    ] {
        assert_eq!(known(text), wanted, "{text}");
    }
}

/// The whole table: true, false and unknown on either side.
#[test]
fn an_unknown_side_leaves_the_decision_to_the_other() {
    let sides = [("true", Some(true)), ("false", Some(false)), ("proc.traced", None)];
    for (left_text, left) in sides {
        for (right_text, right) in sides {
            let and = match (left, right) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (left, right) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            for (operator, wanted) in [("&&", and), ("||", or)] {
                let text = format!("{left_text} {operator} {right_text}");
                let got = match value(&text) {
                    Fact::Known(Value::Bool(value)) => Some(value),
                    Fact::Unknown(_) => None,
                    other @ Fact::Known(_) => panic!("{text}: {other:?}"),
                };
                assert_eq!(got, wanted, "{text}");
            }
        }
    }
}

#[test]
fn what_was_not_seen_stays_unknown_and_says_why() {
    for text in [
        "!proc.traced",
        "ino.needed > 3",
        "ino.needed + 1",
        "ino.needed == ino.needed",
        "proc.traced ? 1 : 1",
        "least(1, ino.needed)",
        "ino.needed in [1]",
        "ino.missing in [1, ino.needed]",
    ] {
        unknown(text);
    }
    assert_eq!(unknown("ino.needed > 3"), "ino.needed: no document");
    assert_eq!(unknown("ino.errno == ''"), "ino.errno: errno was not observed");
    assert_eq!(unknown("profile.limits.other > 1"), "profile.limits.other: the profile does not state it");
    // The match decides, whatever else is in the list.
    assert_eq!(known("5 in [ino.needed, ino.missing]"), Value::Bool(true));
}

#[test]
fn numbers_do_not_wrap() {
    assert!(unknown("ino.max_queued + 1").contains("64 bits"));
    assert!(unknown("ino.max_queued * 2 > 0").contains("64 bits"));
    assert!(unknown("1 / ino.user_used").contains("64 bits"));
    assert!(unknown("1 % ino.user_used").contains("64 bits"));
    assert!(unknown("-(-ino.max_queued - 1)").contains("too large"));
    // The other side decides here too.
    assert_eq!(known("1 / ino.user_used > 0 && false"), Value::Bool(false));
}

#[test]
fn wrong_expressions_are_refused_with_place_and_remedy() {
    for (text, offset, message, hint) in [
        ("ino.mising > 0", 0, "no field \"mising\"", "did you mean \"missing\"?"),
        ("true && inot.missing > 0", 8, "\"inot\" names nothing", "did you mean \"ino\"?"),
        ("ino.missing == 'x'", 15, "an int is wanted here, and this is a text", ""),
        ("ino.missing && true", 0, "a bool is wanted here", ""),
        ("ino.failed_at > 'x'", 0, "it is not larger or smaller", ""),
        ("leest(1, 2) > 1", 5, "no function \"leest\"", "did you mean \"least\"?"),
        ("case == 'watchs'", 8, "no case \"watchs\"", "did you mean \"watches\"?"),
        ("profile.limit.x > 1", 0, "no constant \"limit.x\"", "did you mean \"limits.*\"?"),
        ("[1].all(x, x > 0)", 7, "all, exists", ""),
        ("has(ino.mising)", 4, "no field \"mising\"", "did you mean"),
        ("'größer' == ino.mising", 12, "no field", "did you mean"),
        ("ino.missing == null", 15, "null is not allowed", ""),
        ("ino.missing > 1.5", 14, "whole numbers", ""),
        ("ino", 0, "is an observation: write ino.FIELD", "known here: errno"),
        ("ino.missing >", 13, "not an expression", ""),
        ("ino.missing", 0, "a bool is wanted here, and this is an int", ""),
        ("1 == 1 // true", 8, "comments are not allowed", ""),
        ("ino.missing > 0 # x", 16, "has no meaning", ""),
        ("'abc", 4, "a text is not closed", ""),
        ("   ", 0, "the expression is empty", ""),
    ] {
        let fault = compile(text, Some(Kind::Bool)).expect_err(text);
        assert!(fault.message.contains(message), "{text}: {fault:?}");
        assert_eq!(fault.offset, offset, "{text}: {fault:?}");
        assert!(fault.hint.unwrap_or_default().starts_with(hint), "{text}");
    }
}

/// Each of these overflows an unguarded parser's stack, or costs it seconds.
#[test]
fn what_could_end_the_process_is_refused_unparsed() {
    let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
    let brackets = "[".repeat(400);
    let sums = vec!["1"; 200].join("+");
    let negations = format!("{}true", "!".repeat(300));
    let fields = format!("ino{}", ".a".repeat(200));
    let huge = "(".repeat(100_000);
    for text in [&deep, &brackets, &sums, &negations, &fields, &huge] {
        let fault = compile(text, None).unwrap_err();
        assert!(fault.message.contains("more than") || fault.message.contains("at most"), "{fault:?}");
    }
}

/// The limits must be safe themselves, on the stack that loading gives.
#[test]
fn what_is_just_within_the_limits_is_compiled() {
    let deep = format!("{}1{} == 1", "(".repeat(16), ")".repeat(16));
    let sums = format!("{} > 0", vec!["1"; 64].join("+"));
    let ands = format!("({})", vec!["proc.alive"; 40].join("&&"));
    let choices = format!("({}1{}) == 1", "true ? (".repeat(15), ") : 2".repeat(15));
    for text in [&deep, &sums, &ands, &choices] {
        compile(text, Some(Kind::Bool)).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    }
}

#[test]
fn references_come_once_and_in_order() {
    let expression = compile("ino.missing > 0 && case == 'near' || ino.missing < wanted", None).unwrap();
    let all: Vec<String> = expression.references().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["ino.missing", "case", "wanted"]);
}
