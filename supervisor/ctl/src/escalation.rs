//! `escalation test`: has the supervisor run the site's program with a made-up incident. Runs nothing itself.
use std::time::Duration;

use serde_json::json;
use wbd_model::control::{EscalationTest, Request, Response};
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::ask;
use crate::cli::{Escalation, Format};
use crate::exit::{Ended, Exit, Failure};
use crate::out::Out;
use crate::when;

/// The program has 30 s, and one that cannot be ended 15 s more.
const LONGEST: Duration = Duration::from_secs(50);

/// `escalation VERB`.
///
/// # Errors
/// No program is configured, no answer, no leave; or the program failed.
pub(crate) fn run(context: &mut Context, verb: &Escalation) -> Ended {
    match verb {
        Escalation::Test => {}
    }
    let client = context.client().patient(LONGEST);
    let Response::Escalation(test) = ask::refusals(client.call(&Request::TestEscalation {})?)? else {
        return Err(ask::mismatch("a test of on_escalation"));
    };
    if context.format != Format::Text {
        let result = if test.ok { "done" } else { "failed" };
        let value = json!({"schema": SCHEMA, "result": result, "program": test.program, "detail": test.detail,
            "duration_ms": test.took_ms});
        context.out.document(context.format, &value)?;
        return Ok(if test.ok { Exit::Done } else { Exit::Failed });
    }
    if !test.ok {
        return Err(failed(&test));
    }
    show(&mut context.out, &test);
    Ok(Exit::Done)
}

fn show(out: &mut Out, test: &EscalationTest) {
    out.paragraph("", &format!("on_escalation works: {}", words(test)));
    out.paragraph("", "Check that the test message arrived where people read it.");
}

fn failed(test: &EscalationTest) -> Failure {
    Failure::failed(format!("on_escalation failed, nobody would be notified: {}", words(test)))
}

fn words(test: &EscalationTest) -> String {
    format!("{}, after {}: {}", test.program.join(" "), when::length(test.took_ms), test.detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::testing::text_of;

    #[test]
    fn the_program_its_end_and_its_words_are_shown() {
        let test = |ok, detail: &str| EscalationTest {
            program: vec!["/usr/local/bin/page".to_owned(), "--team".to_owned()],
            ok,
            detail: detail.to_owned(),
            took_ms: 1_500,
        };
        let text = text_of(|out| show(out, &test(true, "it ended with 0; it said: sent")));
        assert!(text.starts_with("on_escalation works: /usr/local/bin/page --team, after "), "{text}");
        assert!(text.contains("it said: sent"), "{text}");
        let failed = failed(&test(false, "it ended with exit status: 3; it said: no route"));
        assert_eq!(failed.exit, Exit::Failed);
        assert!(
            failed.message.contains("nobody would be notified") && failed.message.contains("status: 3"),
            "{failed:?}"
        );
    }
}
