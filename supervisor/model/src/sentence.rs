//! A record in a sentence, the same in the journal and on the screen: what, on what, why, and what became of it. Decides
//! nothing.
use crate::action::Action;
use crate::entry::{Body, Exit, ExitHow, Intent, Outcome, Subject};
use crate::hold::HOLD_FILES;
use crate::incident::{ActionId, Closing};
use crate::time::{length, utc};

/// What a record does not say itself, and how moments are written.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The action that an outcome is of, where its intent is known.
    pub action: Option<&'a Action>,
    /// The playbook's title of the case that a failure was found by.
    pub title: Option<&'a str>,
    /// A moment of the wall clock, Unix time in milliseconds, in words.
    pub moment: fn(i64) -> String,
}

impl Default for Around<'_> {
    fn default() -> Self {
        Self { action: None, title: None, moment: utc }
    }
}

/// The whole sentence: failure and target, what happened, the incident.
#[must_use]
pub fn sentence(subject: &Subject, body: &Body, around: &Around<'_>) -> String {
    let clause = clause(subject, body, around);
    let about = match (&subject.code, &subject.target) {
        (Some(code), Some(target)) => format!("{code} on {target}: "),
        (Some(code), None) => format!("{code}: "),
        (None, Some(target)) => format!("{target}: "),
        (None, None) => String::new(),
    };
    let incident = subject.incident.map_or_else(String::new, |id| format!(" (incident {id})"));
    format!("{about}{clause}{incident}")
}

/// What happened, without its subject.
#[must_use]
pub fn clause(subject: &Subject, body: &Body, around: &Around<'_>) -> String {
    match body {
        Body::Started { version, mode } => started(version, mode),
        Body::Opened { case, evidence, .. } => {
            let title = around.title.map_or_else(String::new, |title| format!(": {title}"));
            because(&format!("failure found{title} (case {case})"), evidence)
        }
        Body::Suppressed { by } => format!("a consequence of incident {by}; wbd acts on that one only"),
        Body::Unsuppressed {} => {
            "its cause is gone and the failure is not; wbd acts on the failure itself now".to_owned()
        }
        Body::Intent(intent) => intended(intent),
        Body::Outcome { action, result, detail, took_ms } => ended(*action, around.action, *result, detail, *took_ms),
        Body::Verdict { passed: true, after_ms, .. } => {
            format!("cured: the check passes again, {} after the failure was found", length(*after_ms))
        }
        Body::Verdict { passed: false, evidence, .. } => because("not cured: the check still fails", evidence),
        Body::Closed { how } => format!("the incident ended: {}", closed(*how)),
        Body::Refused(refusal) => format!("no action now ({}): {}", refusal.guard.as_str(), refusal.reason),
        Body::Escalated { reason, .. } => format!("a person is needed: {reason}"),
        Body::Notified { ok: true, tries, .. } => {
            format!("a person was notified by the program of on_escalation (try {tries})")
        }
        Body::Notified { ok: false, tries, detail, .. } => {
            format!("nobody was notified, because the program of on_escalation failed (try {tries}): {detail}")
        }
        Body::Notifier { program } if program.is_empty() => {
            "no program is set under on_escalation; what needs a person stands in the journal and in wbdctl".to_owned()
        }
        Body::Notifier { program } => format!("what needs a person is told by {}", program.join(" ")),
        Body::Approved { who, .. } => format!("{who} approved the action"),
        Body::Denied { who } => format!("{who} denied the action"),
        Body::Cleared {} => "the failure that was handed over is gone".to_owned(),
        Body::Manual { what, who, params } => because(&format!("{who} asked for {what}"), std::slice::from_ref(params)),
        Body::Hold { .. } | Body::Lifted { .. } | Body::Waived { .. } => said(body, around.moment),
        Body::Suspended { reason } => format!("wbd suspended {}: {reason}", playbook(subject)),
        Body::Resumed { who } => format!("{who} resumed: what wbd had suspended or handed over may be tried again"),
        Body::Rearmed {} => format!("{} goes on: its one try cured the failure", playbook(subject)),
        Body::Exit(exit) => gone(exit),
        Body::Rotated { reason, who, file, .. } => {
            format!("{who} began a new ledger and set the old one aside as {file}: {reason}")
        }
    }
}

fn started(version: &str, mode: &str) -> String {
    match mode {
        "systemd" => format!("wbd {version} began to watch this host"),
        _ => format!("wbd {version} began to watch this host ({mode})"),
    }
}

