//! Folds verdicts into doctor's answer: few causes, each with what it explains. A view, never a source.
use wbd_model::action::Action;
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::lang::Lang;
use wbd_model::name::{Code, ProfileName};
use wbd_model::observation::{Fact, Observations, Value};
use wbd_model::plan::Plan;
use wbd_model::report::{Cause, CheckRow, DaemonView, Fix, Overall, Report, SCHEMA};
use wbd_model::seen::Forgotten;
use wbd_model::time::utc;
use wbd_model::waiver::Waiver;

use super::verdict::Judgement;
use super::{diagnose, plan, protection, snapshot, words};
use crate::guard::waiver;
use crate::playbook::Bound;

/// What a report is made of.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Host name.
    pub host: String,
    /// Unix milliseconds at which looking began.
    pub started_ms: i64,
    /// How long looking took.
    pub duration_ms: u64,
    /// Every check.
    pub rows: &'a [Row<'a>],
    /// Products of which it could not be told whether they are here.
    pub unseen_profiles: &'a [(ProfileName, String)],
    /// Products that are not here, though something has the name of one; what, and why it does not count.
    pub alike: &'a [(ProfileName, String)],
    /// Products that an administrator does not want checked.
    pub forgotten: &'a [(ProfileName, Forgotten)],
    /// Playbook files that were not loaded, in words.
    pub problems: &'a [String],
    /// What was learned from the daemon.
    pub daemon: Option<DaemonView>,
    /// What operators waived.
    pub waivers: &'a [Waiver],
    /// The supervisor of this root is stand-alone: what changes the machine is said and not done.
    pub alone: bool,
    /// Language of titles, claims and guides.
    pub lang: Lang,
}

/// One check and its look.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The check.
    pub bound: &'a Bound,
    /// What it says.
    pub judgement: &'a Judgement,
    /// What was seen.
    pub seen: &'a Observations,
    /// How long it has failed without a break; `None` where nobody watched over time.
    pub held_ms: Option<u64>,
    /// How long looking took.
    pub took_ms: u64,
}

/// How the reason of a check begins that passes since an administrator stopped what it looks at.
pub const STOPPED: &str = "stopped by ";

/// The report.
#[must_use]
pub fn report(inputs: Inputs<'_>) -> Report {
    // What is waived is nobody's cause: what it would explain stands by itself.
    let counts = |row: &&Row<'_>| waiver::covering(inputs.waivers, &row.bound.key, inputs.started_ms).is_none();
    let judged: Vec<_> = inputs.rows.iter().filter(counts).map(|row| (row.bound, row.judgement)).collect();
    let because = diagnose::diagnose(&judged);
    let mut causes: Vec<Cause> = inputs
        .rows
        .iter()
        .filter(|row| !because.iter().any(|(effect, _)| *effect == row.bound.key))
        .filter_map(|row| cause(row, &because, &inputs))
        .collect();
    causes.sort_by(|a, b| {
        (b.severity, b.explains.len(), &a.code, &a.target).cmp(&(a.severity, a.explains.len(), &b.code, &b.target))
    });
    let mut checks: Vec<CheckRow> = inputs.rows.iter().map(|row| check_row(row, &because)).collect();
    checks.extend(unseen(&inputs));
    checks.sort_by(|a, b| (&a.code, &a.target).cmp(&(&b.code, &b.target)));
    let mut report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: inputs.host,
        started: inputs.started_ms,
        duration_ms: inputs.duration_ms,
        verdict: Overall::Ok,
        protection: protection::of(inputs.rows.iter().map(|row| (row.bound, row.seen)), inputs.started_ms),
        causes,
        checks,
        differing: Vec::new(),
        waived: Vec::new(),
        waivers_unread: None,
        holds: Vec::new(),
        daemon: inputs.daemon,
    };
    waiver::set_aside(&mut report, inputs.waivers, inputs.started_ms);
    report.verdict = overall(&report.checks);
    report
}

/// The worst of all: a failure, else a warning, else something unseen.
#[must_use]
pub fn overall(checks: &[CheckRow]) -> Overall {
    let any = |verdict| checks.iter().any(|row| row.verdict == verdict);
    if any(Verdict::Fail) {
        Overall::Fail
    } else if any(Verdict::Warn) {
        Overall::Warn
    } else if any(Verdict::Unknown) {
        Overall::Unknown
    } else {
        Overall::Ok
    }
}

