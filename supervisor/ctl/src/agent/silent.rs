//! What is known of an agent that does not answer: which process, since when, and what is being done. Asks the agent
//! nothing.
use wbd_model::control::{AgentRow, IncidentRow, Request, Status};
use wbd_model::name::TargetName;
use wbd_model::time::length;

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::{ask, moment, phase, when};

/// A heartbeat counts as missed after this, as in the playbook `agent-down`.
pub(super) const HUNG_MS: u64 = 10_000;
/// The product whose incidents are about the agent.
const PRODUCT: &str = "wbd";

/// Names the agent in a failure to get its answer, where the supervisor knows more of it than `failure` says.
pub(super) fn explained(client: &Client, failure: Failure) -> Failure {
    status(client).and_then(|status| of(&status, moment::clocks().wall_ms)).unwrap_or(failure)
}

/// How the supervisor is; `None`: it does not answer either.
pub(super) fn status(client: &Client) -> Option<Box<Status>> {
    client.call(&Request::Status {}).ok().and_then(|response| ask::status_of(response).ok())
}

/// What the supervisor knows of a silent agent; `None`: an older one, which does not tell.
pub(super) fn of(status: &Status, wall_ms: i64) -> Option<Failure> {
    let agent = status.agent.as_ref()?;
    let failure = match agent {
        AgentRow { pid: None, stopped_by: Some(who), .. } => {
            let said = format!("the agent does not run: {who} stopped it; start it: wbdctl agent start");
            return Some(Failure::failed(said));
        }
        AgentRow { pid: None, stopped_by: None, .. } => Failure::failed("the agent does not run"),
        AgentRow { pid: Some(pid), silent_ms: None, .. } => {
            Failure::failed(format!("the agent does not answer: process {pid} writes no heartbeat"))
        }
        AgentRow { pid: Some(pid), silent_ms: Some(ms), .. } if *ms > HUNG_MS => {
            let since = when::moment(wall_ms.saturating_sub_unsigned(*ms));
            let said = format!(
                "the agent is hung: process {pid} gave its last heartbeat at {since}, {} ago; it detects nothing",
                length(*ms)
            );
            Failure::failed(said)
        }
        AgentRow { pid: Some(pid), silent_ms: Some(ms), .. } => {
            let said = format!(
                "the agent did not answer in time: the last heartbeat of process {pid} was {} ago; try again",
                length(*ms)
            );
            return Some(Failure::new(Exit::TryAgain, said));
        }
    };
    Some(failure.and(done_about_it(status)))
}

/// What is being done, a line each.
fn done_about_it(status: &Status) -> Vec<String> {
    let open = status.open.iter().filter(|row| is_of_the_agent(&row.target));
    let line = |row: &IncidentRow| format!("what wbd does: {} ({}): {}", row.id, row.code, phase::phase(row));
    let mut lines: Vec<String> = open.map(line).collect();
    let handed_over = status.handed_over.iter().filter(|key| is_of_the_agent(&key.target));
    lines.extend(handed_over.map(|key| format!("{key} was handed over to a person; wbd does nothing more by itself")));
    if lines.is_empty() {
        lines.push("what wbd does: nothing yet; no incident is open".to_owned());
    }
    lines.push("what you can do: wbdctl doctor".to_owned());
    lines
}

fn is_of_the_agent(target: &TargetName) -> bool {
    target.as_str().split('/').next() == Some(PRODUCT)
}

#[cfg(test)]
mod tests {
    use wbd_model::check::CheckKey;
    use wbd_model::incident::{ActionId, IncidentId, Phase};
    use wbd_model::name::{Code, PlaybookName};

    use super::*;
    use crate::status::testing::status;

    fn said(agent: AgentRow, open: Vec<IncidentRow>) -> (Exit, String) {
        let failure = of(&Status { agent: Some(agent), open, ..status() }, 0).unwrap();
        (failure.exit, [&[failure.message][..], &failure.more].concat().join("\n"))
    }

    fn agent(pid: Option<u32>, silent_ms: Option<u64>) -> AgentRow {
        AgentRow { pid, silent_ms, stopped_by: None }
    }

    fn open(target: &str) -> IncidentRow {
        IncidentRow {
            id: IncidentId(4),
            code: Code::new("WBD-6007").unwrap(),
            target: TargetName::new(target).unwrap(),
            playbook: PlaybookName::new("agent-down").unwrap(),
            case: "hung".into(),
            phase: Phase::Acting { action: ActionId(7) },
            opened: 0,
            changed: 0,
            acts: 1,
            held: None,
            guide: vec![],
            reason: None,
        }
    }

    #[test]
    fn a_hung_agent_is_named_with_since_when_and_what_is_done() {
        let (exit, text) = said(agent(Some(4711), Some(35_000)), vec![open("wbd")]);
        assert_eq!(exit, Exit::Failed);
        for part in ["process 4711", "last heartbeat at 19", "35 s ago", "I4 (WBD-6007): wbd does action A7"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("the supervisor"), "{text}");
        // Twin: another product's incident is nothing that is done about the agent.
        let (_, text) = said(agent(Some(4711), Some(35_000)), vec![open("other")]);
        assert!(!text.contains("I4") && text.contains("no incident is open"), "{text}");
    }

    #[test]
    fn one_that_lives_and_was_only_slow_is_not_called_hung() {
        let (exit, text) = said(agent(Some(7), Some(500)), vec![]);
        assert_eq!(exit, Exit::TryAgain);
        assert!(text.contains("try again") && !text.contains("hung"), "{text}");
    }

    #[test]
    fn one_that_does_not_run_was_stopped_or_is_missed() {
        let stopped = AgentRow { stopped_by: Some("root (systemctl)".into()), ..agent(None, None) };
        let (exit, text) = said(stopped, vec![]);
        assert_eq!(exit, Exit::Failed);
        assert!(text.contains("root (systemctl) stopped it") && text.contains("wbdctl agent start"), "{text}");
        let (_, text) = said(agent(None, None), vec![open("wbd")]);
        assert!(!text.contains("stopped") && text.contains("wbd does action A7"), "{text}");
    }

    #[test]
    fn what_was_handed_over_is_said_and_an_older_supervisor_says_nothing() {
        let key = CheckKey { code: Code::new("WBD-6007").unwrap(), target: TargetName::new("wbd").unwrap() };
        let status = Status { agent: Some(agent(Some(7), None)), handed_over: vec![key], ..status() };
        let failure = of(&status, 0).unwrap();
        assert!(failure.more[0].contains("WBD-6007 on wbd was handed over"), "{:?}", failure.more);
        assert_eq!(of(&Status { agent: None, ..status }, 0), None);
    }
}
