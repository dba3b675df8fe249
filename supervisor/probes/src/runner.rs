//! Where to look and for how long: a look ends in time, whatever the host does. It asks no question itself.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wbd_model::seen::SeenProducts;
use wbd_model::time::BootId;

use crate::memo::{Memo, Products};

/// A look that hangs (a dead network mount) keeps its thread, one for each question; with so many of them no further
/// one is begun.
const MAX_STUCK: usize = 32;
/// As shipped; a name, an address and its alternate fit into it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Where to look, and how long one look may take. Cloning shares the count of looks that hang, and what
/// was seen a moment ago.
#[derive(Debug, Clone)]
pub struct ProbeRunner {
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
    /// What is started to ask the host's resolver: this program, which calls [`crate::serve_names`] first.
    pub(crate) this_program: PathBuf,
    stuck: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) memo: Memo,
    afresh: Option<Instant>,
}

/// One probe under way: its runner and when to be done.
#[derive(Debug)]
pub(crate) struct ProbeContext {
    pub(crate) runner: ProbeRunner,
    pub(crate) until: Instant,
}

impl ProbeContext {
    pub(crate) fn root(&self) -> &Path {
        &self.runner.root
    }

    pub(crate) fn proc(&self) -> &Path {
        &self.runner.proc
    }

    /// The time left, at most `longest`.
    pub(crate) fn left(&self, longest: Duration) -> Duration {
        self.until.saturating_duration_since(Instant::now()).min(longest)
    }
}

impl ProbeRunner {
    /// A runner for the host under `root`, with the running kernel's /proc and /sys and ten seconds a look.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            facts: BTreeMap::new(),
            deadline: DEADLINE,
            // Whatever lies at its path by now.
            this_program: PathBuf::from("/proc/self/exe"),
            stuck: Arc::default(),
            memo: Memo::default(),
            afresh: None,
        }
    }

    /// The root is the one that this host's programs run on: they can be asked.
    pub(crate) fn is_this_host(&self) -> bool {
        self.root.has_root() && self.root.components().count() == 1
    }

    /// The unit that was last seen behind an address of this host, as `dns.servers` told it in `local_seen`; for when
    /// nobody listens there any more.
    pub fn remember_resolver(&self, seen: &str) {
        if let Some((address, unit)) = seen.split_once(' ')
            && let Ok(address) = address.parse()
            && unit.ends_with(".service")
        {
            self.memo.keep_resolver_if_new(address, unit);
        }
    }

    /// What was seen of products up to now, in the boot of this name; or why that cannot be read.
    pub fn remember_products(&self, seen: Result<SeenProducts, String>, boot: &BootId) {
        let (seen, unread) = match seen {
            Ok(seen) => (seen, None),
            Err(why) => (SeenProducts::default(), Some(why)),
        };
        self.memo.keep_products(Products { seen, boot: Some(boot.clone()), unread, changes: 0 });
    }

    /// What is known of products now, with all that was seen since; `None`: what was seen earlier cannot be read.
    #[must_use]
    pub fn seen_products(&self) -> Option<SeenProducts> {
        let products = self.memo.products();
        products.unread.is_none().then_some(products.seen)
    }

    /// How often something of it was changed since it was remembered.
    #[must_use]
    pub fn product_changes(&self) -> u64 {
        self.memo.product_changes()
    }

    /// What is known of products is changed, for all copies of this runner.
    pub fn change_products(&self, change: impl FnOnce(&mut SeenProducts)) {
        self.memo.change_products(change);
    }

    /// The same runner for the last look before an action: from now on it makes do with nothing that was seen earlier.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { afresh: Some(Instant::now()), ..self.clone() }
    }

    /// What was seen before this moment does not count; `None`: each look says itself what does.
    pub(crate) fn afresh_since(&self) -> Option<Instant> {
        self.afresh
    }

    /// Does the work on a thread that can be given up, since a read on a dead mount cannot be ended. A question
    /// whose earlier look still hangs is not asked again.
    pub(crate) fn aside<T: Send + 'static>(
        &self,
        question: &str,
        work: impl FnOnce(&ProbeContext) -> T + Send + 'static,
    ) -> Result<T, String> {
        self.begin(question, self.deadline, work)?.answer()
    }

    pub(crate) fn begin<T: Send + 'static>(
        &self,
        question: &str,
        deadline: Duration,
        work: impl FnOnce(&ProbeContext) -> T + Send + 'static,
    ) -> Result<Pending<T>, String> {
        {
            let stuck = held(&self.stuck);
            if stuck.contains(question) {
                return Err("an earlier probe still hangs; look for a dead mount or a stuck disk".to_owned());
            }
            if stuck.len() >= MAX_STUCK {
                return Err(format!("{MAX_STUCK} earlier probes still hang; look for a dead mount or a stuck disk"));
            }
        }
        let (sender, receiver) = sync_channel(1);
        // Nine tenths, so that a look that runs out of time can still hand in what it saw.
        let context = ProbeContext { runner: self.clone(), until: Instant::now() + deadline / 10 * 9 };
        let state = Arc::new(AtomicU8::new(RUNNING));
        let question = question.to_owned();
        let ending = Ending { state: Arc::clone(&state), stuck: Arc::clone(&self.stuck), question: question.clone() };
        thread::Builder::new()
            .name("wbd-probe".to_owned())
            .spawn(move || {
                let _ending = ending;
                // Nobody listening any more is the deadline's business, not ours.
                let _ = sender.send(work(&context));
            })
            .map_err(|error| format!("cannot start a thread for the probe: {error}"))?;
        let stuck = Arc::clone(&self.stuck);
        Ok(Pending { receiver, state, stuck, question, deadline, until: Instant::now() + deadline })
    }
}

