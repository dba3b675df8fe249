//! One record of the ledger in one line. Reads no ledger.
use wbd_model::entry::{Body, Entry, Intent, Weight};

use crate::out::{Out, Tone};
use crate::when;

/// What a record says, in a few words.
pub(crate) fn gist(entry: &Entry) -> String {
    match &entry.body {
        Body::Started { version, mode } => format!("supervisor {version} began, {mode}"),
        Body::Opened { case, evidence, .. } => joined(&format!("{}{case}", failure(entry)), evidence),
        Body::Suppressed { by } => format!("a consequence of {by}"),
        Body::Unsuppressed {} => "outlived its cause".to_owned(),
        Body::Intent(intent) => intended(intent),
        Body::Outcome { action, result, detail, took_ms } => {
            let took = when::length(*took_ms);
            joined(&format!("{action}: {} after {took}", result.as_str()), std::slice::from_ref(detail))
        }
        Body::Verdict { passed: true, after_ms, .. } => {
            format!("proved, {} after it was opened", when::length(*after_ms))
        }
        Body::Verdict { passed: false, evidence, .. } => joined("not proved", evidence),
        Body::Closed { how } => how.as_str().to_owned(),
        Body::Refused(refusal) => format!("{}: {}", refusal.guard.as_str(), refusal.reason),
        Body::Escalated { reason, .. } => format!("a person is needed: {reason}"),
        Body::Notified { ok: true, tries, .. } => format!("a person was notified, try {tries}"),
        Body::Notified { ok: false, tries, detail, .. } => format!("nobody was notified, try {tries}: {detail}"),
        Body::Notifier { program } if program.is_empty() => "no program notifies of escalations".to_owned(),
        Body::Notifier { program } => format!("{} notifies of escalations", program.join(" ")),
        Body::Approved { who, .. } | Body::Denied { who } | Body::Lifted { who, .. } | Body::Resumed { who } => {
            format!("by {who}")
        }
        Body::Cleared {} => "seen gone".to_owned(),
        Body::Rearmed {} => joined("goes on", &playbook(entry)),
        Body::Manual { what, who, params } => format!("{what} {params} by {who}"),
        Body::Hold { who, why, busy: Some(_), .. } => format!("held by {who}: {why}"),
        Body::Hold { who, why, from_class, .. } => format!("{from_class} and above held by {who}: {why}"),
        Body::Waived { who, why, until_wall_ms } => {
            let until =
                until_wall_ms.map_or_else(|| "ended".to_owned(), |until| format!("until {}", when::moment(until)));
            format!("{}{until} by {who}: {why}", failure(entry))
        }
        Body::Suspended { reason } => {
            playbook(entry).first().map_or_else(|| reason.clone(), |name| format!("{name}: {reason}"))
        }
        Body::Exit(exit) => {
            let by = if exit.by.is_empty() { String::new() } else { format!(" ({})", exit.by) };
            format!("process {} ended: {} {}{by}", exit.pid, exit.how.as_str(), exit.code)
        }
        Body::Rotated { reason, who, file, .. } => format!("by {who}: {reason}; the old one is {file}"),
    }
}

/// Records in a list: a line each, under the day that they were written on.
pub(crate) fn list<'a>(out: &mut Out, entries: impl IntoIterator<Item = &'a Entry>) {
    let mut day = String::new();
    for entry in entries {
        let written = when::day(entry.at.wall_ms);
        if written != day {
            out.spans(&[(Tone::Strong, &written)]);
            day = written;
        }
        line(out, entry);
    }
}

/// One line of a list.
fn line(out: &mut Out, entry: &Entry) {
    let incident = entry.subject.incident.map_or_else(String::new, |id| id.to_string());
    let head = format!("{:>5} {} {incident:<4} ", entry.seq, when::clock(entry.at.wall_ms));
    let kind = format!("{:<9} ", entry.body.kind());
    let gist = out.cut(&gist(entry), out.width().saturating_sub(out.columns(&head) + out.columns(&kind)));
    out.spans(&[(Tone::Faint, &head), (tone(&entry.body), &kind), (Tone::Plain, &gist)]);
}

fn intended(intent: &Intent) -> String {
    let action = intent.action.describe();
    let undoes = intent.undoes.map_or_else(String::new, |id| format!(", takes back {id}"));
    let by = intent.by_hand.as_ref().map_or_else(String::new, |who| format!(", {}: {who}", intent.asked()));
    format!("{}: {action}, class {}{undoes}{by}", intent.action_id, intent.class)
}

/// The failure and whose it is; later records of an incident do not repeat it.
fn failure(entry: &Entry) -> String {
    match (&entry.subject.code, &entry.subject.target) {
        (Some(code), Some(target)) => format!("{code} on {target}: "),
        (Some(code), None) => format!("{code}: "),
        (None, Some(target)) => format!("{target}: "),
        (None, None) => String::new(),
    }
}

fn playbook(entry: &Entry) -> Vec<String> {
    entry.subject.playbook.iter().map(|name| format!("playbook {name}")).collect()
}

fn joined(first: &str, rest: &[String]) -> String {
    let rest: Vec<&str> = rest.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    if rest.is_empty() { first.to_owned() } else { format!("{first}; {}", rest.join("; ")) }
}

const fn tone(body: &Body) -> Tone {
    match body.weight() {
        Weight::Good => Tone::Good,
        Weight::Plain => Tone::Plain,
        Weight::Warning => Tone::Warn,
        Weight::Bad => Tone::Bad,
    }
}
