//! Jobs on units over D-Bus, each followed to its end. Reads no unit's health.
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use systemd_zbus::{ActiveState, ManagerProxy, Mode, UnitProxy};
use tokio::time::timeout;
use wbd_model::action::Class;
use wbd_model::entry::Outcome;
use wbd_model::profile::{self, Command};
use wbd_model::text::chain;
use zbus::Connection;
use zbus::export::futures_core::Stream;
use zbus::proxy::CacheProperties;

use crate::done::Done;
use crate::error::ActionError;
use crate::program::{self, Parent, Rule};
use crate::reach::Machine;

/// The bus answers within milliseconds; one that hangs must leave time before the start deadline to do without it.
const BUS_WAIT: Duration = Duration::from_secs(1);
const CALL_WAIT: Duration = Duration::from_secs(5);
/// A stop may take its TimeoutStopSec; the supervisor's own deadlines are longer than this.
const JOB_WAIT: Duration = Duration::from_secs(30);

/// What is to be done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Job {
    /// As `systemctl` has it.
    const fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }

    /// What starts a unit gives way to a stop that is queued or under way: that is an administrator's.
    const fn mode(self) -> Mode {
        match self {
            Self::Start | Self::Restart => Mode::Fail,
            Self::Stop | Self::Reload => Mode::Replace,
        }
    }

    pub(crate) const fn past(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
            Self::Reload => "reloaded",
        }
    }
}

/// Does a job on a machine's system bus.
pub(crate) async fn run(machine: &Machine, unit: &str, job: Job, start_by: Instant) -> Done {
    let path = machine.root().join("run/dbus/system_bus_socket");
    let connected = timeout(BUS_WAIT, async {
        let stream = tokio::net::UnixStream::connect(&path).await.map_err(zbus::Error::from)?;
        zbus::connection::Builder::unix_stream(stream).build().await
    });
    let why = match connected.await {
        Ok(Ok(connection)) => return run_on(&connection, unit, job, start_by).await,
        Ok(Err(error)) => format!("the system bus {} cannot be reached: {}", path.display(), chain(&error)),
        Err(_) => format!("the system bus {} does not answer", path.display()),
    };
    directly(machine, unit, job, start_by, why).await
}

/// Without the bus: as an administrator does. `systemctl` asks systemd itself, so a dead bus is no reason to leave the
/// agent dead.
async fn directly(machine: &Machine, unit: &str, job: Job, start_by: Instant, dead: String) -> Done {
    match job {
        // As over the bus: only where it has failed.
        Job::Start | Job::Restart => {
            let failed = systemctl(machine, &["is-failed", "--quiet"], unit, CALL_WAIT).await;
            if failed.is_ok_and(|done| done.outcome == Outcome::Done) {
                let _ = systemctl(machine, &["reset-failed"], unit, CALL_WAIT).await;
            }
        }
        Job::Stop | Job::Reload => {}
    }
    if Instant::now() > start_by {
        return Done::new(Outcome::Aborted, format!("not begun: it is after the start deadline of {unit}'s job"));
    }
    let mode = format!("--job-mode={}", <&str>::from(job.mode()));
    match systemctl(machine, &[&mode, job.verb()], unit, JOB_WAIT).await {
        Ok(done) => done.after(&format!("{dead}; asked systemctl to {} {unit}", job.verb())),
        Err(error) => Done::new(Outcome::Failed, format!("{dead}; {}", chain(&error))),
    }
}

