//! Asks the supervisor for something and shows its plain answer. Chooses nothing to ask for.
use serde_json::json;
use wbd_model::control::{Request, Response, Status};
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::cli::Format;
use crate::exit::{Ended, Exit, Failure};

/// An answer in words: what was done.
///
/// # Errors
/// A refusal, broken files, no leave, no answer.
pub(crate) fn done(response: Response) -> Result<String, Failure> {
    let Response::Done { message, .. } = refusals(response)? else { return Err(mismatch("a change")) };
    Ok(message)
}

/// An answer that is the supervisor's status.
///
/// # Errors
/// A refusal, no leave, another kind of answer.
pub(crate) fn status_of(response: Response) -> Result<Box<Status>, Failure> {
    let Response::Status(status) = refusals(response)? else { return Err(mismatch("status")) };
    Ok(status)
}

/// Turns every kind of no into a failure; the rest passes.
///
/// # Errors
/// A refusal, broken files, no leave.
pub(crate) fn refusals(response: Response) -> Result<Response, Failure> {
    match response {
        Response::Refused { message } => Err(Failure::failed(format!("refused: {message}"))),
        Response::NotPermitted { message } => {
            Err(Failure::new(Exit::NotPermitted, format!("not permitted: {message}")))
        }
        Response::Broken { problems } => {
            // A problem's lines are wbd's own: what stands in them of a file was escaped where it was read.
            let mut lines = problems.iter().flat_map(|problem| problem.lines());
            let first = lines.next().unwrap_or("broken, and it does not say where");
            Err(Failure::new(Exit::BadConfig, first).and(lines))
        }
        Response::Done { .. }
        | Response::Status(_)
        | Response::Report(_)
        | Response::Incidents(_)
        | Response::Agent { .. }
        | Response::Escalation(_)
        | Response::Preview { .. } => Ok(response),
    }
}

/// An answer of another kind than the question.
pub(crate) fn mismatch(question: &str) -> Failure {
    Failure::bug(format!("the supervisor gave another kind of answer to the question for {question}"))
}

/// Asks for a change and shows what was done.
///
/// # Errors
/// As [`done`], and no answer.
pub(crate) fn change(context: &mut Context, request: &Request) -> Ended {
    let message = done(context.client().call(request)?)?;
    say(context, &message)
}

/// Shows what was done.
///
/// # Errors
/// Only our own mistake.
pub(crate) fn say(context: &mut Context, message: &str) -> Ended {
    if context.format == Format::Text {
        context.out.paragraph("", message);
    } else {
        context.out.document(context.format, &json!({"schema": SCHEMA, "result": "done", "message": message}))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_no_has_its_code() {
        let message = || "why".to_owned();
        let cases = [
            (Response::Refused { message: message() }, Exit::Failed),
            (Response::NotPermitted { message: message() }, Exit::NotPermitted),
            (Response::Broken { problems: vec![message()] }, Exit::BadConfig),
        ];
        for (response, exit) in cases {
            let failure = done(response).unwrap_err();
            assert_eq!(failure.exit, exit);
            assert!(failure.message.contains("why"), "{}", failure.message);
        }
        assert_eq!(done(Response::Done { message: message(), about: vec![] }), Ok(message()));
        assert!(done(Response::Report(None)).unwrap_err().message.contains("bug"));
    }
}
