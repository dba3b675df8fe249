//! A rehearsal for people: what would have been done, the sums, and what cannot be known. Decides nothing.
use wbd_engine::play::simulate::{CheckReport, Event, Totals};

use super::rehearsed::{Rehearsed, is_known, limits};
use crate::out::{Out, Tone};
use crate::when;

/// Shows it.
pub(super) fn show(out: &mut Out, rehearsed: &Rehearsed<'_>) {
    let report = &rehearsed.report;
    let names: Vec<&str> = rehearsed.playbooks.iter().filter_map(|playbook| playbook["name"].as_str()).collect();
    out.spans(&[(Tone::Strong, &format!("What {} would have done (nothing was done)", names.join(", ")))]);
    let span = match (report.from, report.to) {
        (Some(from), Some(to)) => format!("{} to {}", when::moment(from), when::moment(to)),
        _ => "nothing in that time".to_owned(),
    };
    out.line(format!("Record of {}: {span}", rehearsed.origin.words));
    for check in &report.checks {
        coverage(out, check);
    }
    if !is_known(report) {
        out.line("");
        let text = "nothing was recorded of what it asks, so nothing can be said of what it would have done. A playbook \
                    over the same probes that is installed for a while leaves a record; the supervisor keeps it for 28 days.";
        out.hanging(&[(Tone::Warn, "unknown"), (Tone::Plain, ": ")], Tone::Plain, text);
        return;
    }
    events(out, rehearsed);
    totals(out, rehearsed);
    out.heading("It cannot know");
    for limit in limits(rehearsed) {
        out.paragraph("  - ", &limit);
    }
}

fn coverage(out: &mut Out, check: &CheckReport) {
    let name = format!("  {} on {}: ", check.code, check.target);
    if check.recorded_ms == 0 {
        let never: Vec<&str> = check.never_recorded.iter().map(String::as_str).collect();
        let what = if never.is_empty() { String::new() } else { format!(" ({})", never.join(", ")) };
        out.paragraph(&name, &format!("unknown: the record has no answers to its questions{what}"));
        return;
    }
    let undecided = match check.undecided_ms {
        0 => String::new(),
        ms => format!(", for {} of that it could not be decided", when::length(ms)),
    };
    out.paragraph(
        &name,
        &format!("recorded for {}{undecided}; failures seen: {}", when::length(check.recorded_ms), check.failures),
    );
}

fn events(out: &mut Out, rehearsed: &Rehearsed<'_>) {
    let report = &rehearsed.report;
    if report.events.is_empty() {
        out.line("");
        out.line("It would have done nothing in what was recorded.");
    }
    let mut day = String::new();
    for event in &report.events {
        let today = when::day(event.time);
        if today != day {
            out.heading(&today);
            day = today;
        }
        line(out, event);
    }
    if report.events_left_out > 0 {
        out.line(format!("  ... and {} more, counted below", report.events_left_out));
    }
}

fn line(out: &mut Out, event: &Event) {
    let lead = format!("  {} {:<4} ", when::clock(event.time), event.incident.as_deref().unwrap_or(""));
    let assumed = if event.assumed { " (if the action before did not help)" } else { "" };
    let (word, text) = match &event.action {
        Some(action) => {
            let class = event.class.map_or_else(String::new, |class| format!(", class {class}"));
            ("would do", format!("{}{class}, rung {}{assumed}", action.describe(), event.word))
        }
        None => (kind(event), format!("{}{assumed}", gist(event))),
    };
    out.paragraph(&format!("{lead}{word:<9} "), &text);
    let more = |out: &mut Out, text: &str| out.paragraph(&format!("{:25}", ""), text);
    if let Some(budget) = event.budget {
        more(
            out,
            &format!(
                "attempt {} of {}; then left on this host: {} in the hour, {} in the day",
                budget.attempt, budget.attempts_max, budget.host_hour_left, budget.host_day_left
            ),
        );
        if event.in_life.is_empty() {
            more(out, "at that time wbd really did nothing to it");
        } else {
            more(out, &format!("what wbd really did: {}", event.in_life.join(", ")));
        }
    }
}

fn kind(event: &Event) -> &str {
    match (event.kind.as_str(), event.decidable) {
        ("verdict", Some(false)) => "proof ?",
        ("verdict", _) => "proof",
        (kind, _) => kind,
    }
}

fn gist(event: &Event) -> String {
    let whose = match (&event.code, &event.target) {
        (Some(code), Some(target)) if event.kind == "opened" => format!("{code} on {target}, "),
        _ => String::new(),
    };
    let rest = event.evidence.join("; ");
    let separator = if event.word.is_empty() || rest.is_empty() { "" } else { ": " };
    format!("{whose}{}{separator}{rest}", event.word)
}

fn totals(out: &mut Out, rehearsed: &Rehearsed<'_>) {
    let Totals { incidents, actions, by_class, refusals, proved, not_proved, not_decidable, handed_over } =
        &rehearsed.report.totals;
    out.heading("In all");
    let classes: Vec<String> = by_class.iter().map(|(class, count)| format!("{count} of {class}")).collect();
    let classes = if classes.is_empty() { String::new() } else { format!(" ({})", classes.join(", ")) };
    let counts =
        format!("incidents {incidents}, actions {actions}{classes}, refusals {refusals}, handed over {handed_over}");
    out.paragraph("  ", &counts);
    out.paragraph("  ", &format!("proofs: {proved} passed, {not_proved} failed, {not_decidable} not decidable"));
    out.paragraph(
        "  ",
        &format!("actions that wbd really did for these failures: {}", rehearsed.report.actions_in_life),
    );
}
