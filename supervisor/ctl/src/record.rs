//! One record of the ledger in one line. Reads no ledger.
use wbd_model::entry::{Body, Entry, Weight};
use wbd_model::sentence::{Around, clause};

use crate::out::{Out, Tone};
use crate::when;

/// What a record says. A list has a column for the incident, and the failure stands where the incident begins.
pub(crate) fn gist(entry: &Entry) -> String {
    let around = Around { moment: when::moment, ..Around::default() };
    let clause = clause(&entry.subject, &entry.body, &around);
    let begins = matches!(entry.body, Body::Opened { .. } | Body::Waived { .. });
    if begins { format!("{}{clause}", failure(entry)) } else { clause }
}

/// Records in a list: an entry each, under the day that they were written on.
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

/// One entry of a list.
fn line(out: &mut Out, entry: &Entry) {
    let incident = entry.subject.incident.map_or_else(String::new, |id| id.to_string());
    let head = format!("{:>5} {} {incident:<4} ", entry.seq, when::clock(entry.at.wall_ms));
    let kind = format!("{:<9} ", entry.body.kind());
    out.entry(&[(Tone::Faint, &head), (tone(&entry.body), &kind)], Tone::Plain, &gist(entry));
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

const fn tone(body: &Body) -> Tone {
    match body.weight() {
        Weight::Good => Tone::Good,
        Weight::Plain => Tone::Plain,
        Weight::Warning => Tone::Warn,
        Weight::Bad => Tone::Bad,
    }
}
