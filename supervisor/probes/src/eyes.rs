//! Looks once and answers in time, whatever the host does; what each probe reads stands in its own file.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wbd_model::observation::{Fact, Field, Observation};
use wbd_model::probe::Probe;
use wbd_model::profile::{ProfileSpec, Sign};

use crate::memo::Memo;
use crate::under::{absent, under, why};
use crate::{dns, endpoint, fds, health, inotify, process, procs, service, version};

/// A look that hangs (a dead network mount) keeps its thread, one for each question; with so many of them no further
/// one is begun.
const MAX_STUCK: usize = 32;
/// Whether a product is there is asked before anything else, so one dead mount must not hold up the rest for long.
const PRESENCE: Duration = Duration::from_secs(3);
/// As shipped; a name, an address and its alternate fit into it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Where to look, and how long one look may take. Cloning shares the count of looks that hang, and what
/// was seen a moment ago.
#[derive(Debug, Clone)]
pub struct Eyes {
    /// The root that all paths of the host are under.
    pub root: PathBuf,
    /// The proc file system, `/proc` as a rule: a scratch root has none of its own.
    pub proc: PathBuf,
    /// The sys file system, `/sys` as a rule.
    pub sys: PathBuf,
    /// What the site states in wbd.yaml.
    pub facts: BTreeMap<String, String>,
    /// One look answers within this time.
    pub deadline: Duration,
    stuck: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) memo: Memo,
    afresh: Option<Instant>,
}

/// Whether a product is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// One of its signs is there.
    Yes,
    /// None of its signs is there; what has the name of one and does not count, in words.
    No(Vec<String>),
    /// No sign was seen, and not every one could be looked for; the reason, for people.
    Unknown(String),
}

/// One look under way: the eyes and when to be done.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) eyes: Eyes,
    pub(crate) until: Instant,
}

impl Look {
    pub(crate) fn root(&self) -> &Path {
        &self.eyes.root
    }

    pub(crate) fn proc(&self) -> &Path {
        &self.eyes.proc
    }

    /// The time left, at most `longest`.
    pub(crate) fn left(&self, longest: Duration) -> Duration {
        self.until.saturating_duration_since(Instant::now()).min(longest)
    }
}

