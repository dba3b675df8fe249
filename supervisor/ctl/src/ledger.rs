//! `ledger`: reads and verifies it without the supervisor; only a rotation is asked for, or done offline. Interprets no record.
mod read;

use std::time::Duration;

use serde_json::{Value, json};
use wbd_ledger::{AnchorState, Filter, Verification};
use wbd_model::control::Request;
use wbd_model::entry::Entry;
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::ask;
use crate::cli::{Format, Ledger};
use crate::client::Unanswered;
use crate::exit::{Ended, Exit, Failure};
use crate::out::{Out, Tone};
use crate::{export, offline, record, when};

pub(crate) use read::{of_incident, open, verified_under};

/// `ledger VERB`.
///
/// # Errors
/// A ledger that cannot be read, a record that is not there, a refusal.
pub(crate) fn run(context: &mut Context, verb: Ledger) -> Ended {
    match verb {
        Ledger::List { incident, code, kind, since, limit } => {
            let now_ms = crate::moment::clocks().wall_ms;
            let back = |length: Duration| now_ms.saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
            let filter = Filter {
                kinds: kind.into_iter().collect(),
                since_wall_ms: since.map(back),
                incident: incident.map(|id| id.0),
                code: code.map(String::from),
                limit: Some(limit),
                last: true,
                ..Filter::default()
            };
            let entries = open(context)?.entries(&filter)?;
            list(context, &entries)
        }
        Ledger::Show { seq } => {
            let filter = Filter { after_seq: Some(seq.saturating_sub(1)), limit: Some(1), ..Filter::default() };
            let found = open(context)?.entries(&filter)?;
            match found.into_iter().find(|entry| entry.seq == seq) {
                Some(entry) => show(context, &entry),
                None => Err(Failure::failed(format!("the ledger has no record {seq}; list them: wbdctl ledger list"))),
            }
        }
        Ledger::Verify => verify(context),
        Ledger::Export { file, since } => export::run(context, &file, since),
        Ledger::Rotate { reason } => rotate(context, reason),
    }
}

fn list(context: &mut Context, entries: &[Entry]) -> Ended {
    if context.format != Format::Text {
        let entries: Vec<Value> = entries.iter().map(Entry::to_json).collect();
        context.out.document(context.format, &json!({"schema": SCHEMA, "entries": entries}))?;
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        context.out.line("No records.");
    }
    record::list(&mut context.out, entries);
    Ok(Exit::Done)
}

