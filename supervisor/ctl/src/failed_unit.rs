//! The notification of a supervisor that has failed for good, by a unit of its own: nobody else is left. An
//! entry in the journal, and the site's program. Starts no supervisor.
use std::time::{Duration, SystemTime};

use wbd_agent_api::program::{self, Output, Program};
use wbd_ledger::enter_in_journal;
use wbd_model::entry::{Body, Subject};
use wbd_model::name::{Code, TargetName};
use wbd_model::problem::Problem;
use wbd_model::sentence::{Around, sentence};

use crate::exit::{Ended, Exit, Failure};
use crate::{Context, catalogue, host};

/// As doctor calls it.
const CODE: &str = "WBD-SUPERVISOR";
/// The site's program gets as long as from the supervisor.
const DEADLINE: Duration = Duration::from_secs(30);
const MOST_OUTPUT: usize = 64 << 10;
/// Programs look for their helpers by name; nothing else of our environment is theirs.
const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Tells whoever listens. The unit runs it again where it fails.
///
/// # Errors
/// Neither the journal nor the program could be told, or one that should could not.
pub(crate) fn run(context: &mut Context) -> Ended {
    let row = catalogue::rows()?.into_iter().find(|row| row.code.as_str() == CODE).ok_or_else(|| Failure::bug(CODE))?;
    let reason = reason(|name| std::env::var(name).ok());
    let about = Subject { code: Code::new(CODE).ok(), target: TargetName::new("host").ok(), ..Subject::default() };
    let body = Body::Escalated { reason: reason.clone(), guide: row.guide.clone() };
    let entry = [
        ("MESSAGE", sentence(&about, &body, &Around::default())),
        ("MESSAGE_ID", body.message_id().to_owned()),
        ("PRIORITY", "2".to_owned()),
        ("SYSLOG_IDENTIFIER", "wbd-supervisord".to_owned()),
        ("WBD_CODE", CODE.to_owned()),
        ("WBD_TARGET", "host".to_owned()),
        ("EVIDENCE", row.guide.join("; ")),
    ];
    let entered = enter_in_journal(&context.root, &entry);
    let told = tell(context, &reason, &row.guide);
    match (entered, told) {
        (Ok(()), Ok(())) => Ok(Exit::Done),
        (_, Err(failure)) => Err(failure),
        (Err(error), Ok(())) => Err(Failure::failed(format!("the journal does not take the entry: {error}"))),
    }
}

/// Runs the site's program, where there is one.
fn tell(context: &Context, reason: &str, guide: &[String]) -> Result<(), Failure> {
    let settings = host::settings(&context.root, context.config.as_deref()).map_err(|problems| {
        let first = problems.first().map(Problem::brief).unwrap_or_default();
        Failure::new(Exit::BadConfig, format!("whom to notify cannot be read: {first}; correct wbd.yaml"))
    })?;
    let Some((path, args)) = settings.on_escalation.split_first() else { return Ok(()) };
    let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs());
    let lines: Vec<&str> = std::iter::once(reason).chain(guide.iter().map(String::as_str)).collect();
    let env = [
        ("PATH", SEARCH_PATH.to_owned()),
        ("LC_ALL", "C".to_owned()),
        ("WBD_CODE", CODE.to_owned()),
        ("WBD_TARGET", "host".to_owned()),
        ("WBD_INCIDENT", String::new()),
        ("WBD_REASON", lines.join("\n")),
        ("WBD_TIME", seconds.to_string()),
        ("WBD_TRY", "1".to_owned()),
    ];
    let program = Program {
        path: path.into(),
        args: args.iter().map(Into::into).collect(),
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        deadline: DEADLINE,
        output: Output::Whole { most: MOST_OUTPUT },
    };
    let said = program::run(&program).map_err(|error| Failure::failed(format!("nobody was notified: {error}")))?;
    if said.status.success() {
        return Ok(());
    }
    Err(Failure::failed(format!("nobody was notified: {path} ended with {}; run it by hand", said.status)))
}

/// Why, as the service manager hands it to a unit of OnFailure=.
fn reason(given: impl Fn(&str) -> Option<String>) -> String {
    let unit = given("MONITOR_UNIT").unwrap_or_else(|| "wbd-supervisord.service".to_owned());
    let result = given("MONITOR_SERVICE_RESULT").map_or_else(String::new, |result| format!(": {result}"));
    let status = given("MONITOR_EXIT_STATUS").map_or_else(String::new, |status| format!(", last status {status}"));
    format!("{unit} has failed{result}{status}; nothing is healed until it is started again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_service_managers_where_it_gives_one() {
        let given = |name: &str| match name {
            "MONITOR_SERVICE_RESULT" => Some("start-limit-hit".to_owned()),
            "MONITOR_EXIT_STATUS" => Some("78".to_owned()),
            _ => None,
        };
        assert!(reason(given).starts_with("wbd-supervisord.service has failed: start-limit-hit, last status 78;"));
        assert!(reason(|_| None).starts_with("wbd-supervisord.service has failed; nothing"));
    }
}
