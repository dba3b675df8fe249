//! Follows the agent's unit over D-Bus: properties, stop and start jobs, exits. Never acts on it.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use systemd_zbus::{JobNew, JobRemoved, ManagerProxy};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tracing::{info, warn};
use wbd_agent_api::paths::UNIT;
use zbus::export::ordered_stream::{OrderedStreamExt, join};
use zbus::fdo::{PropertiesChanged, PropertiesProxy};
use zbus::names::InterfaceName;
use zbus::zvariant::OwnedObjectPath;

use super::jobs;
use crate::event::unit::UnitView;
use crate::event::{AgentEvent, EndedJob, Event};

const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
const SERVICE_INTERFACE: &str = "org.freedesktop.systemd1.Service";
/// Between two tries to reach the bus: a restarted bus is back well within this.
const RETRY: Duration = Duration::from_secs(1);
/// Signals can be lost when systemd re-executes itself, so everything is read again this often.
const REREAD: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(5);

/// Somebody knows that something happened of which nothing was told.
static ASKED: Notify = Notify::const_new();

/// The unit is read again now, and not with the next round: its process has ended and the bus is silent.
pub(crate) fn ask_again() {
    ASKED.notify_one();
}

/// Follows for as long as the loop listens. A lost bus is a log line and another try.
pub(crate) async fn follow(root: PathBuf, events: Sender<Event>) {
    let mut told = false;
    let mut last = None;
    loop {
        let lost = match session(&events, &mut told, &mut last).await {
            Ok(()) => "the bus closed the connection".to_owned(),
            Err(error) => error.to_string(),
        };
        if !told {
            warn!("the connection to the system bus is lost ({lost}); wbd tries again every second");
            told = true;
        }
        let asked = match directly(&root).await {
            Ok(view) => tell_view(&events, &mut last, view).await,
            Err(_) => send(&events, AgentEvent::BusLost).await,
        };
        if asked.is_err() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn within<T>(call: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    tokio::time::timeout(CALL, call)
        .await
        .unwrap_or_else(|_| Err(zbus::Error::Failure("the service manager did not answer in 5 s".to_owned())))
}

/// What is told of the unit and its jobs: three sorts of signals, taken in the order in which they were sent. (A crash
/// and systemd's own restart after it are another story in any other order.)
enum SentSignal {
    Changed(PropertiesChanged),
    Begun(JobNew),
    Ended(JobRemoved),
}

async fn session(events: &Sender<Event>, told: &mut bool, last: &mut Option<UnitView>) -> zbus::Result<()> {
    let bus = tokio::time::timeout(CONNECT, zbus::Connection::system())
        .await
        .unwrap_or_else(|_| Err(zbus::Error::Failure("the bus does not answer".to_owned())))?;
    let manager = ManagerProxy::new(&bus).await?;
    within(manager.subscribe()).await?;
    let path = within(manager.load_unit(UNIT)).await?;
    let properties =
        PropertiesProxy::builder(&bus).destination("org.freedesktop.systemd1")?.path(path)?.build().await?;
    let changed = properties.receive_properties_changed().await?.map(SentSignal::Changed);
    let begun = manager.receive_job_new().await?.map(SentSignal::Begun);
    let ended = manager.receive_job_removed().await?.map(SentSignal::Ended);
    let mut signals = pin!(join(join(changed, begun), ended));
    let mut view = last.clone().unwrap_or_default();
    reread(&properties, &mut view).await?;
    tell_view(events, last, view.clone()).await?;
    if *told {
        info!("the connection to the system bus is back");
        *told = false;
    }
    let mut unit = Unit { bus: &bus, properties: &properties, events, last, view, jobs: HashMap::new() };
    let mut again = tokio::time::interval(REREAD);
    again.tick().await;
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                None => return Ok(()),
                Some(SentSignal::Changed(changed)) => unit.changed(&changed).await?,
                Some(SentSignal::Begun(job)) => unit.begun(&job).await?,
                Some(SentSignal::Ended(job)) => unit.ended(&job).await?,
            },
            () = ASKED.notified() => unit.reread().await?,
            _ = again.tick() => {
                unit.reread().await?;
                // A unit at rest has no job; one whose end was not told must not excuse later exits. (A stop that
                // is under way is kept: it is an administrator's word.)
                if matches!(unit.view.state.active.as_str(), "active" | "inactive" | "failed") {
                    unit.jobs.clear();
                }
            }
        }
    }
}