impl Eyes {
    /// Eyes for the host under `root`, with the running kernel's /proc and /sys and ten seconds a look.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            facts: BTreeMap::new(),
            deadline: DEADLINE,
            stuck: Arc::default(),
            memo: Memo::default(),
            afresh: None,
        }
    }

    /// The same eyes for the last look before a deed: from now on they make do with nothing that was seen earlier.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { afresh: Some(Instant::now()), ..self.clone() }
    }

    /// What was seen before this moment does not count; `None`: each look says itself what does.
    pub(crate) fn afresh_since(&self) -> Option<Instant> {
        self.afresh
    }

    /// Asks one question. The answer carries every field of the probe's schema, known or unknown,
    /// and comes within the deadline.
    #[must_use]
    pub fn look(&self, probe: &Probe) -> Observation {
        let fields = probe.name().fields();
        let asked = probe.clone();
        match self.aside(&format!("{probe:?}"), move |look| answer(look, &asked)) {
            Ok(seen) => fit(fields, &seen),
            Err(reason) => Observation::unseen(fields, &reason),
        }
    }

    /// Whether the product of this profile is on the host.
    #[must_use]
    pub fn present(&self, profile: &ProfileSpec) -> Presence {
        self.present_each(&[profile]).pop().unwrap_or_else(|| Presence::Unknown("it was not looked for".to_owned()))
    }

    /// The same for several profiles side by side, in their order: one that is on a dead mount costs the others no
    /// time. Answers within three seconds.
    #[must_use]
    pub fn present_each(&self, profiles: &[&ProfileSpec]) -> Vec<Presence> {
        let deadline = self.deadline.min(PRESENCE);
        let begin = |profile: &&ProfileSpec| {
            let signs = profile.present.any.clone();
            self.begin(&format!("{signs:?}"), deadline, move |look| any_sign(look, &signs))
        };
        // All are begun before the first is waited for.
        let begun: Vec<_> = profiles.iter().map(begin).collect();
        let answer = |begun: Result<Pending<Presence>, String>| begun.and_then(Pending::answer);
        begun.into_iter().map(|begun| answer(begun).unwrap_or_else(Presence::Unknown)).collect()
    }

    /// Does the work on a thread that can be given up, since a read on a dead mount cannot be ended. A question
    /// whose earlier look still hangs is not asked again.
    pub(crate) fn aside<T: Send + 'static>(
        &self,
        question: &str,
        work: impl FnOnce(&Look) -> T + Send + 'static,
    ) -> Result<T, String> {
        self.begin(question, self.deadline, work)?.answer()
    }

    fn begin<T: Send + 'static>(
        &self,
        question: &str,
        deadline: Duration,
        work: impl FnOnce(&Look) -> T + Send + 'static,
    ) -> Result<Pending<T>, String> {
        {
            let stuck = held(&self.stuck);
            if stuck.contains(question) {
                return Err("an earlier look still hangs; look for a dead mount or a stuck disk".to_owned());
            }
            if stuck.len() >= MAX_STUCK {
                return Err(format!("{MAX_STUCK} earlier looks still hang; look for a dead mount or a stuck disk"));
            }
        }
        let (sender, receiver) = sync_channel(1);
        // Nine tenths, so that a look that runs out of time can still hand in what it saw.
        let look = Look { eyes: self.clone(), until: Instant::now() + deadline / 10 * 9 };
        let state = Arc::new(AtomicU8::new(RUNNING));
        let question = question.to_owned();
        let ending = Ending { state: Arc::clone(&state), stuck: Arc::clone(&self.stuck), question: question.clone() };
        thread::Builder::new()
            .name("wbd-look".to_owned())
            .spawn(move || {
                let _ending = ending;
                // Nobody listening any more is the deadline's business, not ours.
                let _ = sender.send(work(&look));
            })
            .map_err(|error| format!("cannot start a thread for the look: {error}"))?;
        let stuck = Arc::clone(&self.stuck);
        Ok(Pending { receiver, state, stuck, question, deadline, until: Instant::now() + deadline })
    }
}

/// A look under way on its thread.
struct Pending<T> {
    receiver: Receiver<T>,
    state: Arc<AtomicU8>,
    stuck: Arc<Mutex<BTreeSet<String>>>,
    question: String,
    deadline: Duration,
    until: Instant,
}

impl<T> Pending<T> {
    /// What was seen, or why nothing was.
    fn answer(self) -> Result<T, String> {
        match self.receiver.recv_timeout(self.until.saturating_duration_since(Instant::now())) {
            Ok(seen) => Ok(seen),
            Err(RecvTimeoutError::Disconnected) => {
                Err("the look broke off, which is a bug in wbd; please report it".to_owned())
            }
            Err(RecvTimeoutError::Timeout) => {
                // Under the lock: a thread that ends just now takes its question out after it was put in.
                let mut stuck = held(&self.stuck);
                if self.state.swap(GIVEN_UP, Ordering::SeqCst) == RUNNING {
                    stuck.insert(self.question);
                }
                let seconds = self.deadline.as_secs_f32();
                Err(format!("no answer within {seconds} s; look for a dead mount or an overloaded host"))
            }
        }
    }
}

/// Nothing panics while it is held; and a set is whole after every step.
fn held(stuck: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    stuck.lock().unwrap_or_else(PoisonError::into_inner)
}

const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Says, also when the look panics, that its thread is free again.
struct Ending {
    state: Arc<AtomicU8>,
    stuck: Arc<Mutex<BTreeSet<String>>>,
    question: String,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.state.swap(ENDED, Ordering::SeqCst) == GIVEN_UP {
            held(&self.stuck).remove(&self.question);
        }
    }
}

