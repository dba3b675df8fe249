//! Jobs against a scripted systemd on the other end of a socket: it records what it is asked and answers as told.
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wbd_model::entry::Outcome;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, connection, interface};

use super::*;

const JOB: &str = "/org/freedesktop/systemd1/job/7";
const UNIT: &str = "/org/freedesktop/systemd1/unit/agent";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// The job ends with this word, before the reply is even sent.
    Ends(&'static str),
    /// systemd refuses the job.
    Refuses,
    /// The reply is lost on the way.
    Loses,
    /// Another job stands against it.
    IsStopping,
    /// The job never ends; the bus goes away.
    Vanishes,
}

/// systemd's errors have names of their own, beside those of the bus.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop")]
enum Refused {
    #[zbus(name = "systemd1.AccessDenied")]
    AccessDenied(String),
    #[zbus(name = "systemd1.TransactionIsDestructive")]
    TransactionIsDestructive(String),
    #[zbus(name = "DBus.Error.NoReply")]
    NoReply(String),
}

struct Systemd {
    script: Script,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Systemd {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }

    async fn job(
        &self,
        verb: &str,
        unit: &str,
        mode: &str,
        emitter: &SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refused> {
        self.note(format!("{verb} {unit} {mode}"));
        match self.script {
            Script::Ends(word) => {
                let other = ObjectPath::try_from("/org/freedesktop/systemd1/job/6").unwrap();
                Self::job_removed(emitter, 6, other, "other.service", "failed").await.unwrap();
                Self::job_removed(emitter, 7, ObjectPath::try_from(JOB).unwrap(), unit, word).await.unwrap();
            }
            Script::Refuses => return Err(Refused::AccessDenied("a polkit rule says no".to_owned())),
            Script::Loses => return Err(Refused::NoReply("the reply is lost".to_owned())),
            Script::IsStopping => return Err(Refused::TransactionIsDestructive("has 'stop' job queued".to_owned())),
            Script::Vanishes => {}
        }
        Ok(OwnedObjectPath::try_from(JOB).unwrap())
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Systemd {
    fn subscribe(&self) {
        self.note("subscribe".to_owned());
    }
    fn load_unit(&self, _unit: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(UNIT).unwrap()
    }
    fn reset_failed_unit(&self, unit: &str) {
        self.note(format!("reset {unit}"));
    }
    async fn start_unit(
        &self,
        unit: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refused> {
        self.job("start", unit, mode, &emitter).await
    }
    async fn restart_unit(
        &self,
        unit: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refused> {
        self.job("restart", unit, mode, &emitter).await
    }
    async fn reload_unit(
        &self,
        unit: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refused> {
        self.job("reload", unit, mode, &emitter).await
    }
    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

struct Unit {
    state: &'static str,
}

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &str {
        self.state
    }
}

async fn pair(script: Script, state: &'static str) -> (Connection, Connection, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
    let systemd = Systemd { script, asked: Arc::clone(&asked) };
    let guid = zbus::Guid::generate();
    let server = connection::Builder::unix_stream(theirs)
        .server(guid)
        .unwrap()
        .p2p()
        .serve_at("/org/freedesktop/systemd1", systemd)
        .unwrap()
        .serve_at(UNIT, Unit { state })
        .unwrap()
        .build();
    let client = connection::Builder::unix_stream(ours).p2p().build();
    let (server, client) = tokio::join!(server, client);
    (server.unwrap(), client.unwrap(), asked)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

async fn outcome(script: Script, state: &'static str, job: Job) -> (Outcome, String, Vec<String>) {
    let (_server, client, asked) = pair(script, state).await;
    let done = run_on(&client, "wbd-agent.service", job, soon()).await;
    let asked = asked.lock().unwrap().clone();
    (done.outcome, done.detail, asked)
}

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let (outcome, detail, asked) = outcome(Script::Ends("done"), "active", Job::Restart).await;
    assert_eq!((outcome, detail.as_str()), (Outcome::Done, "wbd-agent.service restarted"));
    assert_eq!(asked, ["subscribe", "restart wbd-agent.service fail"]);
}

#[tokio::test]
async fn a_job_is_told_with_its_number_and_what_was_refused_has_none() {
    for (script, number) in
        [(Script::Ends("done"), Some(7)), (Script::Ends("failed"), Some(7)), (Script::Refuses, None)]
    {
        let (_server, client, _) = pair(script, "active").await;
        assert_eq!(run_on(&client, "wbd-agent.service", Job::Start, soon()).await.job, number, "{script:?}");
    }
}

#[tokio::test]
async fn a_start_limit_is_cleared_only_where_the_unit_has_failed() {
    let (_, _, asked) = outcome(Script::Ends("done"), "failed", Job::Start).await;
    assert_eq!(asked, ["subscribe", "reset wbd-agent.service", "start wbd-agent.service fail"]);
    let (_, _, asked) = outcome(Script::Ends("done"), "failed", Job::Reload).await;
    assert_eq!(asked, ["subscribe", "reload wbd-agent.service replace"]);
}

#[tokio::test]
async fn every_other_end_of_a_job_is_a_failure_with_its_word() {
    for word in ["failed", "timeout", "canceled", "dependency", "skipped"] {
        let (outcome, detail, _) = outcome(Script::Ends(word), "active", Job::Start).await;
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains(&format!("'{word}'")), "{detail}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_host_is_a_failure_with_its_reason() {
    let (outcome, detail, _) = outcome(Script::Refuses, "active", Job::Restart).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("polkit"), "{detail}");
}

#[tokio::test]
async fn a_reply_that_is_lost_leaves_it_unknown() {
    let (outcome, detail, _) = outcome(Script::Loses, "active", Job::Restart).await;
    assert_eq!(outcome, Outcome::Unknown);
    assert!(detail.contains("whether it was restarted is not known"), "{detail}");
}

#[tokio::test]
async fn a_start_gives_way_to_a_stop_that_is_under_way() {
    for job in [Job::Start, Job::Restart] {
        let (outcome, detail, asked) = outcome(Script::IsStopping, "deactivating", job).await;
        assert_eq!(outcome, Outcome::Aborted, "{detail}");
        assert!(detail.contains("is being stopped"), "{detail}");
        assert!(asked.iter().any(|asked| asked.ends_with(" fail")), "it replaces no job of others: {asked:?}");
    }
}

#[tokio::test]
async fn a_bus_that_goes_away_in_the_middle_leaves_it_unknown() {
    let (server, client, asked) = pair(Script::Vanishes, "active").await;
    let mut heard = zbus::MessageStream::from(&client);
    let job = run_on(&client, "wbd-agent.service", Job::Restart, soon());
    let vanish = async {
        let replied = timeout(Duration::from_secs(10), async {
            while let Some(message) = poll_fn(|context| pin!(&mut heard).poll_next(context)).await {
                if message.unwrap().body().deserialize::<ObjectPath<'_>>().is_ok_and(|path| path.as_str() == JOB) {
                    return;
                }
            }
        });
        replied.await.unwrap();
        assert!(asked.lock().unwrap().iter().any(|asked| asked.starts_with("restart")));
        // Its reply is here; then it is gone.
        server.close().await.unwrap();
    };
    let (done, ()) = tokio::join!(job, vanish);
    assert_eq!((done.outcome, done.job), (Outcome::Unknown, Some(7)), "{}", done.detail);
}

#[tokio::test]
async fn a_job_is_not_begun_after_its_start_deadline() {
    let (_server, client, asked) = pair(Script::Ends("done"), "active").await;
    let done = run_on(&client, "wbd-agent.service", Job::Restart, Instant::now()).await;
    assert_eq!(done.outcome, Outcome::Aborted, "{}", done.detail);
    assert!(!asked.lock().unwrap().iter().any(|asked| asked.starts_with("restart")));
}

#[tokio::test]
async fn without_a_bus_nothing_is_done_and_that_is_known() {
    let root = tempfile::tempdir().unwrap();
    let kernel = Box::new(crate::kernel::Running);
    let machine = Machine::made_up(root.path().to_owned(), "wbd-agent.service", kernel);
    let done = run(&machine, "wbd-agent.service", Job::Restart, soon()).await;
    assert_eq!(done.outcome, Outcome::Failed, "{}", done.detail);
}