/// A job that is under way.
struct Job {
    /// Empty: it was over before its type was read.
    kind: String,
    /// How the unit was when it was asked for.
    before: UnitView,
}

/// The unit while it is followed.
struct Unit<'a> {
    bus: &'a zbus::Connection,
    properties: &'a PropertiesProxy<'a>,
    events: &'a Sender<Event>,
    last: &'a mut Option<UnitView>,
    view: UnitView,
    jobs: HashMap<u32, Job>,
}

impl Unit<'_> {
    async fn changed(&mut self, changed: &PropertiesChanged) -> zbus::Result<()> {
        let args = changed.args()?;
        let before = self.view.clone();
        for (name, value) in args.changed_properties() {
            self.view.set(name, &value.try_to_owned()?);
        }
        if self.view.has_ended_since(&before) {
            // Told in the signal after this one, and perhaps without a job that could be read in time.
            self.view.state.active_exit = active_exit(self.properties).await?;
        }
        self.tell(&before).await
    }

    async fn begun(&mut self, job: &JobNew) -> zbus::Result<()> {
        let args = job.args()?;
        if args.unit == UNIT {
            // A short job may be gone before its type is read; then the state after it tells.
            let kind = job_type(self.bus, &OwnedObjectPath::from(args.job.to_owned())).await.unwrap_or_default();
            self.jobs.insert(args.id, Job { kind, before: self.view.clone() });
        }
        Ok(())
    }

    async fn ended(&mut self, job: &JobRemoved) -> zbus::Result<()> {
        let args = job.args()?;
        if args.unit != UNIT {
            return Ok(());
        }
        self.reread().await?;
        let job = self.jobs.remove(&args.id);
        let (kind, before) = job.as_ref().map_or(("", None), |job| (job.kind.as_str(), Some(&job.before)));
        match jobs::effect(kind, args.result, before, &self.view) {
            Some(effect) => send(self.events, AgentEvent::JobEnded(EndedJob { id: args.id, effect })).await,
            None => Ok(()),
        }
    }

    async fn reread(&mut self) -> zbus::Result<()> {
        let before = self.view.clone();
        reread(self.properties, &mut self.view).await?;
        self.tell(&before).await
    }

    /// What has become of it since `before`.
    async fn tell(&mut self, before: &UnitView) -> zbus::Result<()> {
        let asked = self.view.state.was_stopped() || asked(&self.jobs, before);
        if let Some(exit) = self.view.ended_since(before, asked) {
            send(self.events, AgentEvent::Exit(exit)).await?;
        }
        if *before != self.view {
            send(self.events, AgentEvent::Unit(Box::new(self.view.clone()))).await?;
        }
        *self.last = Some(self.view.clone());
        Ok(())
    }
}

async fn send(events: &Sender<Event>, event: AgentEvent) -> zbus::Result<()> {
    events.send(Event::Agent(event)).await.map_err(|_| zbus::Error::Failure("the supervisor is stopping".to_owned()))
}

/// Whether the process ends because somebody asked for it: a stop job is under way, or a restart job of a
/// service that ran. (systemd's own restart after a crash is a restart job too, of a service that is starting.)
fn asked(jobs: &HashMap<u32, Job>, before: &UnitView) -> bool {
    let ran = matches!(before.state.active.as_str(), "active" | "reloading" | "deactivating");
    jobs.values().any(|job| match job.kind.as_str() {
        "stop" => true,
        "restart" | "try-restart" => ran,
        // A restart whose stop is done already is a start by the time its type is read.
        "start" => matches!(job.before.state.active.as_str(), "active" | "reloading"),
        _ => false,
    })
}

