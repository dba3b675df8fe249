//! The notification of a supervisor that has failed, by a unit of its own: nobody else is left. An entry in the journal,
//! and the site's program, as far as broken settings tell it. Starts no supervisor.
use std::path::Path;
use std::time::{Duration, SystemTime};

use wbd_agent_api::program::{self, Output, Program};
use wbd_engine::playbook::settings;
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

/// An entry of this priority is shown on every terminal of the host; see `ForwardToWall` of journald.conf(5).
const ON_EVERY_TERMINAL: &str = "0";
const CRITICAL: &str = "2";

/// Whom to tell beside the journal.
#[derive(Debug, PartialEq, Eq)]
enum Listener {
    /// The settings name nobody.
    Nobody,
    /// The site's program with its arguments; and what else is wrong with the settings.
    Program(Vec<String>, Option<String>),
    /// The settings cannot be used, and no program can be read from them; why.
    Everybody(String),
}

/// Tells whoever listens. The unit runs it again where it fails.
///
/// # Errors
/// Neither the journal nor the program could be told, or one that should could not.
pub(crate) fn run(context: &mut Context) -> Ended {
    let row = catalogue::rows()?.into_iter().find(|row| row.code.as_str() == CODE).ok_or_else(|| Failure::bug(CODE))?;
    let listener = listener(&context.root, context.config.as_deref());
    let (priority, broken) = match &listener {
        Listener::Nobody => (CRITICAL, None),
        Listener::Program(_, broken) => (CRITICAL, broken.as_deref()),
        Listener::Everybody(broken) => (ON_EVERY_TERMINAL, Some(broken.as_str())),
    };
    let broken = broken.map_or_else(String::new, |broken| format!("; its settings are broken: {broken}"));
    let reason = format!("{}{broken}", reason(|name| std::env::var(name).ok()));
    let about = Subject { code: Code::new(CODE).ok(), target: TargetName::new("host").ok(), ..Subject::default() };
    let body = Body::Escalated { reason: reason.clone(), guide: row.guide.clone() };
    let entry = [
        ("MESSAGE", sentence(&about, &body, &Around::default())),
        ("MESSAGE_ID", body.message_id().to_owned()),
        ("PRIORITY", priority.to_owned()),
        ("SYSLOG_IDENTIFIER", "wbd-supervisord".to_owned()),
        ("WBD_CODE", CODE.to_owned()),
        ("WBD_TARGET", "host".to_owned()),
        ("EVIDENCE", row.guide.join("; ")),
    ];
    let entered = enter_in_journal(&context.root, &entry);
    let told = match &listener {
        Listener::Nobody | Listener::Everybody(_) => Ok(()),
        Listener::Program(program, _) => tell(program, &reason, &row.guide),
    };
    match (entered, told) {
        (Ok(()), Ok(())) => Ok(Exit::Done),
        (_, Err(failure)) => Err(failure),
        (Err(error), Ok(())) => Err(Failure::failed(format!("the journal does not take the entry: {error}"))),
    }
}

/// By the settings, and where those are broken by what can be read of them: broken settings may be what it failed of.
fn listener(root: &Path, chosen: Option<&Path>) -> Listener {
    let problems = match host::settings(root, chosen) {
        Ok(settings) if settings.on_escalation.is_empty() => return Listener::Nobody,
        Ok(settings) => return Listener::Program(settings.on_escalation, None),
        Err(problems) => problems,
    };
    let broken = problems.first().map(Problem::brief).unwrap_or_default();
    let source = host::settings_source(root, chosen);
    match source.as_ref().and_then(settings::program_of_broken) {
        Some(program) => Listener::Program(program, Some(broken)),
        None => Listener::Everybody(broken),
    }
}

/// Runs the site's program.
fn tell(program: &[String], reason: &str, guide: &[String]) -> Result<(), Failure> {
    let Some((path, args)) = program.split_first() else { return Ok(()) };
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
    format!("{unit} has failed{result}{status}; nothing is healed until it runs again")
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

    #[test]
    fn with_broken_settings_the_program_is_told_that_they_name_and_else_everybody() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("etc/wbd");
        std::fs::create_dir_all(&folder).unwrap();
        let listener = |text: &str| {
            std::fs::write(folder.join("wbd.yaml"), text).unwrap();
            listener(root.path(), None)
        };
        assert_eq!(listener("healing: auto\n"), Listener::Nobody);
        let program = vec!["/usr/local/sbin/tell".to_owned()];
        assert_eq!(listener("on_escalation: [/usr/local/sbin/tell]\n"), Listener::Program(program.clone(), None));
        let named = listener("healing: perhaps\non_escalation: [/usr/local/sbin/tell]\n");
        let Listener::Program(named, Some(broken)) = named else { panic!("{named:?}") };
        assert!(named == program && broken.contains("wbd.yaml:1:"), "{named:?}: {broken}");
        for text in ["healing: perhaps\n", "healing: [\n"] {
            assert!(matches!(listener(text), Listener::Everybody(broken) if broken.contains("wbd.yaml:")), "{text}");
        }
        // What others can write is not run.
        std::fs::write(folder.join("wbd.yaml"), "on_escalation: [/usr/local/sbin/tell]\n").unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder.join("wbd.yaml"), std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(super::listener(root.path(), None), Listener::Everybody(_)));
    }
}
