//! `status`: how the supervisor is and what is due next, as it says itself.
use wbd_engine::guard::hold;
use wbd_model::control::{self, Request, Status};

use crate::Context;
use crate::ask;
use crate::cli::Format;
use crate::client::Unanswered;
use crate::count::counted;
use crate::exit::{Ended, Exit, Failure};
use crate::incidents;
use crate::out::{Out, Tone};
use crate::{waiver, when};

/// Asks and shows.
///
/// # Errors
/// No answer, or no leave.
pub(crate) fn run(context: &mut Context) -> Ended {
    let answer = context.client().call(&Request::Status {}).map_err(|error| without(context, error))?;
    let status = ask::status_of(answer)?;
    if context.format == Format::Text {
        show(&mut context.out, &status);
    } else {
        context.out.document(context.format, &status)?;
    }
    Ok(Exit::Done)
}

/// Hold files are seen without the supervisor too.
fn without(context: &Context, error: Unanswered) -> Failure {
    let mut failure = Failure::from(error);
    for row in waiver::holds(&context.root, &[]) {
        failure = failure.and([format!("held {}", hold::words(&row))]);
    }
    failure
}

fn show(out: &mut Out, status: &Status) {
    let healing = mode(status);
    let good = status.hold.is_none() && status.degraded.is_none();
    out.spans(&[
        (Tone::Strong, "wbd-supervisord "),
        (
            Tone::Plain,
            &format!("{}, {}, pid {}, up {}", status.version, status.mode, status.pid, when::length(status.up_ms)),
        ),
    ]);
    out.hanging(&[(Tone::Plain, "healing    ")], if good { Tone::Good } else { Tone::Warn }, &healing);
    for suspension in suspensions(status) {
        out.paragraph("           ", &format!("suspended: {suspension}; to end this: wbdctl resume"));
    }
    let (hour, day) = (status.budget_left_hour, status.budget_left_day);
    let shares = match (status.budget_left_hour_others, status.budget_left_day_others) {
        (Some(hour), Some(day)) => format!("; {hour} and {day} of them for anything but wbd's own agent"),
        (None, _) | (_, None) => String::new(),
    };
    out.paragraph("budget     ", &format!("{hour} disruptive actions left in this hour, {day} in this day{shares}"));
    let profiles = if status.profiles.is_empty() { "none".to_owned() } else { status.profiles.join(", ") };
    out.paragraph("playbooks  ", &format!("{} loaded; products on this host: {profiles}", status.playbooks));
    out.line(format!("ledger     {}", counted(status.ledger_seq, "record")));
    if let Some(why) = &status.journal_unread {
        out.paragraph(
            "           ",
            &format!("the journal could not be read: {why}; check again: wbdctl ledger verify"),
        );
    }
    for line in untold(status) {
        out.paragraph("           ", &line);
    }
    if !status.waivers.is_empty() {
        out.line(format!("waivers    {}; see them with: wbdctl waiver list", status.waivers.len()));
    }
    out.heading(&format!("Open incidents: {}", status.open.len()));
    for row in &status.open {
        incidents::line(out, row);
    }
    if !status.handed_over.is_empty() {
        out.heading(&format!("Handed over to you and not solved yet: {}", status.handed_over.len()));
        for key in &status.handed_over {
            out.line(format!("  {key}"));
        }
        out.paragraph("  ", "Why, and what to do: wbdctl incidents list; wbdctl doctor");
    }
    if !status.next.is_empty() {
        out.heading("Due next");
        for next in &status.next {
            out.paragraph("  ", next);
        }
    }
}

/// Escalations that a person was not told of yet, a line each.
pub(crate) fn untold(status: &Status) -> Vec<String> {
    let mut lines: Vec<String> = status
        .untold
        .iter()
        .map(|row| {
            let what = row.incident.map_or_else(|| "the host".to_owned(), |id| id.to_string());
            let how = match (row.given_up, row.tries) {
                (true, tries) => format!("could not be notified in {tries} tries"),
                (false, 0) => "is about to be notified".to_owned(),
                (false, tries) => format!("was not notified yet ({tries} tries)"),
            };
            let why = if row.detail.is_empty() { String::new() } else { format!(": {}", row.detail) };
            format!("a person {how} of {what}, by {}{why}", row.by.as_str())
        })
        .collect();
    if status.untold_dropped > 0 {
        lines.push(format!("{} more notifications were dropped: too many waited", status.untold_dropped));
    }
    lines
}

/// Playbooks that wbd itself stopped; an older daemon tells no more than their names.
fn suspensions(status: &Status) -> Vec<String> {
    if status.suspensions.is_empty() {
        status.suspended.iter().map(|name| format!("playbook {name}")).collect()
    } else {
        status.suspensions.iter().map(|words| format!("playbook {words}")).collect()
    }
}