/// Without the bus: systemd itself, now and then, as `systemctl` asks it.
async fn directly(root: &Path) -> Result<UnitView, String> {
    let root = root.to_owned();
    let shown = tokio::task::spawn_blocking(move || wbd_probes::shown_unit(&root, UNIT)).await;
    let mut view = UnitView::default();
    for (name, value) in shown.map_err(|error| error.to_string())?? {
        view.set(&name, &value);
    }
    Ok(view)
}

/// The unit as it is now, after a time in which nothing was told of it.
async fn tell_view(events: &Sender<Event>, last: &mut Option<UnitView>, view: UnitView) -> zbus::Result<()> {
    match last.replace(view.clone()) {
        Some(before) => tell_missed(events, &before, &view).await?,
        // Found so at first: a failed unit is a failure, unless somebody stopped it and it had to be killed.
        None if view.state.active == "failed" && view.state.was_stopped() => {
            send(events, AgentEvent::StoppedByHand { ran: false }).await?;
        }
        None => {}
    }
    send(events, AgentEvent::Unit(Box::new(view))).await
}

/// What happened while nobody could be asked: the order of the unit's own times tells a stop from an end.
async fn tell_missed(events: &Sender<Event>, before: &UnitView, view: &UnitView) -> zbus::Result<()> {
    // After an administrator's stop nobody but an administrator starts it.
    if view.was_started_since(before) {
        send(events, AgentEvent::StartedByHand).await?;
    }
    let stopped = view.state.was_stopped();
    // An earlier reading may have fallen into the middle of the stop, when its process had ended and the unit had not. As
    // failed, if it had to be killed.
    // (Not of a start that failed before it had a process: its times are an earlier stop's.)
    let is_new = view.has_ended_since(before) || before.state.active == "deactivating";
    if stopped && is_new && view.state.is_at_rest() {
        send(events, AgentEvent::StoppedByHand { ran: true }).await?;
    }
    if let Some(exit) = view.ended_since(before, stopped) {
        send(events, AgentEvent::Exit(exit)).await?;
    }
    Ok(())
}

async fn job_type(bus: &zbus::Connection, job: &OwnedObjectPath) -> zbus::Result<String> {
    let proxy =
        PropertiesProxy::builder(bus).destination("org.freedesktop.systemd1")?.path(job.clone())?.build().await?;
    let name = InterfaceName::from_static_str_unchecked("org.freedesktop.systemd1.Job");
    let value = within(async { Ok(proxy.get(name, "JobType").await?) }).await?;
    Ok(String::try_from(value)?)
}

/// When the unit was active last, as it is now.
async fn active_exit(properties: &PropertiesProxy<'_>) -> zbus::Result<u64> {
    let unit = InterfaceName::from_static_str_unchecked(UNIT_INTERFACE);
    let value = within(async { Ok(properties.get(unit, "ActiveExitTimestampMonotonic").await?) }).await?;
    Ok(u64::try_from(value)?)
}

