//! Each kind of record is one sentence that a person can read.
use std::collections::BTreeSet;

use super::*;
use crate::action::{AgentStop, Class};
use crate::incident::{Guard, IncidentId, Refusal};
use crate::name::{Code, PlaybookName, TargetName};
use crate::observation::Observations;
use crate::time::{BootId, Now};

fn at() -> Now {
    Now { boot: BootId("b".to_owned()), boot_ms: 1, wall_ms: 5_000 }
}

fn subject() -> Subject {
    Subject {
        incident: Some(IncidentId(3)),
        code: Some(Code::new("WBD-6007").unwrap()),
        target: Some(TargetName::new("wbd").unwrap()),
        playbook: Some(PlaybookName::new("agent-down").unwrap()),
    }
}

fn intent(action: Action, by_hand: Option<&str>, steps: usize) -> Body {
    Body::Intent(Box::new(Intent {
        action_id: ActionId(5),
        class: action.class(),
        action,
        rung: 0,
        rung_id: "restart".to_owned(),
        step: 0,
        steps,
        plan: vec![],
        start_by_ms: 0,
        changes: vec![],
        undo: None,
        undoes: None,
        by_hand: by_hand.map(str::to_owned),
        paid: false,
        takes_back_stop: false,
        before: Observations::new(),
    }))
}

fn outcome(result: Outcome, detail: &str) -> Body {
    Body::Outcome { action: ActionId(5), result, detail: detail.to_owned(), took_ms: 1200 }
}

fn exit(how: ExitHow, code: i64, asked: bool, by: &str) -> Body {
    Body::Exit(Exit { pid: 12, how, code, asked, by: by.to_owned() })
}

fn hold(until_wall_ms: Option<i64>, file: Option<&str>) -> Body {
    let file = file.map(str::to_owned);
    Body::Hold { who: "root".into(), why: "upgrade".into(), until_wall_ms, from_class: Class::A1, file, busy: None }
}

fn waived(until_wall_ms: Option<i64>) -> Body {
    Body::Waived { who: "root".into(), why: "known".into(), until_wall_ms }
}

