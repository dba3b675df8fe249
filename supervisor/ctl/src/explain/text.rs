//! The screen of one explained failure: what happened, how wbd sees it, whether it is so now, what wbd does, what you do,
//! the source. Computes nothing.
use std::collections::BTreeMap;

use wbd_model::catalogue::{self, Seen};
use wbd_model::check::Verdict;
use wbd_model::report::Cause;
use wbd_model::time::length;

use super::failure::Explained;
use super::here::{Here, answer};
use super::known::Detected;
use crate::out::{Out, Tone};

/// What can be said without a look.
pub(super) fn begin(out: &mut Out, explained: &Explained) {
    let row = &explained.row;
    out.hanging(&[], Tone::Strong, &format!("{}: {}", row.code, row.title));
    out.paragraph("", &format!("({})", row.product));
    let also: Vec<&str> = catalogue::names(row.code.as_str()).into_iter().skip(1).collect();
    if !also.is_empty() {
        out.paragraph("", &format!("Other codes of the same failure: {}", also.join(", ")));
    }
    out.heading("What happened");
    out.paragraph("  ", &flow(&row.means));
    out.heading("How wbd sees it");
    let detected = format!("detected: {}", explained.detected.as_str());
    match (explained.detected, explained.detectors.as_slice()) {
        (Detected::Yes, []) => out.paragraph("  ", &format!("{detected}, by wbdctl doctor itself")),
        (Detected::No, _) => {
            out.paragraph("  ", &format!("{detected}. This release has no check for it; wbd only explains it."));
        }
        (Detected::Yes, detectors) => {
            for it in detectors {
                let every = it.every_ms.map_or_else(String::new, |ms| format!(", every {}", length(ms)));
                out.paragraph(
                    "  ",
                    &format!("{detected}, by playbook {} ({}{every})", it.playbook, it.asks.join(", ")),
                );
            }
        }
    }
    out.paragraph("  ", seen(row.seen));
}

/// The rest.
pub(super) fn end(out: &mut Out, explained: &Explained, here: &Here) {
    now(out, explained, here);
    does(out, explained);
    let guide = explained.guide(here);
    if !guide.is_empty() {
        out.heading("What you can do");
        for (number, step) in guide.iter().enumerate() {
            out.paragraph(&format!("  {}. ", number + 1), step);
        }
        if guide.iter().any(|step| step.contains('<') && step.contains('>')) {
            out.paragraph("  ", "Put your own value in the place of each word in <angle brackets>.");
        }
    }
    out.heading("Source");
    out.paragraph("  ", &explained.row.source);
}

fn now(out: &mut Out, explained: &Explained, here: &Here) {
    out.heading("Now on this host");
    let code = &explained.row.code;
    match here {
        Here::NotLooked(why) => out.paragraph("  ", &format!("not looked: {why}")),
        Here::Looked(_) => {
            for check in here.checks(code) {
                let cause = here.causes(code).into_iter().find(|cause| cause.target == check.target);
                let said = cause.map_or_else(|| check.reason.clone(), |cause| cause.title.clone());
                let colon = if said.is_empty() { "" } else { ": " };
                let word = answer(check.verdict);
                let lead = [(Tone::Plain, "  "), (tone(check.verdict), word), (Tone::Plain, " ")];
                out.hanging(&lead, Tone::Plain, &format!("({}){colon}{said}", check.target));
                cause.iter().for_each(|cause| evidence(out, cause));
            }
        }
    }
}

fn evidence(out: &mut Out, cause: &Cause) {
    let claim = Some(&cause.claim).filter(|claim| **claim != cause.title && !claim.is_empty());
    for line in claim.into_iter().chain(&cause.evidence) {
        out.paragraph("      ", line);
    }
}

fn does(out: &mut Out, explained: &Explained) {
    out.heading("What wbd does by itself");
    let rungs: Vec<_> = explained.detectors.iter().flat_map(|it| it.rungs.iter().map(move |rung| (it, rung))).collect();
    for (number, (it, rung)) in rungs.iter().enumerate() {
        let of = if explained.detectors.len() > 1 { format!(" of playbook {}", it.playbook) } else { String::new() };
        let actions = rung.actions.join(", ");
        let line = format!("{}{of}, class {} ({actions}): {}", rung.rung, rung.class, rung.decided);
        out.paragraph(&format!("  {}. ", number + 1), &line);
    }
    let actions: BTreeMap<_, _> = rungs.iter().flat_map(|(_, rung)| rung.actions.iter().zip(&rung.does)).collect();
    for (action, does) in actions {
        out.paragraph("     ", &format!("{action}: {does}"));
    }
    if rungs.is_empty() {
        out.paragraph("  ", "wbd changes nothing for it.");
    }
    if !explained.row.does.is_empty() {
        out.paragraph("  ", &flow(&explained.row.does));
    }
    for it in &explained.detectors {
        out.paragraph("  ", &format!("All of it: wbdctl playbook show {}", it.playbook));
    }
}

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Skip => Tone::Faint,
        Verdict::Unknown | Verdict::Warn => Tone::Warn,
        Verdict::Fail => Tone::Bad,
    }
}

fn flow(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const fn seen(seen: Seen) -> &'static str {
    match seen {
        Seen::Host => "It can be seen on this host.",
        Seen::Log => "It can be seen in forwarded log lines of another machine only.",
        Seen::Told => "It can be seen in the vendor's console or on another system only.",
    }
}