/// A look under way on its thread.
pub(crate) struct Pending<T> {
    receiver: Receiver<T>,
    state: Arc<AtomicU8>,
    stuck: Arc<Mutex<BTreeSet<String>>>,
    question: String,
    deadline: Duration,
    until: Instant,
}

impl<T> Pending<T> {
    /// What was seen, or why nothing was.
    pub(crate) fn answer(self) -> Result<T, String> {
        match self.receiver.recv_timeout(self.until.saturating_duration_since(Instant::now())) {
            Ok(seen) => Ok(seen),
            Err(RecvTimeoutError::Disconnected) => {
                Err("the probe broke off, which is a bug in wbd; please report it".to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::deadline_passes;

    /// A runner with a short deadline, and what every probe of `hang` waits for.
    fn impatient() -> (ProbeRunner, std::sync::mpsc::SyncSender<()>, Arc<Mutex<Receiver<()>>>) {
        let mut runner = ProbeRunner::new("/");
        runner.deadline = Duration::from_millis(20);
        let (release, wait) = sync_channel::<()>(0);
        (runner, release, Arc::new(Mutex::new(wait)))
    }

    fn hang(runner: &ProbeRunner, question: &str, wait: &Arc<Mutex<Receiver<()>>>) -> String {
        let wait = Arc::clone(wait);
        runner.aside(question, move |_| drop(wait.lock().map(|w| w.recv()))).unwrap_err()
    }

    /// The same runner for probes that do answer: on a busy machine a thread may take longer to begin than `impatient`
    /// waits.
    fn patient(runner: &ProbeRunner) -> ProbeRunner {
        ProbeRunner { deadline: Duration::from_secs(20), ..runner.clone() }
    }

    #[test]
    fn a_look_that_hangs_is_given_up_and_its_thread_counted_until_it_ends() {
        let (runner, release, wait) = impatient();
        for number in 0..MAX_STUCK {
            assert!(hang(&runner, &number.to_string(), &wait).contains("no answer within"));
        }
        assert!(runner.aside("another", |_| ()).unwrap_err().contains("32 earlier probes still hang"));
        drop(release);
        deadline_passes("threads end", || held(&runner.stuck).is_empty());
        assert!(patient(&runner).aside("another", |_| ()).is_ok());
    }

    #[test]
    fn a_question_that_hangs_keeps_one_thread_and_no_other_question_waits_for_it() {
        let (runner, release, wait) = impatient();
        assert!(hang(&runner, "dead", &wait).contains("no answer within"));
        for _ in 0..MAX_STUCK {
            assert!(hang(&runner, "dead", &wait).contains("an earlier probe still hangs"));
            assert!(patient(&runner).aside("alive", |_| ()).is_ok());
        }
        assert_eq!(held(&runner.stuck).len(), 1);
        drop(release);
        deadline_passes("the thread ends", || held(&runner.stuck).is_empty());
        assert!(patient(&runner).aside("dead", |_| ()).is_ok(), "asked again once the mount is back");
    }

    #[test]
    fn a_look_that_panics_is_unknown() {
        let runner = ProbeRunner::new("/");
        let seen: Result<(), String> = runner.aside("panic", |_| panic!("on purpose"));
        assert!(seen.unwrap_err().contains("bug"));
    }
}