/// [`mode`], and what wbd itself stopped.
pub(crate) fn mode_and_suspensions(status: &Status) -> String {
    suspensions(status).iter().fold(mode(status), |text, suspension| format!("{text}; suspended: {suspension}"))
}

/// The healing mode with everything that holds it back.
pub(crate) fn mode(status: &Status) -> String {
    let mut text = control::healing_words(status.healing, &status.healing_of);
    if let Some(hold) = &status.hold {
        let is_busy = !status.holds.is_empty() && status.holds.iter().all(|row| row.busy.is_some());
        let verb = if is_busy { "held" } else { "paused" };
        text = format!("{text}, {verb} {hold}");
    }
    if let Some(why) = &status.degraded {
        text = format!("{text}, only observing: {why}");
    }
    text
}

/// A status for tests of what shows one.
#[cfg(test)]
pub(crate) mod testing {
    use wbd_model::control::{Mode, Status};
    use wbd_model::name::PlaybookName;
    use wbd_model::settings::Healing;

    /// Paused, degraded, one playbook suspended.
    pub(crate) fn status() -> Status {
        Status {
            schema: 1,
            version: "0.1.0".into(),
            mode: Mode::Systemd,
            pid: 7,
            up_ms: 65_000,
            healing: Healing::Auto,
            healing_of: std::collections::BTreeMap::new(),
            hold: Some("by root: kernel update".into()),
            holds: vec![],
            waivers: vec![],
            degraded: Some("the ledger does not verify".into()),
            suspended: vec![PlaybookName::new("dns").unwrap()],
            suspensions: vec!["dns: 9 verifications in a row failed; tries once more in 58 min".into()],
            playbooks: 7,
            profiles: vec!["wbd".into()],
            ledger_seq: 12,
            journal_unread: None,
            budget_left_hour: 2,
            budget_left_day: 5,
            budget_left_hour_others: Some(1),
            budget_left_day_others: Some(3),
            open: vec![],
            handed_over: vec![],
            next: vec!["agent-down on wbd: check in 8 s".into()],
            untold: vec![],
            untold_dropped: 0,
            checks: Vec::new(),
            agent: None,
            products: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use wbd_model::check::CheckKey;
    use wbd_model::control::{NotifyBy, UntoldRow};
    use wbd_model::incident::IncidentId;
    use wbd_model::name::{Code, TargetName};

    use super::testing::status;
    use super::*;
    use crate::out::testing::text_of;

    #[test]
    fn a_product_with_a_stricter_mode_stands_beside_the_general_one() {
        let mut status = status();
        (status.hold, status.degraded) = (None, None);
        assert_eq!(mode(&status), "auto");
        status.healing_of = [("aegis".to_owned(), wbd_model::settings::Healing::Observe)].into();
        assert_eq!(mode(&status), "auto; observe for aegis");
    }

    #[test]
    fn what_holds_healing_back_stands_beside_the_mode() {
        let text = text_of(|out| show(out, &status()));
        let expected = "\
wbd-supervisord 0.1.0, systemd, pid 7, up 65 s
healing    auto, paused by root: kernel update, only observing: the ledger does
           not verify
           suspended: playbook dns: 9 verifications in a row failed; tries once
           more in 58 min; to end this: wbdctl resume
budget     2 disruptive actions left in this hour, 5 in this day; 1 and 3 of
           them for anything but wbd's own agent
playbooks  7 loaded; products on this host: wbd
ledger     12 records

Open incidents: 0

Due next
  agent-down on wbd: check in 8 s
";
        assert_eq!(text, expected);
        let own = mode_and_suspensions(&status());
        assert!(
            own.ends_with("; suspended: playbook dns: 9 verifications in a row failed; tries once more in 58 min"),
            "{own}"
        );
    }

    #[test]
    fn what_was_handed_over_does_not_vanish_with_its_incident() {
        let key = CheckKey { code: Code::new("WBD-6007").unwrap(), target: TargetName::new("wbd").unwrap() };
        let text = text_of(|out| show(out, &Status { handed_over: vec![key], ..status() }));
        let expected = "\
Open incidents: 0

Handed over to you and not solved yet: 1
  WBD-6007 on wbd
";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn whom_nobody_could_be_told_of_is_shown() {
        let row = UntoldRow {
            by: NotifyBy::Program,
            incident: Some(IncidentId(3)),
            code: None,
            target: None,
            since: 0,
            reason: "why".into(),
            tries: 10,
            detail: "it ended with exit status: 1".into(),
            given_up: true,
        };
        let fresh =
            UntoldRow { by: NotifyBy::Journal, tries: 0, detail: String::new(), given_up: false, ..row.clone() };
        let lines = untold(&Status { untold: vec![row, fresh], untold_dropped: 2, ..status() });
        let expected = [
            "a person could not be notified in 10 tries of I3, by program: it ended with exit status: 1",
            "a person is about to be notified of I3, by journal",
            "2 more notifications were dropped: too many waited",
        ];
        assert_eq!(lines, expected);
    }
}
