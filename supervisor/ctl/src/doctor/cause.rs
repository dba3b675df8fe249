//! Doctor's screen of one block: title, targets, what was seen, the fix, the steps for a person. Judges nothing.
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::report::Fix;

use crate::out::{Out, Tone};
use crate::plan::approval;
use crate::when;

use super::block::Block;

/// Columns before what a label is about.
const LABEL: usize = 15;

/// One block.
pub(super) fn show(out: &mut Out, number: usize, block: &Block<'_>, verbose: bool) {
    let first = block.first();
    head(out, number, block);
    let claim = block.claim();
    if !claim.is_empty() && first.claim != first.title {
        out.paragraph("   ", &claim);
    }
    targets(out, block, verbose);
    many(out, "seen", block.seen());
    for (ids, since, stands) in block.incidents() {
        let text = format!("{} since {}: {stands}", ids.join(", "), when::moment(since));
        many(out, "incident", [text.as_str()]);
    }
    let explains = block.explains();
    if !explains.is_empty() {
        many(out, "also explains", [explains.join(", ").as_str()]);
    }
    let fixes = block.fixes();
    let several = fixes.len() > 1;
    for (fix, targets) in &fixes {
        let on = if several { format!("on {}: ", targets.join(", ")) } else { String::new() };
        match fix {
            Some(fix) => shown_fix(out, &on, fix, &block.plan(targets)),
            None if several => many(out, "fix", [format!("{on}wbd cannot do it").as_str()]),
            None => {}
        }
    }
    let is_left_to_you = |fix: &Option<&Fix>| fix.is_none_or(|fix| fix.withheld.is_some());
    let whole = verbose || fixes.iter().any(|(fix, _)| is_left_to_you(fix));
    by_hand(out, block, whole);
    many(out, "more", [format!("wbdctl explain {}", first.code).as_str()]);
}

fn head(out: &mut Out, number: usize, block: &Block<'_>) {
    let fails = block.first().severity == Verdict::Fail;
    let (word, tone) = if fails { ("FAIL", Tone::Bad) } else { ("warn", Tone::Warn) };
    let (title, place) = (block.title(), format!("  [{}]", block.place()));
    out.line("");
    let number = format!("{number}. ");
    let lead = [(Tone::Plain, number.as_str()), (tone, word), (Tone::Plain, "  ")];
    let used: usize =
        lead.iter().map(|(_, text)| *text).chain([title.as_str(), &place]).map(|text| out.columns(text)).sum();
    if used <= out.width() {
        out.spans(&[&lead[..], &[(Tone::Strong, &title), (Tone::Plain, &place)]].concat());
    } else {
        out.hanging(&lead, Tone::Strong, &title);
        out.line(format!("        {}", place.trim_start()));
    }
}

/// The targets of a block that has several, each with what is true of it alone.
fn targets(out: &mut Out, block: &Block<'_>, verbose: bool) {
    if block.is_single() {
        return;
    }
    let own = block.targets();
    if !verbose && own.iter().all(|(_, claim)| claim.is_empty()) {
        let names: Vec<&str> = own.iter().map(|(target, _)| *target).collect();
        many(out, "on", [names.join(", ").as_str()]);
        return;
    }
    for (number, (cause, (target, claim))) in block.causes().zip(&own).enumerate() {
        let label = if number == 0 { "on" } else { "" };
        let text = if claim.is_empty() { (*target).to_owned() } else { format!("{target}: {claim}") };
        many(out, label, [text.as_str()]);
        if verbose {
            many(out, "", block.seen_of(cause).into_iter().map(|line| format!("- {line}")));
        }
    }
}

fn shown_fix(out: &mut Out, on: &str, fix: &Fix, plan: &[&str]) {
    let text = format!("{on}playbook {}, class {}: {}", fix.playbook, risk(fix.class), approval(fix));
    many(out, "fix", [text.as_str()]);
    for step in plan {
        out.paragraph(&format!("{:18}- ", ""), step);
    }
}

const fn risk(class: Class) -> &'static str {
    match class {
        Class::A0 => "A0 (observes)",
        Class::A1 => "A1 (raises a limit or reloads)",
        Class::A2 => "A2 (restarts the agent)",
        Class::A3 => "A3 (restarts another service)",
        Class::A4 => "A4 (disturbs the host)",
    }
}

/// The steps for a person: all of them where wbd leaves it to one, else the first, since wbd is at work.
fn by_hand(out: &mut Out, block: &Block<'_>, whole: bool) {
    let first = block.first();
    let Some(step) = first.guide.first() else { return };
    if !whole {
        let more = match first.guide.len() - 1 {
            0 => String::new(),
            1 => " (1 more step: wbdctl doctor -v)".to_owned(),
            more => format!(" ({more} more steps: wbdctl doctor -v)"),
        };
        many(out, "by hand", [format!("{step}{more}").as_str()]);
        return;
    }
    let of = if block.guides_differ() { format!("with the values of {}:", first.target) } else { String::new() };
    if !of.is_empty() {
        many(out, "by hand", [of.as_str()]);
    }
    for (number, step) in first.guide.iter().enumerate() {
        let label = if number == 0 && of.is_empty() { "by hand" } else { "" };
        out.paragraph(&format!("   {label:<LABEL$}{}. ", number + 1), step);
    }
}

fn many<T: AsRef<str>>(out: &mut Out, label: &str, lines: impl IntoIterator<Item = T>) {
    for (number, line) in lines.into_iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        out.paragraph(&format!("   {label:<LABEL$}"), line.as_ref());
    }
}