fn show(context: &mut Context, entry: &Entry) -> Ended {
    let value = entry.to_json();
    if context.format != Format::Text {
        let mut value = value;
        value["schema"] = json!(SCHEMA);
        context.out.document(context.format, &value)?;
        return Ok(Exit::Done);
    }
    let out = &mut context.out;
    record::list(out, [entry]);
    out.line("");
    out.line(format!("  {:<10} {}", "time", when::moment(entry.at.wall_ms)));
    let Value::Object(fields) = value else { return Ok(Exit::Done) };
    for (name, field) in fields.iter().filter(|(name, field)| *name != "time" && !field.is_null()) {
        match field {
            Value::Array(lines) => {
                for line in lines {
                    out.paragraph(&format!("  {name:<10} "), &words(line));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                out.paragraph(&format!("  {name:<10} "), &words(field));
            }
        }
    }
    Ok(Exit::Done)
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn verify(context: &mut Context) -> Ended {
    let verification = verified_under(&context.root)?;
    let exit = if verification.problem.is_none() { Exit::Done } else { Exit::Failed };
    if context.format == Format::Text {
        tell(&mut context.out, &verification);
    } else {
        context.out.document(context.format, &document(&verification))?;
    }
    Ok(exit)
}

/// The verification in words.
pub(crate) fn tell(out: &mut Out, verification: &Verification) {
    let Verification { entries, problem, anchor, unread, took_ms, head } = verification;
    let last = head.as_ref().map_or(0, |(seq, _)| *seq);
    match problem {
        None => out.spans(&[
            (Tone::Good, "ok"),
            (Tone::Plain, &format!(": records: {entries}, verified to {last} ({took_ms} ms)")),
        ]),
        Some(bad) => {
            let text = format!(": record {} is the first bad one: {}", bad.seq, bad.what);
            out.spans(&[(Tone::Bad, "BAD"), (Tone::Plain, &text)]);
            out.line(format!("Good records before it: {entries}"));
            out.line("Set it aside and go on: wbdctl ledger rotate --reason <why>");
        }
    }
    if let Some((_, hash)) = head {
        out.line(format!("head {hash}"));
    }
    match unread {
        Some(why) => out.paragraph(
            "",
            &format!("The journal could not be read: {why}. Whether the ledger's end was cut off is not known."),
        ),
        None => out.paragraph("", &anchored(*anchor)),
    }
}

fn anchored(anchor: AnchorState) -> String {
    match anchor {
        AnchorState::None => {
            "No anchor: the journal holds no head of this ledger, so that root could have rewritten all of it."
                .to_owned()
        }
        AnchorState::AnchoredAt(seq) => format!("Anchored at {seq}: the journal has seen the same record."),
        AnchorState::Missing(seq) => format!("The journal has seen record {seq}, which is missing."),
        AnchorState::Differs(seq) => format!("The journal has seen another record {seq}."),
        AnchorState::SetAside(seq) => format!("The journal's anchor {seq} lies in a ledger that was set aside."),
    }
}

fn document(verification: &Verification) -> Value {
    let Verification { entries, problem, anchor, unread, took_ms, head } = verification;
    let (state, seq) = match anchor {
        AnchorState::None => ("none", None),
        AnchorState::AnchoredAt(seq) => ("anchored", Some(*seq)),
        AnchorState::Missing(seq) => ("missing", Some(*seq)),
        AnchorState::Differs(seq) => ("differs", Some(*seq)),
        AnchorState::SetAside(seq) => ("set-aside", Some(*seq)),
    };
    json!({
        "schema": SCHEMA,
        "verified": problem.is_none(),
        "entries": entries,
        "head": head.as_ref().map(|(seq, hash)| json!({"seq": seq, "hash": hash})),
        "problem": problem.as_ref().map(|bad| json!({"seq": bad.seq, "what": bad.what})),
        "anchor": {"state": state, "seq": seq, "unread": unread},
        "duration_ms": took_ms,
    })
}

fn rotate(context: &mut Context, reason: String) -> Ended {
    if reason.trim().is_empty() {
        return Err(Failure::failed("a rotation needs a reason: whoever finds the old ledger will ask; see --reason"));
    }
    let request = Request::RotateLedger { reason: reason.clone() };
    match context.client().call(&request) {
        Ok(response) => {
            let message = ask::done(response)?;
            ask::say(context, &message)
        }
        // Nobody writes it now, so it can be set aside from here; the ledger's own lock makes sure.
        Err(Unanswered::Unreachable(_)) => {
            let message = offline::rotate(&context.root, &reason)?;
            ask::say(context, &message)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use wbd_ledger::BadRecord;

    use super::*;
    use crate::out::testing::text_of;

    fn verification(problem: Option<BadRecord>) -> Verification {
        Verification {
            entries: 6,
            head: Some((6, "ab".into())),
            problem,
            anchor: AnchorState::AnchoredAt(5),
            unread: None,
            took_ms: 1,
        }
    }

    #[test]
    fn the_first_bad_record_is_named_with_the_way_on() {
        let bad = verification(Some(BadRecord { seq: 7, what: "its text was changed".into() }));
        let text = text_of(|out| tell(out, &bad));
        for part in
            ["BAD: record 7", "its text was changed", "Good records before it: 6", "wbdctl ledger rotate --reason"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(document(&bad)["verified"], false);
        assert_eq!(document(&bad)["problem"]["seq"], 7);
    }

    #[test]
    fn a_good_ledger_says_how_far_it_is_anchored() {
        let text = text_of(|out| tell(out, &verification(None)));
        assert_eq!(
            text,
            "ok: records: 6, verified to 6 (1 ms)\nhead ab\nAnchored at 5: the journal has seen the same record.\n"
        );
        assert_eq!(document(&verification(None))["anchor"]["state"], "anchored");
        let unread = Verification {
            anchor: AnchorState::None,
            unread: Some("journalctl failed".to_owned()),
            ..verification(None)
        };
        let text = text_of(|out| tell(out, &unread));
        assert!(text.starts_with("ok:") && text.contains("journalctl failed"), "{text}");
        assert_eq!(document(&unread)["anchor"]["unread"], "journalctl failed");
    }
}
