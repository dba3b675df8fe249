//! Doctor's screen: verdict, host, causes, checks by product, what could not be checked. Judges nothing.
use std::collections::BTreeMap;

use wbd_engine::judge::report::STOPPED;
use wbd_model::check::Verdict;
use wbd_model::report::{CheckRow, Overall, Protection, ProtectionState, Report};

use crate::count::counted;
use crate::out::{Out, Tone};
use crate::when;

use super::block;
use super::{cause, waived};

/// More causes than this are only counted: whoever reads fixes the first ones first.
const SHOWN: usize = 5;

/// The whole screen; `verbose` names every check, every cause and every target.
pub(crate) fn show(out: &mut Out, report: &Report, verbose: bool) {
    verdict(out, report);
    let blocks = block::fold(&report.causes);
    let shown = if verbose { blocks.len() } else { SHOWN };
    for (number, block) in blocks.iter().take(shown).enumerate() {
        cause::show(out, number + 1, block, verbose);
    }
    if let Some(more) = blocks.len().checked_sub(shown).filter(|more| *more > 0) {
        let are = if more == 1 { "is" } else { "are" };
        out.heading(&format!("{} {are} not shown. See all: wbdctl doctor -v", counted(more, "more cause")));
    }
    waived::show(out, report);
    checks_by_product(out, &report.checks, verbose);
    if !verbose {
        unchecked(out, &report.checks);
    }
}

/// The verdict's word on the screen; never colour alone.
pub(crate) const fn word(overall: Overall) -> &'static str {
    match overall {
        Overall::Ok => "OK",
        Overall::Warn => "WARNING",
        Overall::Fail => "CRITICAL",
        Overall::Unknown => "UNKNOWN",
    }
}

/// The verdict in a sentence.
pub(crate) fn sentence(report: &Report) -> String {
    let blocks = block::fold(&report.causes);
    let failures = blocks.iter().filter(|block| block.first().severity == Verdict::Fail).count();
    let warnings = blocks.len() - failures;
    let unknown = report.checks.iter().filter(|check| check.verdict == Verdict::Unknown).count();
    let passed = report.checks.iter().filter(|check| check.verdict == Verdict::Pass).count();
    let said = match report.verdict {
        Overall::Ok if report.checks.is_empty() => "nothing to check".to_owned(),
        Overall::Ok if passed == 1 => "1 check passes".to_owned(),
        Overall::Ok => format!("{} pass", counted(passed, "check")),
        Overall::Warn => counted(warnings, "warning"),
        Overall::Fail if warnings > 0 => format!("{}, {}", counted(failures, "failure"), counted(warnings, "warning")),
        Overall::Fail => counted(failures, "failure"),
        Overall::Unknown => format!("{} could not be made, and nothing worse was found", counted(unknown, "check")),
    };
    match report.waived.iter().map(|row| row.checks.len()).sum() {
        0_usize => said,
        waived => format!("{said}, {waived} waived"),
    }
}

fn verdict(out: &mut Out, report: &Report) {
    let tone = match report.verdict {
        Overall::Ok => Tone::Good,
        Overall::Warn | Overall::Unknown => Tone::Warn,
        Overall::Fail => Tone::Bad,
    };
    out.spans(&[(tone, word(report.verdict)), (Tone::Strong, &format!(": {}", sentence(report)))]);
    if let Some(protection) = &report.protection {
        shown_protection(out, protection);
    }
    let looked = format!("{}: wbd {}, examined in {}.", report.host, report.version, when::length(report.duration_ms));
    match &report.daemon {
        Some(daemon) => {
            let (age, healing) = (when::length(daemon.age_ms), &daemon.healing);
            let version = if daemon.version == report.version { String::new() } else { format!(" {}", daemon.version) };
            out.paragraph(
                "",
                &format!("{looked} Supervisor{version}: healing {healing}; its last check was {age} ago."),
            );
        }
        None => out.paragraph("", &format!("{looked} The supervisor does not answer; doctor itself looked.")),
    }
    waived::show_holds(out, report);
}

