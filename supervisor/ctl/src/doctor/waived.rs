//! Doctor's screen of what a person said: holds, and waivers with what they cover. Judges nothing.
use wbd_engine::guard::{hold, waiver};
use wbd_model::report::Report;

use crate::out::{Out, Tone};

/// What holds actions back, a line each.
pub(crate) fn show_holds(out: &mut Out, report: &Report) {
    for row in &report.holds {
        out.paragraph("", &format!("Actions are held {}; {}.", hold::words(row), hold::lifts(row)));
    }
}

/// The section of waivers; nothing where there are none.
pub(crate) fn show(out: &mut Out, report: &Report) {
    if report.waived.is_empty() && report.waivers_unread.is_none() {
        return;
    }
    out.heading("Waived (does not count)");
    for row in &report.waived {
        let verdict = waiver::worst(row).map_or("nothing here", wbd_model::check::Verdict::as_str);
        crate::waiver::line(out, &row.waiver, row.standing, report.started, verdict);
        for check in &row.checks {
            let reason = if check.reason.is_empty() { String::new() } else { format!(": {}", check.reason) };
            out.paragraph("        ", &format!("{} says {}{reason}", check.target, check.verdict.as_str()));
        }
    }
    if let Some(why) = &report.waivers_unread {
        out.spans(&[(Tone::Warn, "  They could not be read, so everything counts:")]);
        out.paragraph("      ", why);
    }
}
