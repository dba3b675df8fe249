//! Starts, restarts, stops and reloads of the agent that a person asks for, each to its end: the agent works. Does none
//! itself.
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use wbd_model::control::{AgentRow, AgentVerb, Request, Status};

use crate::Context;
use crate::ask;
use crate::client::{Client, Unanswered};
use crate::exit::{Ended, Exit, Failure};
use crate::wait::PATIENCE;

use super::call;
use super::silent::{self, HUNG_MS};

/// Longer than a job of the service manager takes, and less than the supervisor lets anybody wait.
const ACTION: Duration = Duration::from_secs(55);
/// For one question to an agent that may be hung.
const ANSWER: Duration = Duration::from_secs(2);
/// A process that was just started is there by then.
const BEGUN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// Asks for it, waits for its end, and for `works` until the agent works.
///
/// # Errors
/// No answer, no leave, a refusal; the agent does not work afterwards, or not yet.
pub(super) fn agent(context: &mut Context, verb: AgentVerb, no_wait: bool) -> Ended {
    let request = Request::Agent { verb };
    if no_wait {
        return ask::change(context, &request);
    }
    let message = done(&context.client(), &request).map_err(|failure| match verb {
        AgentVerb::Start | AgentVerb::Restart | AgentVerb::Reload => unless_hung(&context.client(), failure),
        AgentVerb::Stop => failure,
    })?;
    let works = match verb {
        AgentVerb::Start | AgentVerb::Restart | AgentVerb::Reload => works(&context.client())
            .map(|works| format!("; {works}"))
            .map_err(|failure| Failure { message: format!("{message}, but {}", failure.message), ..failure })?,
        // The end of the process is the end of its job.
        AgentVerb::Stop => String::new(),
    };
    ask::say(context, &format!("{message}{works}"))
}

/// Asks for an action by hand and waits for its end.
///
/// # Errors
/// No answer, no leave, a refusal, or it is not over yet.
pub(crate) fn done(client: &Client, request: &Request) -> Result<String, Failure> {
    let answer = client.patient(ACTION).call(request).map_err(|unanswered| match unanswered {
        Unanswered::Late(_) => {
            let seconds = ACTION.as_secs();
            let more = "see what comes of it: wbdctl ledger list --kind outcome";
            Failure::new(Exit::TryAgain, format!("it is still under way after {seconds} s; {more}"))
        }
        Unanswered::Unreachable(_) | Unanswered::NotPermitted(_) | Unanswered::Garbled(_) => unanswered.into(),
    })?;
    ask::done(answer)
}

/// A refusal, with what is known of an agent that is hung: `already so` is no success of a start then.
fn unless_hung(client: &Client, failure: Failure) -> Failure {
    if failure.exit != Exit::Failed {
        return failure;
    }
    let status = silent::status(client);
    let is_hung = |status: &Status| status.agent.as_ref().is_some_and(|agent| is_lost(agent, Duration::ZERO));
    let known = status.filter(|status| is_hung(status));
    match known.and_then(|status| silent::of(&status, crate::moment::clocks().wall_ms)) {
        Some(Failure { message, more, .. }) => {
            Failure { message: format!("{}; {message}", failure.message), more, ..failure }
        }
        None => failure,
    }
}

/// Waits until the agent answers and is past its start; says how it is.
fn works(client: &Client) -> Result<String, Failure> {
    let began = Instant::now();
    loop {
        match call::health(&client.within(ANSWER)) {
            Ok(health) => {
                if let Some(works) = working(&health) {
                    return Ok(works);
                }
            }
            Err(failure) => {
                let Some(status) = silent::status(client) else { return Err(failure) };
                if status.agent.as_ref().is_some_and(|agent| is_lost(agent, began.elapsed())) {
                    return Err(silent::of(&status, crate::moment::clocks().wall_ms).unwrap_or(failure));
                }
            }
        }
        if began.elapsed() >= PATIENCE {
            let seconds = PATIENCE.as_secs();
            let text = format!("it does not work yet after {seconds} s; see the rest: wbdctl agent status");
            return Err(Failure::new(Exit::TryAgain, text));
        }
        sleep(PAUSE);
    }
}

/// How an agent is that works, in words; one that starts does not work yet.
fn working(health: &Value) -> Option<String> {
    let state = health["state"].as_str().filter(|state| matches!(*state, "active" | "inactive"))?;
    Some(format!("process {} works and is {state}", health["pid"]))
}

/// Whether waiting longer for an answer is of no use.
fn is_lost(agent: &AgentRow, waited: Duration) -> bool {
    agent.silent_ms.is_some_and(|ms| ms > HUNG_MS) || agent.pid.is_none() && waited >= BEGUN
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_agent_works_when_it_is_past_its_start() {
        for state in ["active", "inactive"] {
            let words = working(&json!({"state": state, "pid": 7})).unwrap();
            assert!(words.contains("process 7") && words.contains(state), "{words}");
        }
        for state in ["starting", "stopping"] {
            assert_eq!(working(&json!({"state": state, "pid": 7})), None);
        }
    }

    #[test]
    fn a_hung_agent_is_not_waited_for_and_a_late_one_is() {
        let agent = |pid, silent_ms| AgentRow { pid, silent_ms, stopped_by: None };
        let second = Duration::from_secs(1);
        assert!(is_lost(&agent(Some(7), Some(HUNG_MS + 1)), Duration::ZERO));
        assert!(!is_lost(&agent(Some(7), Some(HUNG_MS)), PATIENCE), "it may still answer");
        assert!(!is_lost(&agent(Some(7), None), PATIENCE), "it has not got as far as its first sign of life");
        assert!(!is_lost(&agent(None, None), second), "it is about to begin");
        assert!(is_lost(&agent(None, None), BEGUN));
    }
}
