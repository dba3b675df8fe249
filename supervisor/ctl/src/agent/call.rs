//! A command for the agent, passed on by the supervisor: every no is a failure, and a silent agent is named. Knows no
//! command.
use serde_json::{Value, json};
use wbd_model::control::{Request, Response};

use super::silent;
use crate::ask;
use crate::client::{Client, Unanswered};
use crate::exit::{Exit, Failure};

/// What the agent says of itself.
///
/// # Errors
/// No answer, no leave, or an agent that does not answer: which process, since when, what is done about it.
pub(super) fn health(client: &Client) -> Result<Value, Failure> {
    let mut reply = call(client, &json!("status"), false)?;
    let health = reply["status"]["health"].take();
    if health.is_null() {
        Err(Failure::bug("the agent's answer to status holds no health document"))
    } else {
        Ok(health)
    }
}

/// Passes a command on; every no of the agent is a failure.
///
/// # Errors
/// As [`health`], and the agent's own refusal with its code.
pub(super) fn call(client: &Client, command: &Value, change: bool) -> Result<Value, Failure> {
    let request = Request::AgentCall { command: command.to_string(), change };
    let answer = client.call(&request).map_err(|unanswered| match unanswered {
        // The supervisor may only be waiting for an agent that is hung.
        Unanswered::Late(_) => silent::explained(client, unanswered.into()),
        Unanswered::Unreachable(_) | Unanswered::NotPermitted(_) | Unanswered::Garbled(_) => unanswered.into(),
    })?;
    if let Response::Refused { .. } = &answer {
        return Err(ask::refusals(answer)
            .err()
            .map_or_else(|| ask::mismatch("the agent"), |failure| silent::explained(client, failure)));
    }
    let Response::Agent { reply } = ask::refusals(answer)? else { return Err(ask::mismatch("the agent")) };
    let reply: Value = serde_json::from_str(&reply)
        .map_err(|error| Failure::bug(format!("the agent's answer is no JSON: {error}")))?;
    answered(reply)
}

fn answered(reply: Value) -> Result<Value, Failure> {
    let message = |kind: &str| reply[kind]["message"].as_str().unwrap_or("no reason given").to_owned();
    if let Some(refused) = reply.get("refused") {
        let code = code(&refused["code"]);
        return Err(Failure::failed(format!("refused, {code}: {}; see wbdctl explain {code}", message("refused"))));
    }
    if reply.get("not_permitted").is_some() {
        return Err(Failure::new(Exit::NotPermitted, format!("not permitted: {}", message("not_permitted"))));
    }
    if reply.get("failed").is_some() {
        return Err(Failure::failed(format!("the agent failed: {}", message("failed"))));
    }
    Ok(reply)
}

/// A documented code as people know it.
pub(super) fn code(value: &Value) -> String {
    match value.as_str() {
        Some(word) if word.starts_with("WBD-") => word.to_owned(),
        Some(word) => format!("WBD-{word}"),
        None => format!("WBD-{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_no_of_the_agent_is_a_failure_with_its_code() {
        let failure = answered(json!({"refused": {"code": 5401, "message": "no apache runs"}})).unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(
            failure.message.contains("WBD-5401") && failure.message.contains("no apache runs"),
            "{}",
            failure.message
        );
        assert_eq!(answered(json!({"not_permitted": {"message": "root"}})).unwrap_err().exit, Exit::NotPermitted);
        assert_eq!(answered(json!({"failed": {"message": "disk full"}})).unwrap_err().exit, Exit::Failed);
        assert_eq!(answered(json!("done")), Ok(json!("done")));
    }
}
