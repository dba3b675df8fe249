//! The verbs on a systemd host: a job for the unit, waited for; it starts and ends no process itself.

use crate::cli::Verb;
use crate::failure::{Exit, Failure};
use std::time::Duration;
use systemd_zbus::{ManagerProxy, Mode};
use tokio::time::timeout;
use wbd_agent_api::paths::UNIT;
use zbus::export::ordered_stream::OrderedStreamExt;

/// A job takes at most as long as the unit's own start and stop deadlines.
const DEADLINE: Duration = Duration::from_secs(30);

/// Has systemd do it and waits until it is done.
pub(crate) async fn drive(verb: Verb) -> Result<(), Failure> {
    match timeout(DEADLINE, run_job(verb)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let message = format!(
                "systemd did not finish with {UNIT} within {} s; see systemctl status {UNIT}",
                DEADLINE.as_secs()
            );
            Err(Failure::new(Exit::TryAgain, message))
        }
    }
}

async fn run_job(verb: Verb) -> Result<(), Failure> {
    let bus = zbus::Connection::system().await.map_err(|error| {
        Failure::new(Exit::Unreachable, format!("cannot reach the system bus: {error}; is dbus running?"))
    })?;
    let manager = ManagerProxy::new(&bus).await.map_err(|error| refusal(verb, &error))?;
    // Without a subscription systemd tells of no job.
    manager.subscribe().await.map_err(|error| refusal(verb, &error))?;
    let mut removed = manager.receive_job_removed().await.map_err(|error| refusal(verb, &error))?;
    let asked = match verb {
        Verb::Start => manager.start_unit(UNIT, Mode::Replace).await,
        Verb::Stop => manager.stop_unit(UNIT, Mode::Replace).await,
        Verb::Reload => manager.reload_unit(UNIT, Mode::Replace).await,
    };
    let job = match asked {
        Ok(job) => job,
        // A unit that is not even loaded is stopped.
        Err(error) if verb == Verb::Stop && is_named(&error, "NoSuchUnit") => return Ok(()),
        Err(error) => return Err(refusal(verb, &error)),
    };
    while let Some(signal) = removed.next().await {
        let Ok(told) = signal.args() else { continue };
        if told.job.as_str() == job.as_str() {
            return judge(verb, told.result);
        }
    }
    Err(Failure::new(
        Exit::Unreachable,
        format!("the system bus went away while {UNIT} was worked on; see systemctl status {UNIT}"),
    ))
}

fn judge(verb: Verb, result: &str) -> Result<(), Failure> {
    if result == "done" {
        return Ok(());
    }
    let hint = match verb {
        Verb::Start | Verb::Stop => "see journalctl -u",
        Verb::Reload => "is it running? see systemctl status",
    };
    Err(Failure::new(Exit::Failed, format!("job for {UNIT} ended with {result:?}; {hint} {UNIT}")))
}

fn refusal(verb: Verb, error: &zbus::Error) -> Failure {
    if ["AccessDenied", "InteractiveAuthorizationRequired", "AuthFailed"].iter().any(|name| is_named(error, name)) {
        return Failure::new(Exit::NotPermitted, format!("systemd does not permit it: {error}; use sudo"));
    }
    if is_named(error, "NoSuchUnit") {
        return match verb {
            Verb::Reload => Failure::new(Exit::Unreachable, format!("{UNIT} is not running; start it with -s start")),
            Verb::Start | Verb::Stop => {
                Failure::new(Exit::Failed, format!("{UNIT} is not installed; install the wbd package, or give --root"))
            }
        };
    }
    Failure::new(Exit::Failed, format!("systemd refused for {UNIT}: {error}"))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only a method's own error has a name")]
fn is_named(error: &zbus::Error, name: &str) -> bool {
    match error {
        zbus::Error::MethodError(full, _, _) => full.as_str().rsplit('.').next() == Some(name),
        zbus::Error::FDO(known) => {
            matches!((&**known, name), (zbus::fdo::Error::AccessDenied(_), "AccessDenied"))
                || matches!((&**known, name), (zbus::fdo::Error::AuthFailed(_), "AuthFailed"))
                || matches!(
                    (&**known, name),
                    (zbus::fdo::Error::InteractiveAuthorizationRequired(_), "InteractiveAuthorizationRequired")
                )
        }
        _ => false,
    }
}
