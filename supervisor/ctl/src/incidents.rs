//! `incidents`, `approve`, `deny`: failures through time, and an operator's decision on what waits.
use std::io::{BufRead, IsTerminal, Read, Write};

use serde_json::json;
use wbd_model::check::CheckKey;
use wbd_model::control::{IncidentRow, Request, Response};
use wbd_model::incident::{IncidentId, Phase};
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::ask;
use crate::cli::{Format, Incidents};
use crate::count::counted;
use crate::exit::{Ended, Exit, Failure};
use crate::out::{Out, Tone};
use crate::phase::phase;
use crate::plan::{self, Waiting};
use crate::wait::{self, Asking};
use crate::{ledger, record, when};

/// An answer is a word, in bytes.
const MAX_ANSWER: u64 = 64;

/// `incidents list|show`.
///
/// # Errors
/// No answer, no leave, or no such incident.
pub(crate) fn run(context: &mut Context, verb: &Incidents) -> Ended {
    let rows = rows(context)?;
    match verb {
        Incidents::List => list(context, &rows),
        Incidents::Show { incident } => show(context, &rows, *incident),
    }
}

/// `approve`: shows what it is an approval of, asks, then says it.
///
/// # Errors
/// No answer, no leave, nothing waits, it is no longer what was shown; nobody could be asked; what was approved was
/// refused later, failed, or is not over yet.
pub(crate) fn approve(context: &mut Context, incident: IncidentId, yes: bool, no_wait: bool) -> Ended {
    let waiting = plan::waiting(context, incident)?;
    if context.format == Format::Text {
        plan::show(&mut context.out, &waiting);
        context.out.flush();
    }
    if !yes && !confirmed(context, incident)? {
        return Err(Failure::failed(format!(
            "{incident} is not approved: you did not answer yes, and nothing is done"
        )));
    }
    let asking = Asking::begin(context.client())?;
    let Waiting { plan, changes, digest, .. } = waiting;
    let message = ask::done(context.client().call(&Request::Approve { incident, shown: Some(digest) })?)?;
    let key = CheckKey { code: plan.code.clone(), target: plan.target.clone() };
    let about = if no_wait { vec![] } else { vec![key] };
    wait::show(context, &asking, &message, &about, json!({"plan": plan, "changes": changes}))
}

/// Asks the person at the terminal.
///
/// # Errors
/// There is no terminal to ask at.
fn confirmed(context: &mut Context, incident: IncidentId) -> Result<bool, Failure> {
    let (input, prompt) = (std::io::stdin(), std::io::stderr());
    if context.format != Format::Text || !input.is_terminal() || !prompt.is_terminal() {
        let text =
            format!("{incident} is not approved: there is no terminal to ask at; use --yes to approve what is shown");
        return Err(Failure::new(Exit::Usage, text));
    }
    // A prompt that cannot be written is answered by nobody.
    let asked = write!(&prompt, "Do this? [y/N] ").and_then(|()| (&prompt).flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| input.lock().take(MAX_ANSWER).read_line(&mut answer));
    Ok(read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// `deny`.
///
/// # Errors
/// No answer, no leave, or nothing waits.
pub(crate) fn deny(context: &mut Context, incident: IncidentId) -> Ended {
    ask::change(context, &Request::Deny { incident })
}

/// Asks for the list.
///
/// # Errors
/// No answer, or no leave.
pub(crate) fn rows(context: &Context) -> Result<Vec<IncidentRow>, Failure> {
    let Response::Incidents(rows) = ask::refusals(context.client().call(&Request::Incidents {})?)? else {
        return Err(ask::mismatch("incidents"));
    };
    Ok(rows)
}

/// One line of a list.
pub(crate) fn line(out: &mut Out, row: &IncidentRow) {
    let target = out.padded(row.target.as_str(), 10);
    let head = format!("  {:<5} {} {:<13} {target} ", row.id.to_string(), when::short(row.opened), row.code,);
    let open = !matches!(row.phase, Phase::Closed { .. });
    let tone = if open { Tone::Bad } else { Tone::Plain };
    let text = format!("{} (case {}, {})", phase(row), row.case, actions(row.acts));
    out.entry(&[(Tone::Plain, &head)], tone, &text);
}

fn actions(acts: u32) -> String {
    counted(acts, "action")
}

fn list(context: &mut Context, rows: &[IncidentRow]) -> Ended {
    if context.format != Format::Text {
        context.out.document(context.format, &json!({"schema": SCHEMA, "incidents": rows}))?;
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.line("No incidents.");
    }
    for row in rows {
        line(&mut context.out, row);
    }
    Ok(Exit::Done)
}

fn show(context: &mut Context, rows: &[IncidentRow], id: IncidentId) -> Ended {
    let entries = ledger::of_incident(context, id);
    let row = rows.iter().find(|row| row.id == id);
    let waits = row.is_some_and(|row| matches!(row.phase, Phase::Gated { .. }));
    let waiting: Option<Waiting> = if waits { plan::waiting(context, id).ok() } else { None };
    let records = entries.as_deref().unwrap_or_default();
    if row.is_none() && records.is_empty() {
        return Err(Failure::failed(format!("there is no incident {id}; list them: wbdctl incidents list")));
    }
    if context.format != Format::Text {
        let records: Vec<_> = records.iter().map(wbd_model::entry::Entry::to_json).collect();
        let waiting = waiting.map(|waiting| json!({"plan": waiting.plan, "changes": waiting.changes}));
        let value = json!({"schema": SCHEMA, "incident": row, "entries": records, "waiting": waiting});
        context.out.document(context.format, &value)?;
        return Ok(Exit::Done);
    }
    let out = &mut context.out;
    if let Some(row) = row {
        out.spans(&[(Tone::Strong, &format!("{id}: {} on {}", row.code, row.target))]);
        out.paragraph("  ", &format!("{} ({}, case {}, {})", phase(row), row.playbook, row.case, actions(row.acts)));
        let (opened, changed) = (when::moment(row.opened), when::moment(row.changed));
        out.paragraph("  ", &format!("opened {opened}, last record {changed}"));
    }
    if let Some(waiting) = &waiting {
        plan::show(out, waiting);
        out.paragraph("", &format!("To approve: wbdctl approve {id}; to deny: wbdctl deny {id}"));
    }
    out.heading("Records");
    match &entries {
        Ok(entries) => record::list(out, entries),
        Err(failure) => out.paragraph("  ", &format!("The records cannot be shown: {}", failure.message)),
    }
    if let Some(row) = row.filter(|row| !row.guide.is_empty()) {
        out.heading("What you can do");
        for (number, step) in row.guide.iter().enumerate() {
            out.paragraph(&format!("  {}. ", number + 1), step);
        }
    }
    Ok(Exit::Done)
}