/// `protection: on, 2 targets, 1,204 folders`.
fn shown_protection(out: &mut Out, protection: &Protection) {
    let why = &protection.why;
    let (tone, word, rest) = match protection.state {
        ProtectionState::On => {
            let count = |number: Option<u64>, noun| counted(number.unwrap_or(0), noun);
            let (targets, folders) = (count(protection.targets, "target"), count(protection.folders, "folder"));
            (Tone::Good, "on", format!(", {targets}, {folders}"))
        }
        ProtectionState::Off => {
            let since = protection.since.map(|at| format!(" since {}", when::moment(at))).unwrap_or_default();
            (Tone::Bad, "OFF", format!("{since}, {why}"))
        }
        ProtectionState::Unknown => (Tone::Warn, "UNKNOWN", format!(", {why}")),
        ProtectionState::NotExpected => (Tone::Plain, "not expected", format!(", {why}")),
    };
    out.spans(&[(Tone::Plain, "protection: "), (tone, word), (Tone::Plain, &rest)]);
}

/// The product (or `host`) that a check belongs to.
fn product(check: &CheckRow) -> &str {
    check.target.as_str().split('/').next().unwrap_or_default()
}

/// Each product with the count of its verdicts; `verbose`: with every check.
fn checks_by_product(out: &mut Out, checks: &[CheckRow], verbose: bool) {
    let mut products: BTreeMap<&str, Vec<&CheckRow>> = BTreeMap::new();
    for check in checks {
        products.entry(product(check)).or_default().push(check);
    }
    if products.is_empty() {
        return;
    }
    out.heading("Checks");
    for (name, rows) in products {
        let worst = rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::Unknown);
        let count = |verdict: Verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let parts: Vec<String> = [Verdict::Fail, Verdict::Warn, Verdict::Unknown, Verdict::Skip, Verdict::Pass]
            .into_iter()
            .filter(|verdict| count(*verdict) > 0)
            .map(|verdict| format!("{} {}", count(verdict), verdict.as_str()))
            .collect();
        let missing = 20_usize.saturating_sub(out.columns(name));
        out.spans(&[
            (Tone::Plain, &format!("  {name}{:missing$} ", "")),
            (tone(worst), &format!("{:<8} ", worst.as_str())),
            (Tone::Plain, &parts.join(", ")),
        ]);
        let is_told = |row: &&&CheckRow| verbose || row.verdict == Verdict::Pass && row.reason.starts_with(STOPPED);
        for row in rows.iter().filter(is_told) {
            let reason = if row.reason.is_empty() { String::new() } else { format!(": {}", row.reason) };
            let lead = format!("    {:<8}", row.verdict.as_str());
            let text = format!("{} on {}{reason}", row.code, row.target);
            out.hanging(&[(tone(row.verdict), &lead)], Tone::Plain, &text);
        }
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

/// What could not be checked or is not to be; what has one reason stands together.
fn unchecked(out: &mut Out, checks: &[CheckRow]) {
    let mut left: Vec<(&CheckRow, Vec<&str>)> = Vec::new();
    for check in checks.iter().filter(|check| matches!(check.verdict, Verdict::Unknown | Verdict::Skip)) {
        let same = |known: &CheckRow| {
            (&known.code, known.verdict, &known.reason) == (&check.code, check.verdict, &check.reason)
        };
        match left.iter_mut().find(|(known, _)| same(known)) {
            Some((_, targets)) => targets.push(check.target.as_str()),
            None => left.push((check, vec![check.target.as_str()])),
        }
    }
    if left.is_empty() {
        return;
    }
    out.heading("Not checked");
    for (check, targets) in left {
        let code = format!("  {:<14} ", check.code.as_str());
        out.paragraph(&code, &format!("on {} ({})", targets.join(", "), check.verdict.as_str()));
        out.paragraph("      ", &check.reason);
    }
}