/// A record of each kind, some of them twice, with its clause.
#[rustfmt::skip]
fn clauses() -> Vec<(Body, &'static str)> {
    let who = || "root".to_owned();
    let refusal = Refusal { guard: Guard::Approval, reason: "it waits for an operator".into(), until_ms: None };
    let found = Body::Opened { digest: String::new(), case: "hung".into(), evidence: vec!["silent for 12 s".into(), "1 process".into()], before: Observations::new() };
    vec![
        (Body::Started { version: "1.0".into(), mode: "systemd".into() }, "wbd 1.0 began to watch this host"),
        (Body::Started { version: "1.0".into(), mode: "standalone".into() }, "wbd 1.0 began to watch this host (standalone)"),
        (found, "failure found (case hung): silent for 12 s; 1 process"),
        (Body::Suppressed { by: IncidentId(1) }, "a consequence of incident I1; wbd acts on that one only"),
        (Body::Unsuppressed {}, "its cause is gone and the failure is not; wbd acts on the failure itself now"),
        (intent(Action::AgentRestart {}, None, 1), "wbd is about to restart the agent (action A5, class A2)"),
        (intent(Action::AgentRestart {}, None, 2), "wbd is about to restart the agent (action A5, class A2, step 1 of 2)"),
        (intent(Action::AgentStop(AgentStop { who: who() }), Some("root"), 1), "wbd is about to stop the agent (action A5, class A2), asked for by root"),
        (outcome(Outcome::Done, ""), "action A5 is done after 1.2 s"),
        (outcome(Outcome::Failed, "the unit is masked"), "action A5 failed after 1.2 s: the unit is masked"),
        (outcome(Outcome::Aborted, "too late"), "action A5 was not begun: too late"),
        (outcome(Outcome::Unknown, "no answer"), "action A5 has no known outcome; wbd looks before it acts again: no answer"),
        (Body::Verdict { passed: true, evidence: vec![], after_ms: 1200 }, "cured: the check passes again, 1.2 s after the failure was found"),
        (Body::Verdict { passed: false, evidence: vec!["silent".into()], after_ms: 1200 }, "not cured: the check still fails: silent"),
        (Body::Closed { how: Closing::Healed }, "the incident ended: healed by wbd"),
        (Body::Refused(refusal), "no action now (approval): it waits for an operator"),
        (Body::Escalated { reason: "it came back".into(), guide: vec!["look".into()] }, "a person is needed: it came back"),
        (Body::Notified { of: at(), ok: true, detail: String::new(), tries: 1 }, "a person was notified by the program of on_escalation (try 1)"),
        (Body::Notified { of: at(), ok: false, detail: "it ended with 1".into(), tries: 2 }, "nobody was notified, because the program of on_escalation failed (try 2): it ended with 1"),
        (Body::Notifier { program: vec![] }, "no program is set under on_escalation; what needs a person stands in the journal and in wbdctl"),
        (Body::Notifier { program: vec!["/bin/mail".into(), "a".into()] }, "what needs a person is told by /bin/mail a"),
        (Body::Approved { who: who(), shown: None }, "root approved the action"),
        (Body::Denied { who: who() }, "root denied the action"),
        (Body::Cleared {}, "the failure that was handed over is gone"),
        (Body::Manual { what: "agent.stop".into(), who: who(), params: "a job".into() }, "root asked for agent.stop: a job"),
        (hold(Some(0), None), "root paused actions of class A1 and above until 1970-01-01T00:00:00Z: upgrade"),
        (hold(None, Some("/etc/wbd/hold")), "hold file /etc/wbd/hold holds actions of class A1 and above: upgrade"),
        (Body::Lifted { who: who(), file: None }, "root lifted the pause"),
        (Body::Lifted { who: who(), file: Some("/etc/wbd/hold".into()) }, "hold file /etc/wbd/hold is gone and holds nothing any more"),
        (waived(Some(0)), "root waived the check until 1970-01-01T00:00:00Z: known"),
        (waived(None), "root ended the waiver of the check: known"),
        (Body::Suspended { reason: "three tries failed".into() }, "wbd suspended playbook agent-down: three tries failed"),
        (Body::Resumed { who: who() }, "root resumed: what wbd had suspended or handed over may be tried again"),
        (Body::Rearmed {}, "playbook agent-down goes on: its one try cured the failure"),
        (exit(ExitHow::Exit, 1, false, ""), "process 12 of the agent ended with exit code 1; nobody asked for it"),
        (exit(ExitHow::Signal, 15, true, "systemctl"), "process 12 of the agent ended by signal 15; systemctl asked for it"),
        (exit(ExitHow::OomHost, 9, false, "limit 20 MiB"), "process 12 of the agent ended killed because the host had no memory left (limit 20 MiB)"),
        (Body::Rotated { old_head: String::new(), old_seq: 1, file: "l.db.1".into(), reason: "it is full".into(), who: "wbd".into(), debits_ms: vec![], next_incident: 1, next_action: 1, state: None },
            "wbd began a new ledger and set the old one aside as l.db.1: it is full"),
    ]
}

#[test]
fn each_kind_of_record_has_a_clause() {
    let around = Around::default();
    let mut kinds = BTreeSet::new();
    for (body, expected) in clauses() {
        kinds.insert(body.kind());
        assert_eq!(clause(&subject(), &body, &around), expected);
    }
    assert_eq!(kinds, BTreeSet::from(Body::KINDS));
}

#[test]
fn a_sentence_begins_with_what_it_is_about_and_ends_with_the_incident() {
    let around = Around { title: Some("The agent is silent"), ..Around::default() };
    let found =
        Body::Opened { digest: String::new(), case: "hung".into(), evidence: vec![], before: Observations::new() };
    let text = sentence(&subject(), &found, &around);
    assert_eq!(text, "WBD-6007 on wbd: failure found: The agent is silent (case hung) (incident I3)");
    let around = Around { action: Some(&Action::AgentRestart {}), ..Around::default() };
    let text = sentence(&subject(), &outcome(Outcome::Done, ""), &around);
    assert_eq!(text, "WBD-6007 on wbd: action A5, restart the agent, is done after 1.2 s (incident I3)");
    let text = sentence(&Subject::default(), &hold(None, None), &Around::default());
    assert_eq!(text, "root paused actions of class A1 and above: upgrade");
}