async fn reread(properties: &PropertiesProxy<'_>, view: &mut UnitView) -> zbus::Result<()> {
    for interface in [UNIT_INTERFACE, SERVICE_INTERFACE] {
        let name = InterfaceName::from_static_str_unchecked(interface);
        let all = within(async { Ok(properties.get_all(name).await?) }).await?;
        for (name, value) in &all {
            view.set(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::Value;

    use super::*;

    /// The unit as it is: its state and result, and when its process began, was told to stop, and ended (0: not).
    fn unit(active: &str, result: &str, times: [u64; 3]) -> UnitView {
        let mut view = UnitView::default();
        let names =
            ["ExecMainStartTimestampMonotonic", "ActiveExitTimestampMonotonic", "ExecMainExitTimestampMonotonic"];
        let times = names.into_iter().zip(times.map(Value::U64));
        for (name, value) in [("ActiveState", active.into()), ("Result", result.into())].into_iter().chain(times) {
            view.set(name, &value.try_to_owned().unwrap());
        }
        view
    }

    /// Whether a stop is told of, and whether of something that ran.
    async fn stop_told(before: Option<UnitView>, view: UnitView) -> Option<bool> {
        let (events, mut inbox) = tokio::sync::mpsc::channel(8);
        tell_view(&events, &mut before.clone(), view).await.unwrap();
        drop(events);
        let mut told = None;
        while let Some(event) = inbox.recv().await {
            if let Event::Agent(AgentEvent::StoppedByHand { ran }) = event {
                told = Some(ran);
            }
        }
        told
    }

    #[tokio::test]
    async fn a_stop_that_nobody_told_of_is_one_whatever_the_unit_became_by_it() {
        let up = || Some(unit("active", "success", [1, 0, 0]));
        for (view, wanted) in [
            (unit("inactive", "success", [1, 2, 3]), Some(true)),
            // It did not obey and was killed; it failed while it ended.
            (unit("failed", "timeout", [1, 2, 3]), Some(true)),
            (unit("failed", "exit-code", [1, 2, 3]), Some(true)),
            // Twins: it ended by itself, was killed for its memory, or is about to be started again.
            (unit("failed", "exit-code", [1, 3, 2]), None),
            (unit("inactive", "success", [1, 3, 2]), None),
            (unit("failed", "oom-kill", [1, 2, 3]), None),
            // Twins: a restart stopped it well, and its start was refused.
            (unit("failed", "start-limit-hit", [1, 2, 3]), None),
            (unit("failed", "resources", [1, 2, 3]), None),
            (unit("inactive", "exec-condition", [1, 2, 3]), None),
            (unit("activating", "timeout", [1, 2, 3]), None),
        ] {
            assert_eq!(stop_told(up(), view.clone()).await, wanted, "{view:?}");
        }
    }

    #[tokio::test]
    async fn a_stop_that_was_seen_in_its_middle_is_told_once_when_it_is_over() {
        // Its process has ended, and its ExecStop= or ExecStopPost= has not.
        let ending = |times| Some(unit("deactivating", "success", times));
        let over = |result, times| unit(if result == "success" { "inactive" } else { "failed" }, result, times);
        assert_eq!(stop_told(Some(unit("active", "success", [1, 0, 0])), ending([1, 2, 3]).unwrap()).await, None);
        for result in ["success", "timeout", "exit-code"] {
            assert_eq!(stop_told(ending([1, 2, 3]), over(result, [1, 2, 3])).await, Some(true), "{result}");
            assert_eq!(stop_told(Some(over(result, [1, 2, 3])), over(result, [1, 2, 3])).await, None, "told before");
        }
        // Twins: it ended by itself, and then its unit; it was killed for its memory.
        assert_eq!(stop_told(ending([1, 3, 2]), over("exit-code", [1, 3, 2])).await, None);
        assert_eq!(stop_told(ending([1, 2, 3]), over("oom-kill", [1, 2, 3])).await, None);
        // Twin: a start that failed before it had a process; the times are an earlier stop's.
        let starting = Some(unit("activating", "success", [1, 2, 3]));
        assert_eq!(stop_told(starting, over("exit-code", [1, 2, 3])).await, None);
    }

    #[tokio::test]
    async fn a_unit_that_is_found_failed_by_a_stop_was_stopped() {
        assert_eq!(stop_told(None, unit("failed", "timeout", [1, 2, 3])).await, Some(false));
        // Twins: it failed by itself, and one that runs.
        assert_eq!(stop_told(None, unit("failed", "exit-code", [1, 3, 2])).await, None);
        assert_eq!(stop_told(None, unit("active", "success", [4, 2, 3])).await, None);
        // Nor was it where a restart's start was refused.
        assert_eq!(stop_told(None, unit("failed", "start-limit-hit", [1, 2, 3])).await, None);
    }
}