fn answer(look: &Look, probe: &Probe) -> Observation {
    let by_caller = || Observation::unseen(probe.name().fields(), "answered by the caller");
    match probe {
        Probe::ProcessState(selector) => process::look(look, selector),
        Probe::AgentHealth => health::look(look),
        Probe::ServiceState { unit } => service::look(look, unit.as_deref()),
        Probe::ExitLast(_) | Probe::FdTrend(_) => by_caller(),
        Probe::InotifyUsage(selector) => inotify::look(look, selector),
        Probe::DnsServers { names } => dns::look(look, names, dns::PORT),
        Probe::NetEndpoint(endpoint) => endpoint::look(look, endpoint),
        Probe::FdUsage(selector) => fds::look(look, selector),
        Probe::VersionPair { left, right } => version::look(look, left, right),
    }
}

/// Holds an answer to its schema: every field, of its type, and no other.
fn fit(fields: &[Field], seen: &Observation) -> Observation {
    let mut fitted = Observation::default();
    for field in fields {
        match seen.fact(field.name) {
            Fact::Known(value) if value.kind() != field.kind => {
                fitted.miss(field.name, "seen as another type, which is a bug in wbd; please report it")
            }
            Fact::Known(value) => fitted.know(field.name, value),
            Fact::Unknown(reason) => fitted.miss(field.name, reason),
        };
    }
    fitted
}

fn any_sign(look: &Look, signs: &[Sign]) -> Presence {
    let (mut unseen, mut others) = (None, Vec::new());
    for sign in signs {
        match one_sign(look, sign, &mut others) {
            Ok(true) => return Presence::Yes,
            Ok(false) => {}
            Err(reason) => unseen = Some(reason),
        }
    }
    unseen.map_or(Presence::No(others), Presence::Unknown)
}