async fn systemctl(machine: &Machine, verb: &[&str], unit: &str, longest: Duration) -> Result<Done, ActionError> {
    let timeout = profile::Duration::from_ms(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
    let argv = [&["/usr/bin/systemctl", "--no-ask-password"], verb, &[unit]].concat();
    let command = Command { argv: argv.into_iter().map(str::to_owned).collect(), timeout, class: Class::A2 };
    program::run_with(machine.root(), &command, Parent::Us, &[], Rule::Ours).await
}

/// Does a job over a connection that is there. It is not begun after `start_by`.
pub(crate) async fn run_on(connection: &Connection, unit: &str, job: Job, start_by: Instant) -> Done {
    match follow(connection, unit, job, start_by).await {
        Ok(done) => done,
        Err(Broken::Late) => Done::new(
            Outcome::Aborted,
            format!("not begun: systemd answered only after the start deadline of {unit}'s job"),
        ),
        Err(Broken::Before(why)) => Done::new(Outcome::Failed, format!("{unit} was not {}: {why}", job.past())),
        Err(Broken::After(why, number)) => {
            let detail = format!("{unit}: whether it was {} is not known: {why}", job.past());
            Done { job: number, ..Done::new(Outcome::Unknown, detail) }
        }
    }
}

/// On which side of the point of no return it broke.
enum Broken {
    Late,
    Before(String),
    /// Why, and the job's number if it has one.
    After(String, Option<u32>),
}

async fn follow(connection: &Connection, unit: &str, job: Job, start_by: Instant) -> Result<Done, Broken> {
    let before = |error: zbus::Error| Broken::Before(chain(&error));
    let slow = |_| Broken::Before("systemd does not answer".to_owned());
    let manager = timeout(CALL_WAIT, ManagerProxy::new(connection)).await.map_err(slow)?.map_err(before)?;
    // Listening first: a quick job is over before its reply is read.
    timeout(CALL_WAIT, manager.subscribe()).await.map_err(slow)?.map_err(before)?;
    let mut removed = pin!(timeout(CALL_WAIT, manager.receive_job_removed()).await.map_err(slow)?.map_err(before)?);
    match job {
        Job::Start | Job::Restart => clear_start_limit(connection, &manager, unit).await,
        Job::Stop | Job::Reload => {}
    }
    if Instant::now() > start_by {
        return Err(Broken::Late);
    }
    let asked = async {
        match job {
            Job::Start => manager.start_unit(unit, job.mode()).await,
            Job::Stop => manager.stop_unit(unit, job.mode()).await,
            Job::Restart => manager.restart_unit(unit, job.mode()).await,
            Job::Reload => manager.reload_unit(unit, job.mode()).await,
        }
    };
    let path = match timeout(CALL_WAIT, asked).await {
        Ok(Ok(path)) => path,
        Ok(Err(error)) if is_stopping(&error) => {
            let text = format!("not begun: {unit} is being stopped: {}; see systemctl list-jobs", chain(&error));
            return Ok(Done::new(Outcome::Aborted, text));
        }
        Ok(Err(error)) if is_answer(&error) => return Err(before(error)),
        Ok(Err(error)) => return Err(Broken::After(chain(&error), None)),
        Err(_) => return Err(Broken::After("systemd did not answer".to_owned(), None)),
    };
    let number = path.as_str().rsplit('/').next().and_then(|number| number.parse().ok());
    let ended = timeout(JOB_WAIT, async {
        while let Some(signal) = poll_fn(|context| removed.as_mut().poll_next(context)).await {
            match signal.args() {
                Ok(args) if args.job().as_str() == path.as_str() => return Some(args.result().to_string()),
                Ok(_) | Err(_) => {}
            }
        }
        None
    });
    let done = match ended.await {
        Ok(Some(word)) if word == "done" => Done::new(Outcome::Done, format!("{unit} {}", job.past())),
        Ok(Some(word)) => {
            Done::new(Outcome::Failed, format!("{unit} was not {}: the job ended with '{word}'", job.past()))
        }
        Ok(None) => return Err(Broken::After("the bus closed".to_owned(), number)),
        Err(_) => {
            return Err(Broken::After(format!("the job did not end in {} s", JOB_WAIT.as_secs()), number));
        }
    };
    Ok(Done { job: number, ..done })
}

/// Only where it has failed: clearing also resets the counters by which a crash loop is seen. If this
/// does not work, the job itself says so.
async fn clear_start_limit(connection: &Connection, manager: &ManagerProxy<'_>, unit: &str) {
    let state = timeout(CALL_WAIT, async {
        let path = manager.load_unit(unit).await?;
        let unit = UnitProxy::builder(connection).path(path)?.cache_properties(CacheProperties::No).build().await?;
        unit.active_state().await
    });
    if let Ok(Ok(ActiveState::Failed)) = state.await {
        let _ = timeout(CALL_WAIT, manager.reset_failed_unit(unit)).await;
    }
}

/// Whether systemd says that another job stands against it, which for a start is a stop.
fn is_stopping(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, _, _)
        if name.as_str() == "org.freedesktop.systemd1.TransactionIsDestructive")
}

/// Whether systemd itself said no, as against a reply that got lost.
fn is_answer(error: &zbus::Error) -> bool {
    let lost = ["NoReply", "Timeout", "TimedOut", "Disconnected"];
    matches!(error, zbus::Error::MethodError(name, _, _)
        if !lost.iter().any(|word| name.as_str() == format!("org.freedesktop.DBus.Error.{word}")))
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
