//! Asks the supervisor's guards, and what each step would change, before a command is offered: what they would refuse is
//! not offered, or from which moment on it is of use. Asks for no fix.
use std::time::{Duration, Instant};

use wbd_model::action::Action;
use wbd_model::check::CheckKey;
use wbd_model::control::{Offer, Request, Response};
use wbd_model::incident::{Guard, Refusal};
use wbd_model::plan::Approval;
use wbd_model::report::{Fix, Report};
use wbd_model::time::Now;

use crate::client::Client;
use crate::{moment, phase};

/// A look at what a step changes may hang; the others are asked too.
const ONE: Duration = Duration::from_secs(3);

/// Whether each fix may be done now, and where it is wanted also what it would change; where the supervisor cannot tell,
/// or not in time, nothing is offered.
pub(super) fn ask(client: &Client, report: &mut Report, until: Instant, with_changes: bool) {
    // Whoever did not answer the examination is not asked again.
    let answers = report.daemon.is_some();
    for cause in &mut report.causes {
        let Some(fix) = &mut cause.fix else { continue };
        let candidate = fix.command.take();
        let left = until.saturating_duration_since(Instant::now());
        if !answers || left.is_zero() {
            continue;
        }
        let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
        let client = client.within(if with_changes { left } else { left.min(ONE) });
        let Ok(Response::Preview { plan, changes, offer, .. }) = client.call(&Request::PreviewFix { key }) else {
            continue;
        };
        if with_changes {
            // It may have seen something else meanwhile: then it would do something else, and that is said.
            fix.plan = plan.steps.iter().map(Action::describe).collect();
            fix.class = plan.class();
            fix.changes = changes;
        }
        if let Some(offer) = offer {
            offered(fix, candidate, &offer, &moment::clocks());
        }
    }
}

/// What the guards said, beside the fix: a command that they would let be followed, or what stands against it.
fn offered(fix: &mut Fix, candidate: Option<String>, offer: &Offer, now: &Now) {
    let words = |refusal: &Refusal| phase::refusal(refusal, now);
    if let Some(why) = &mut fix.withheld {
        // Only what was handed over can be asked for once more.
        let Some(command) = candidate else { return };
        match &offer.by_hand {
            None => {
                why.push_str(&format!("; one more try: {command}"));
                fix.command = Some(command);
            }
            Some(refusal) => why.push_str(&format!("; one more try would be refused now by {}", words(refusal))),
        }
        return;
    }
    let needs_approval = offer.by_itself.as_ref().is_some_and(|refusal| refusal.guard == Guard::Approval);
    if needs_approval {
        fix.approval = Approval::Operator;
    }
    match fix.approval {
        Approval::Auto => fix.held = offer.by_itself.as_ref().filter(|refusal| holds(refusal)).map(words),
        Approval::Operator => {
            fix.held = offer.by_hand.as_ref().filter(|refusal| holds(refusal)).map(words);
            if offer.by_hand.is_none() {
                let approve = offer.incident.map(|id| format!("wbdctl approve {id}"));
                fix.command = approve.or(candidate);
            }
        }
    }
}

/// Whether a refusal is more than that it is being done just now.
fn holds(refusal: &Refusal) -> bool {
    match refusal.guard {
        Guard::Conflict => false,
        Guard::Hold
        | Guard::Mode
        | Guard::Approval
        | Guard::Denied
        | Guard::HostBudget
        | Guard::Attempts
        | Guard::Backoff
        | Guard::Suspended
        | Guard::Window
        | Guard::Ledger
        | Guard::Unseen
        | Guard::Reach => true,
    }
}

#[cfg(test)]
mod tests {
    use wbd_model::action::Class;
    use wbd_model::incident::IncidentId;
    use wbd_model::name::PlaybookName;
    use wbd_model::time::BootId;

    use super::*;
    use crate::plan::approval;

    const RUN: &str = "wbdctl playbook run toy-match --target toy";

    fn fix(approval: Approval, withheld: Option<&str>) -> Fix {
        Fix {
            playbook: PlaybookName::new("toy-match").unwrap(),
            approval,
            class: Class::A2,
            plan: vec![],
            changes: vec![],
            withheld: withheld.map(str::to_owned),
            command: None,
            held: None,
        }
    }

    fn refusal(guard: Guard) -> Option<Refusal> {
        Some(Refusal { guard, reason: "its own words".into(), until_ms: Some(60_000) })
    }

    /// The words about the fix, and the command that is offered.
    fn said(mut fix: Fix, offer: Offer) -> (String, Option<String>) {
        let now = Now { boot: BootId("b".into()), boot_ms: 0, wall_ms: 0 };
        offered(&mut fix, Some(RUN.to_owned()), &offer, &now);
        (approval(&fix), fix.command)
    }

    fn offer(by_itself: Option<Refusal>, by_hand: Option<Refusal>) -> Offer {
        Offer { incident: Some(IncidentId(4)), by_itself, by_hand }
    }

    #[test]
    fn one_more_try_is_offered_only_where_the_guards_would_let_it_be_done() {
        let given_up = || fix(Approval::Auto, Some("it was handed over to a person"));
        let (words, command) = said(given_up(), offer(None, None));
        assert_eq!(words, format!("not done: it was handed over to a person; one more try: {RUN}"));
        assert_eq!(command.as_deref(), Some(RUN));
        let (words, command) = said(given_up(), offer(None, refusal(Guard::Attempts)));
        assert!(words.contains("would be refused now by attempts: its own words, until 19"), "{words}");
        assert!(command.is_none() && !words.contains("wbdctl"), "{words}");
    }

    #[test]
    fn an_approval_is_asked_for_by_the_command_that_gives_it_and_only_while_it_is_of_use() {
        let waits = || fix(Approval::Operator, None);
        let (words, command) = said(waits(), offer(refusal(Guard::Approval), None));
        assert_eq!(words, "waits for your approval: wbdctl approve I4");
        assert_eq!(command.as_deref(), Some("wbdctl approve I4"));
        let unopened = Offer { incident: None, ..offer(refusal(Guard::Approval), None) };
        assert_eq!(said(waits(), unopened).1.as_deref(), Some(RUN));
        let (words, command) = said(waits(), offer(refusal(Guard::Approval), refusal(Guard::HostBudget)));
        assert!(words.contains("refused now by host-budget: its own words, until 19"), "{words}");
        assert!(command.is_none() && !words.contains("wbdctl"), "{words}");
        // What is free by the settings and waits all the same: the guard's word counts.
        let (words, _) = said(fix(Approval::Auto, None), offer(refusal(Guard::Approval), None));
        assert!(words.starts_with("waits for your approval"), "{words}");
    }

    #[test]
    fn what_wbd_does_by_itself_says_what_keeps_it_back() {
        let free = || fix(Approval::Auto, None);
        assert_eq!(said(free(), offer(None, None)), ("wbd does it by itself".to_owned(), None));
        let (words, command) = said(free(), offer(refusal(Guard::Hold), refusal(Guard::Hold)));
        assert!(words.contains("but not now: hold: its own words, until 19"), "{words}");
        assert_eq!(command, None);
        // Twin: that it is being done just now keeps nothing back.
        assert_eq!(said(free(), offer(refusal(Guard::Conflict), None)).0, "wbd does it by itself");
    }
}
