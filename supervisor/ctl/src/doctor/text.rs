//! Doctor's screen: verdict, causes, areas, what could not be checked. Judges nothing.
use std::collections::BTreeMap;

use wbd_engine::judge::report::STOPPED;
use wbd_model::check::Verdict;
use wbd_model::report::{Cause, CheckRow, Fix, Overall, Protection, ProtectionState, Report};

use crate::out::{Out, Tone};
use crate::plan::approval;
use crate::when;

use super::waived;

/// More causes than this are only counted: whoever reads fixes the first ones first.
const SHOWN: usize = 5;

/// The whole screen.
pub(crate) fn show(out: &mut Out, report: &Report) {
    verdict(out, report);
    for (number, cause) in report.causes.iter().take(SHOWN).enumerate() {
        shown_cause(out, number + 1, cause);
    }
    if report.causes.len() > SHOWN {
        let more = report.causes.len() - SHOWN;
        out.heading(&format!("{more} more, smaller causes; see them with: wbdctl doctor -o json"));
    }
    waived::show(out, report);
    areas(out, &report.checks);
    unchecked(out, &report.checks);
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
    let failures = report.causes.iter().filter(|cause| cause.severity == Verdict::Fail).count();
    let warnings = report.causes.len() - failures;
    let unknown = report.checks.iter().filter(|check| check.verdict == Verdict::Unknown).count();
    let passed = report.checks.iter().filter(|check| check.verdict == Verdict::Pass).count();
    let said = match report.verdict {
        Overall::Ok if report.checks.is_empty() => "nothing to check".to_owned(),
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

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
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
    let looked = format!("{}, looked for {}", report.host, when::length(report.duration_ms));
    match &report.daemon {
        Some(daemon) => {
            let age = when::length(daemon.age_ms);
            out.paragraph(
                "",
                &format!("{looked}. Supervisor: healing {}; its last check is {age} old.", daemon.healing),
            );
        }
        None => out.paragraph("", &format!("{looked}. Supervisor: not reached; what is shown was seen from here.")),
    }
    waived::show_holds(out, report);
}

/// `protection: on, 2 targets, 1,204 folders`.
fn shown_protection(out: &mut Out, protection: &Protection) {
    let why = &protection.why;
    let (tone, word, rest) = match protection.state {
        ProtectionState::On => {
            let count = |number: Option<u64>, noun| {
                let number = number.unwrap_or(0);
                format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
            };
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

/// `1,204`: in a thousand's groups, as it is read aloud.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn shown_cause(out: &mut Out, number: usize, cause: &Cause) {
    let (word, tone) = if cause.severity == Verdict::Fail { ("FAIL", Tone::Bad) } else { ("warn", Tone::Warn) };
    let code = format!("  [{} on {}]", cause.code, cause.target);
    out.line("");
    let number = format!("{number}. ");
    let lead = [(Tone::Plain, number.as_str()), (tone, word), (Tone::Plain, "  ")];
    let used: usize =
        lead.iter().map(|(_, text)| *text).chain([cause.title.as_str(), &code]).map(|text| out.columns(text)).sum();
    if used <= out.width() {
        out.spans(&[&lead[..], &[(Tone::Strong, &cause.title), (Tone::Plain, &code)]].concat());
    } else {
        out.hanging(&lead, Tone::Strong, &cause.title);
        out.line(format!("        {}", code.trim_start()));
    }
    if !cause.claim.is_empty() && cause.claim != cause.title {
        out.paragraph("   ", &cause.claim);
    }
    many(out, "seen", &cause.evidence);
    if !cause.explains.is_empty() {
        let codes: Vec<&str> = cause.explains.iter().map(wbd_model::name::Code::as_str).collect();
        many(out, "also explains", &[codes.join(", ")]);
    }
    match &cause.fix {
        Some(fix) => shown_fix(out, fix),
        None => many(out, "fix", &["by hand:".to_owned()]),
    }
    // Where wbd heals, the steps by hand are one command away; where it does not, they are the point.
    let withheld = cause.fix.as_ref().is_some_and(|fix| fix.withheld.is_some());
    if withheld && !cause.guide.is_empty() {
        many(out, "", &["by hand:".to_owned()]);
    }
    if cause.fix.is_none() || withheld {
        for (number, step) in cause.guide.iter().enumerate() {
            out.paragraph(&format!("{:18}{}. ", "", number + 1), step);
        }
    }
    many(out, "more", &[format!("wbdctl explain {}", cause.code)]);
}

fn shown_fix(out: &mut Out, fix: &Fix) {
    many(out, "fix", &[format!("playbook {}, class {}: {}", fix.playbook, risk(fix), approval(fix))]);
    for step in &fix.plan {
        out.paragraph(&format!("{:18}- ", ""), step);
    }
}

fn risk(fix: &Fix) -> String {
    use wbd_model::action::Class;
    let words = match fix.class {
        Class::A0 => "observes",
        Class::A1 => "raises a limit or reloads",
        Class::A2 => "restarts the agent",
        Class::A3 => "restarts another service",
        Class::A4 => "disturbs the host",
    };
    format!("{} ({words})", fix.class)
}

fn many(out: &mut Out, label: &str, lines: &[String]) {
    for (number, line) in lines.iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        out.paragraph(&format!("   {label:<15}"), line);
    }
}

/// The product (or `host`) that a check belongs to.
fn area(check: &CheckRow) -> &str {
    check.target.as_str().split('/').next().unwrap_or_default()
}

fn areas(out: &mut Out, checks: &[CheckRow]) {
    let mut areas: BTreeMap<&str, Vec<&CheckRow>> = BTreeMap::new();
    for check in checks {
        areas.entry(area(check)).or_default().push(check);
    }
    if areas.is_empty() {
        return;
    }
    out.heading("Areas");
    for (name, rows) in areas {
        let worst = rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::Unknown);
        let count = |verdict: Verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let parts: Vec<String> = [Verdict::Fail, Verdict::Warn, Verdict::Unknown, Verdict::Skip, Verdict::Pass]
            .into_iter()
            .filter(|verdict| count(*verdict) > 0)
            .map(|verdict| format!("{} {}", count(verdict), verdict.as_str()))
            .collect();
        let name = out.fitted(name, 20);
        out.spans(&[
            (Tone::Plain, &format!("  {name} ")),
            (tone(worst), &format!("{:<8} ", worst.as_str())),
            (Tone::Plain, &parts.join(", ")),
        ]);
        for row in rows.iter().filter(|row| row.verdict == Verdict::Pass && row.reason.starts_with(STOPPED)) {
            out.paragraph("                       ", &format!("{} on {}: {}", row.code, row.target, row.reason));
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

fn unchecked(out: &mut Out, checks: &[CheckRow]) {
    let left: Vec<&CheckRow> =
        checks.iter().filter(|check| matches!(check.verdict, Verdict::Unknown | Verdict::Skip)).collect();
    if left.is_empty() {
        return;
    }
    out.heading("Not checked");
    for check in left {
        out.line(format!("  {:<14} on {} ({})", check.code.as_str(), check.target, check.verdict.as_str()));
        out.paragraph("      ", &check.reason);
    }
}