fn cause(row: &Row<'_>, because: &[(CheckKey, CheckKey)], inputs: &Inputs<'_>) -> Option<Cause> {
    let Row { bound, judgement, seen, .. } = *row;
    if !matches!(judgement.verdict, Verdict::Fail | Verdict::Warn) {
        return None;
    }
    let words = words::words(bound, judgement.case.as_deref()?, seen, &judgement.lets, inputs.lang);
    let (mut evidence, mut told) = (judgement.evidence.clone(), judgement.seen.clone());
    if let Some(line) = not_yet_held(row) {
        evidence.push(line.clone());
        told.push(line);
    }
    let mut explains: Vec<Code> =
        because.iter().filter(|(_, cause)| *cause == bound.key).map(|(effect, _)| effect.code.clone()).collect();
    explains.sort();
    explains.dedup();
    let ladder = plan::plan(bound, judgement, seen, 0).ok().flatten();
    Some(Cause {
        code: bound.key.code.clone(),
        severity: judgement.verdict,
        target: bound.key.target.clone(),
        group: judgement.case.as_ref().map(|case| format!("{}/{case}", bound.playbook)),
        title: words.title,
        claim: words.cause,
        evidence,
        seen: told,
        explains,
        incident: None,
        fix: ladder.map(|plan| Fix {
            approval: plan.approval,
            class: plan.class(),
            plan: plan.steps.iter().map(Action::describe).collect(),
            withheld: inputs.alone.then(|| on_the_machine(&plan)).flatten(),
            command: None,
            held: None,
            playbook: plan.playbook,
            changes: Vec::new(),
        }),
        guide: words.guide,
    })
}

/// Why a stand-alone supervisor leaves this plan to a person.
fn on_the_machine(plan: &Plan) -> Option<String> {
    let lines: Vec<String> = plan.steps.iter().filter_map(Action::on_the_machine).collect();
    let why = "a stand-alone supervisor changes nothing outside of its root";
    (!lines.is_empty()).then(|| format!("{why}; on the machine: {}", lines.join(", then ")))
}

fn not_yet_held(row: &Row<'_>) -> Option<String> {
    let needed = snapshot::hold_ms(row.bound, row.judgement);
    let held = row.held_ms.unwrap_or(0);
    (held < needed).then(|| {
        format!("seen for {} s so far; wbd takes it as a failure after {} s", held / 1000, needed.div_ceil(1000))
    })
}

fn check_row(row: &Row<'_>, because: &[(CheckKey, CheckKey)]) -> CheckRow {
    let key = &row.bound.key;
    let mut reason = row.judgement.reason.clone();
    if let Some((_, cause)) = because.iter().find(|(effect, _)| effect == key) {
        reason = format!("{reason}; because of {cause}");
    }
    // A wanted absence is no failure, and whoever finds it wants to know whose wish it was.
    if let Some(by) = stopped_by(row.seen).filter(|_| row.judgement.verdict == Verdict::Pass && reason.is_empty()) {
        reason = format!("{STOPPED}{by}");
    }
    CheckRow {
        code: key.code.clone(),
        target: key.target.clone(),
        verdict: row.judgement.verdict,
        reason,
        duration_ms: row.took_ms,
        unclear: row.judgement.unclear,
    }
}

fn stopped_by(seen: &Observations) -> Option<String> {
    let noted = seen.values().find(|seen| seen.fact("stop_noted") == Fact::Known(Value::from(true)))?;
    if let Fact::Known(by) = noted.fact("stop_by") { Some(by.to_string()) } else { None }
}

/// What could not be looked at is said, each under wbd's own code.
fn unseen(inputs: &Inputs<'_>) -> Vec<CheckRow> {
    let row = |code: &str, target: &str, verdict: Verdict, reason: &str| {
        Some(CheckRow {
            code: Code::new(code).ok()?,
            target: wbd_model::name::TargetName::new(target).ok()?,
            verdict,
            reason: reason.to_owned(),
            duration_ms: 0,
            unclear: false,
        })
    };
    let profiles = inputs.unseen_profiles.iter();
    let profiles = profiles.filter_map(|(name, why)| row("WBD-PROFILE", name.as_str(), Verdict::Unknown, why));
    let alike = inputs.alike.iter().filter_map(|(name, others)| {
        row("WBD-PROFILE", name.as_str(), Verdict::Skip, &format!("it is not on this host ({others})"))
    });
    let forgotten = inputs.forgotten.iter().filter_map(|(name, it)| {
        let when = utc(it.at_wall_ms);
        let why = format!(
            "it is on this host and not checked: {} had it forgotten at {when}; it is checked again once it runs again",
            it.who
        );
        row("WBD-PROFILE", name.as_str(), Verdict::Skip, &why)
    });
    let first_line = |problem: &String| problem.lines().next().unwrap_or_default().to_owned();
    let problems = inputs.problems.iter().map(first_line);
    let problems = problems.filter_map(|problem| row("WBD-PLAYBOOK", "host", Verdict::Unknown, &problem));
    profiles.chain(alike).chain(forgotten).chain(problems).collect()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