/// What people said about acting: holds and waivers.
fn said(body: &Body, moment: fn(i64) -> String) -> String {
    let until = |at: Option<i64>| at.map_or_else(String::new, |at| format!(" until {}", moment(at)));
    if let Body::Hold { who, why, until_wall_ms, from_class, file, busy } = body {
        if busy.is_some() {
            return format!("wbd holds actions back while the host is busy: {why} ({who})");
        }
        let until = until(*until_wall_ms);
        return match file {
            None => format!("{who} paused actions of class {from_class} and above{until}: {why}"),
            Some(file) => format!("hold file {file} holds actions of class {from_class} and above{until}: {why}"),
        };
    }
    if let Body::Waived { who, why, until_wall_ms } = body {
        return match until_wall_ms {
            Some(at) => format!("{who} waived the check until {}: {why}", moment(*at)),
            None => format!("{who} ended the waiver of the check: {why}"),
        };
    }
    if let Body::Lifted { who, file } = body {
        return match file {
            None => format!("{who} lifted the pause"),
            Some(file) if HOLD_FILES.contains(&file.trim_start_matches('/')) => {
                format!("hold file {file} is gone and holds nothing any more")
            }
            Some(busy) => format!("the host is no longer busy ({busy}): wbd acts again"),
        };
    }
    String::new()
}

fn intended(intent: &Intent) -> String {
    let (id, class) = (intent.action_id, intent.class);
    let step = if intent.steps > 1 { format!(", step {} of {}", intent.step + 1, intent.steps) } else { String::new() };
    let undoes = intent.undoes.map_or_else(String::new, |id| format!(", which takes back action {id}"));
    let asked = match &intent.by_hand {
        None => String::new(),
        Some(who) if intent.paid => format!(", asked for by {who} and counted in the budget"),
        Some(who) => format!(", asked for by {who}"),
    };
    format!("wbd is about to {} (action {id}, class {class}{step}){undoes}{asked}", intent.action.describe())
}

fn ended(id: ActionId, action: Option<&Action>, result: Outcome, detail: &str, took_ms: u64) -> String {
    let action = action.map_or_else(|| format!("action {id}"), |action| format!("action {id}, {},", action.describe()));
    let took = length(took_ms);
    let what = match result {
        Outcome::Done => format!("{action} is done after {took}"),
        Outcome::Failed => format!("{action} failed after {took}"),
        Outcome::Aborted => format!("{action} was not begun"),
        Outcome::Unknown => format!("{action} has no known outcome; wbd looks before it acts again"),
    };
    because(&what, &[detail.to_owned()])
}

const fn closed(how: Closing) -> &'static str {
    match how {
        Closing::Healed => "healed by wbd",
        Closing::SelfHealed => "gone before wbd did anything",
        Closing::Subsumed => "gone with its cause",
        Closing::HandedOver => "handed over to a person",
        Closing::Noise => "its product or its playbook is no longer here",
        Closing::Waived => "an operator waived the check",
    }
}

fn gone(exit: &Exit) -> String {
    let how = match exit.how {
        ExitHow::Exit => format!("with exit code {}", exit.code),
        ExitHow::Signal => format!("by signal {}", exit.code),
        ExitHow::Oom => "killed by the kernel for want of memory".to_owned(),
        ExitHow::OomLimit => "killed at the memory limit of its control group".to_owned(),
        ExitHow::OomHost => "killed because the host had no memory left".to_owned(),
        ExitHow::Unknown => "and how is not known".to_owned(),
    };
    let asked = match (exit.asked, exit.by.as_str()) {
        (true, "") => "; it was asked to".to_owned(),
        (true, by) => format!("; {by} asked for it"),
        (false, "") => "; nobody asked for it".to_owned(),
        (false, by) => format!(" ({by})"),
    };
    format!("process {} of the agent ended {how}{asked}", exit.pid)
}

fn playbook(subject: &Subject) -> String {
    subject.playbook.as_ref().map_or_else(|| "the playbook".to_owned(), |name| format!("playbook {name}"))
}

/// A statement and what it rests on.
fn because(statement: &str, seen: &[String]) -> String {
    let seen: Vec<&str> = seen.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    if seen.is_empty() { statement.to_owned() } else { format!("{statement}: {}", seen.join("; ")) }
}

#[cfg(test)]
#[path = "sentence_tests.rs"]
mod tests;