fn one_sign(look: &Look, sign: &Sign, others: &mut Vec<String>) -> Result<bool, String> {
    match sign {
        Sign::File(path) => {
            let path = under(look.root(), path);
            match fs::metadata(&path) {
                Ok(_) => Ok(true),
                Err(error) if absent(&error) => Ok(false),
                Err(error) => Err(why("look for", &path, &error)),
            }
        }
        Sign::Process(selector) => {
            let chosen = procs::choose_lately(look, selector)?;
            others.extend(Some(chosen.others.words()).filter(|words| !words.is_empty()));
            Ok(!chosen.live.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, deadline_passes};
    use wbd_model::name::TargetName;
    use wbd_model::probe::ProbeName;
    use wbd_model::profile::{Endpoint, ProcessSelector, VersionSource};

    #[test]
    fn every_probe_answers_every_field_even_on_an_empty_host() {
        let host = Host::new();
        let mut eyes = host.eyes();
        eyes.proc = host.root().join("no-proc");
        let selector = ProcessSelector { comm: Some("x".into()), ..ProcessSelector::default() };
        let endpoint = Endpoint { host: "127.0.0.1".into(), ports: vec![], ping: false, when: None, alternate: None };
        let setting = || VersionSource::Setting("none".into());
        for probe in [
            Probe::ProcessState(selector.clone()),
            Probe::AgentHealth,
            Probe::ServiceState { unit: None },
            Probe::ExitLast(TargetName::new("x").unwrap()),
            Probe::InotifyUsage(selector.clone()),
            Probe::DnsServers { names: vec![] },
            Probe::NetEndpoint(endpoint),
            Probe::FdUsage(selector.clone()),
            Probe::FdTrend(selector),
            Probe::VersionPair { left: setting(), right: setting() },
        ] {
            let seen = eyes.look(&probe);
            let names: Vec<_> = seen.facts.keys().map(String::as_str).collect();
            let mut wanted: Vec<_> = probe.name().fields().iter().map(|f| f.name).collect();
            wanted.sort_unstable();
            assert_eq!(names, wanted, "{probe:?}");
            for (name, fact) in &seen.facts {
                if let Fact::Unknown(reason) = fact {
                    assert!(!reason.contains("bug"), "{probe:?} {name}: {reason}");
                    assert_ne!(reason, "not looked at", "{probe:?} {name}");
                }
            }
        }
    }

    #[test]
    fn an_answer_of_the_wrong_type_is_not_passed_on() {
        let mut seen = Observation::default();
        seen.know("alive", 1).know("extra", true);
        let fitted = fit(ProbeName::ProcessState.fields(), &seen);
        assert!(matches!(fitted.fact("alive"), Fact::Unknown(_)));
        assert!(!fitted.facts.contains_key("extra"));
    }

    /// Eyes with a short deadline, and what every look of `hang` waits for.
    fn impatient() -> (Eyes, std::sync::mpsc::SyncSender<()>, Arc<Mutex<Receiver<()>>>) {
        let mut eyes = Eyes::new("/");
        eyes.deadline = Duration::from_millis(20);
        let (release, wait) = sync_channel::<()>(0);
        (eyes, release, Arc::new(Mutex::new(wait)))
    }

    fn hang(eyes: &Eyes, question: &str, wait: &Arc<Mutex<Receiver<()>>>) -> String {
        let wait = Arc::clone(wait);
        eyes.aside(question, move |_| drop(wait.lock().map(|w| w.recv()))).unwrap_err()
    }

    /// The same eyes for looks that do answer: on a busy machine a thread may take longer to begin than `impatient` waits.
    fn patient(eyes: &Eyes) -> Eyes {
        Eyes { deadline: Duration::from_secs(20), ..eyes.clone() }
    }

    #[test]
    fn a_look_that_hangs_is_given_up_and_its_thread_counted_until_it_ends() {
        let (eyes, release, wait) = impatient();
        for number in 0..MAX_STUCK {
            assert!(hang(&eyes, &number.to_string(), &wait).contains("no answer within"));
        }
        assert!(eyes.aside("another", |_| ()).unwrap_err().contains("32 earlier looks still hang"));
        drop(release);
        deadline_passes("threads end", || held(&eyes.stuck).is_empty());
        assert!(patient(&eyes).aside("another", |_| ()).is_ok());
    }

    #[test]
    fn a_question_that_hangs_keeps_one_thread_and_no_other_question_waits_for_it() {
        let (eyes, release, wait) = impatient();
        assert!(hang(&eyes, "dead", &wait).contains("no answer within"));
        for _ in 0..MAX_STUCK {
            assert!(hang(&eyes, "dead", &wait).contains("an earlier look still hangs"));
            assert!(patient(&eyes).aside("alive", |_| ()).is_ok());
        }
        assert_eq!(held(&eyes.stuck).len(), 1);
        drop(release);
        deadline_passes("the thread ends", || held(&eyes.stuck).is_empty());
        assert!(patient(&eyes).aside("dead", |_| ()).is_ok(), "asked again once the mount is back");
    }

    #[test]
    fn a_look_that_panics_is_unknown() {
        let eyes = Eyes::new("/");
        let seen: Result<(), String> = eyes.aside("panic", |_| panic!("on purpose"));
        assert!(seen.unwrap_err().contains("bug"));
    }

    #[test]
    fn a_product_is_present_by_any_sign_and_unknown_is_not_absent() {
        let host = Host::new();
        host.file("etc/iscan/S99ISftp", "");
        host.process(1, "init").write();
        host.process(7, "isftpd").write();
        let mut theirs = host.process(8, "theirs");
        theirs.pid_namespace = "pid:[2]";
        theirs.write();
        let eyes = host.eyes();
        let by = |text: &str| -> Presence {
            eyes.present(&serde_json::from_str(&format!("{{\"present\":{text}}}")).unwrap())
        };
        assert_eq!(by(r#"{"any":[{"file":"/nope"},{"file":"/etc/iscan/S99ISftp"}]}"#), Presence::Yes);
        assert_eq!(by(r#"{"any":[{"process":{"comm":"isftpd"}}]}"#), Presence::Yes);
        assert_eq!(by(r#"{"any":[{"file":"/nope"},{"process":{"comm":"none"}}]}"#), Presence::No(vec![]));
        assert_eq!(by(r#"{"any":[]}"#), Presence::No(vec![]));
        assert!(matches!(by(r#"{"any":[{"process":{}}]}"#), Presence::Unknown(_)));
        let Presence::No(others) = by(r#"{"any":[{"process":{"comm":"theirs"}}]}"#) else { panic!("it is another's") };
        assert!(others.len() == 1 && others[0].contains("theirs (pid 8) runs in another pid namespace"), "{others:?}");
    }
}
