//! The supervisor itself is killed at random moments of incidents: no act without an intent, none twice, every incident ends (I1, I4).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use wbd_tests::deadline::poll;
use wbd_tests::supervisor::agents_on;

use crate::trial::{self, SOON, Trial};

/// Kills that are aimed between an intent and its outcome, beside those of [`AIMS`].
const BETWEEN: usize = 10;
/// From an intent to its outcome it is milliseconds.
const SOON_AFTER_US: u64 = 1_500;
/// The first kills: so long after which record, at most.
const AIMS: [(&str, u64); 4] =
    [("opened", SOON_AFTER_US), ("opened", 2_500_000), ("outcome", 3_000), ("verdict", 3_000)];
/// /proc counts starts in hundredths of a second.
const TICK_MS: u64 = 10;
/// Sees every agent process of a root, by its own eyes.
struct Recorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<(i32, u64), u64>>,
}

impl Recorder {
    fn begin(root: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = BTreeMap::new();
            while !asked.load(Ordering::Relaxed) {
                for pid in agents_on(&root) {
                    // Gone meanwhile, or never ours.
                    let Some(ticks) = start_ticks(pid.as_raw()) else { continue };
                    seen.insert((pid.as_raw(), ticks), ticks * TICK_MS);
                }
                thread::sleep(Duration::from_millis(3));
            }
            seen
        });
        Self { stop, thread }
    }

    /// When each process that was seen had been started, milliseconds of this boot, in order.
    fn starts(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut starts: Vec<u64> = self.thread.join().expect("the recorder").into_values().collect();
        starts.sort_unstable();
        starts
    }
}

fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// xorshift: random enough to fall everywhere, and the same again for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The ledger by the test's own eyes, quick enough to aim by.
struct Watch {
    file: rusqlite::Connection,
    after: i64,
}

impl Watch {
    fn begin(root: &Path) -> Self {
        let file = rusqlite::Connection::open(root.join("var/lib/wbd/ledger.db")).expect("the ledger");
        let after = file.query_row("SELECT max(seq) FROM entry", [], |row| row.get(0)).expect("records");
        Self { file, after }
    }

    #[track_caller]
    fn wait_for_record(&self, kind: &str, trial: &Trial) {
        // An incident may end before it gets that far.
        let wanted = "SELECT count(*) FROM entry WHERE seq > ? AND kind IN (?, 'closed')";
        let begun = Instant::now();
        loop {
            let count = self.file.query_row(wanted, rusqlite::params![self.after, kind], |row| row.get::<_, i64>(0));
            if count.expect("a count") > 0 {
                return;
            }
            assert!(begun.elapsed() < SOON, "no {kind}\n{}", trial.summary());
            thread::sleep(Duration::from_micros(200));
        }
    }
}

fn wait_exactly(moment: Duration) {
    thread::sleep(moment);
}

fn seed() -> u64 {
    let given = std::env::var("WBD_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    given.unwrap_or(u64::try_from(now.as_micros()).unwrap_or(1)).max(1)
}

/// Many deaths of the agent are no crash loop here.
fn patient(root: &Path) {
    let path = root.join("etc/wbd/playbooks.d/agent-down.yaml");
    let text = fs::read_to_string(&path).expect("written before");
    assert!(text.contains("exit.recent >= 4"), "{text}");
    fs::write(&path, text.replace("exit.recent >= 4", "exit.recent >= 1000")).expect("scratch file");
}

#[test]
fn a_supervisor_killed_at_any_moment_acts_never_unrecorded_and_never_twice() {
    let seed = seed();
    println!("seed {seed}; the same moments again: WBD_SEED={seed}");
    let mut dice = Dice(seed);
    let root = trial::root("auto");
    patient(root.path());
    let recorder = Recorder::begin(root.path().to_path_buf());
    let mut trial = Trial::on(root);
    let mut between = 0;
    for round in 0..AIMS.len() + BETWEEN {
        let watch = Watch::begin(trial.root());
        let hurt = if dice.below(4) == 0 { Signal::SIGSTOP } else { Signal::SIGKILL };
        let old = trial.hurt(hurt);
        let (after, longest_us) = AIMS.get(round).copied().unwrap_or(("intent", SOON_AFTER_US));
        let moment = Duration::from_micros(dice.below(longest_us));
        watch.wait_for_record(after, &trial);
        wait_exactly(moment);
        trial.supervisor.kill9();
        let last = trial.records().pop().map(|record| record["kind"].clone()).unwrap_or_default();
        println!("round {round}: {hurt} to {old}; supervisor killed {moment:?} after {after}; last record {last}");
        between += u32::from(last == "intent");
        trial.start_again();
        settled(&trial);
    }
    println!("{between} of {BETWEEN} between an intent and its outcome");
    assert!(between > 0, "no kill hit its mark");
    trial.supervisor.terminate();
    let starts = recorder.starts();
    judge(&trial, &starts);
    for agent in agents_on(trial.root()) {
        kill(agent, Signal::SIGKILL).ok();
    }
}

/// An agent works, and no incident is open; a second agent that found the first one's lock is gone, too.
#[track_caller]
fn settled(trial: &Trial) {
    let begun = Instant::now();
    let quiet = poll(Duration::from_secs(90), || {
        let records = trial.records();
        let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
        let agent = trial.working();
        let one = trial.supervisor.agents().len() == 1;
        (one && agent.is_ok() && of("opened") == of("closed")).then_some(()).ok_or_else(|| format!("{agent:?}"))
    });
    if let Err(seen) = quiet {
        panic!("not settled after {:?}: {seen}\n{}", begun.elapsed(), trial.summary());
    }
}

#[track_caller]
fn judge(trial: &Trial, starts: &[u64]) {
    let summary = trial.summary();
    trial.verifies();
    let (intents, outcomes) = (trial.of("intent"), trial.of("outcome"));
    for records in [&intents, &outcomes] {
        let mut ids: Vec<&str> = records.iter().filter_map(|record| record["action_id"].as_str()).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|two| two[0] != two[1]), "an action id twice: {ids:?}\n{summary}");
    }
    assert_eq!(intents.len(), outcomes.len(), "an intent without an end\n{summary}");
    let permitted: Vec<u64> = intents
        .iter()
        .filter(|intent| matches!(intent["action"].as_str(), Some("agent.start" | "agent.restart")))
        .filter_map(|intent| intent["boot_ms"].as_u64())
        .collect();
    println!("{} agent processes by {} intents: {starts:?} {permitted:?}", starts.len(), permitted.len());
    for (number, start) in starts.iter().enumerate() {
        let before = permitted.iter().filter(|at_ms| **at_ms <= start + TICK_MS).count();
        assert!(
            before > number,
            "process {number}, started at {start}, had no intent before it: {permitted:?}\n{summary}"
        );
    }
    let records = trial.records();
    for opened in records.iter().filter(|record| record["kind"] == "opened") {
        let ends = |record: &&serde_json::Value| record["kind"] == "closed" && record["incident"] == opened["incident"];
        assert_eq!(records.iter().filter(ends).count(), 1, "{} has no end\n{summary}", opened["incident"]);
    }
}
