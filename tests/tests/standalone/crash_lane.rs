//! One lane of crash trials: roots one after the other, on each some runs of fault, kill and way back, then the
//! judgement; the sums are told elsewhere.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;
use wbd_tests::deadline::{poll, wait_until};
use wbd_tests::judge::{self, Budget, Effect, Rules, What};
use wbd_tests::recorder::{Life, Recorder, Recording, now_us};
use wbd_tests::supervisor::agents_on;
use wbd_tests::trap::{Call, Side, Trap};

use crate::crash_figures::{End, Figures, Phase, Run, Seen, is_supervisor};
use crate::trial::{self, QUIET, SOON, Trial};

/// Runs on one root.
const ON_A_ROOT: usize = 25;
/// The shipped budget is spent by then.
const ON_A_SHIPPED_BUDGET: usize = 8;
/// What the way back may take beside other lanes and a compiler.
const BACK: Duration = Duration::from_secs(90);
const HOUR_MS: u64 = 3_600_000;

/// In place of the shipped patience, beside what every trial changes: runs are many, and short.
const HURRIED: [(&str, &str); 3] =
    [("exit.recent >= 4", "exit.recent >= 1000"), ("hold: 1s", "hold: 500ms"), ("every: 5s", "every: 1s")];
const SHIPPED_BUDGET: [(u64, usize); 2] = [(HOUR_MS, 3), (24 * HOUR_MS, 6)];
const ROOMY_BUDGET: [(u64, usize); 2] = [(HOUR_MS, 1_000), (24 * HOUR_MS, 1_000)];

/// What the first action of a supervisor that finds no agent is called here.
const BY_HAND: &str = "by-hand";
/// After which record the supervisor is killed, and how long after it at most, microseconds.
const AIMS: [(&str, u64); 10] = [
    ("", 20_000),
    ("", 4_500_000),
    ("opened", 3_000),
    ("intent", 500),
    ("intent", 1_500),
    ("intent", 20_000),
    ("outcome", 3_000),
    ("outcome", 700_000),
    ("outcome", 700_000),
    ("verdict", 700_000),
];

/// xorshift: random enough to fall everywhere, and the same again for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, lane: u64) -> Self {
        Self((seed ^ (lane + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let count = u64::try_from(all.len()).expect("a short list");
        all[usize::try_from(self.below(count)).expect("less than that")]
    }
}

/// One lane.
pub(crate) struct Lane<'a> {
    pub(crate) number: u64,
    pub(crate) dice: Dice,
    pub(crate) recorder: &'a Recorder,
    pub(crate) figures: Figures,
    /// Its first kill has to come between an intent and its effect, which takes too short for luck on a fast machine.
    pub(crate) aims: bool,
}

impl Lane<'_> {
    /// So many runs, on as many roots as that takes; each lane begins its shipped budgets at another root.
    pub(crate) fn run(&mut self, runs: usize) {
        for root in self.number.. {
            let left = runs.saturating_sub(self.figures.runs());
            if left == 0 {
                return;
            }
            if root % 4 == 0 {
                self.on_shipped_budget();
            } else {
                self.on_roomy_budget(left.min(ON_A_ROOT));
            }
        }
    }

    fn on_roomy_budget(&mut self, most: usize) {
        let root = hurried();
        let mut trial = Trial::on(root);
        let mut runs = Vec::new();
        while runs.len() < most && ended(&runs) != Some(End::Missed) {
            let hurt = if self.dice.below(5) == 0 { Signal::SIGSTOP } else { Signal::SIGKILL };
            runs.push(self.one(&mut trial, hurt));
        }
        self.judge(trial, &runs, &ROOMY_BUDGET);
    }

    /// Hung and dead agents until the budget is spent, which starts of supervisors pay from too; then neither time nor
    /// another crash refills it.
    fn on_shipped_budget(&mut self) {
        let root = hurried();
        trial::put(root.path(), "etc/wbd/wbd.yaml", "healing: auto\nevery: 1s\n");
        let mut trial = Trial::on(root);
        let mut runs = Vec::new();
        while runs.len() < ON_A_SHIPPED_BUDGET && matches!(ended(&runs), None | Some(End::Healed)) {
            let hurt = self.dice.one_of(&[Signal::SIGSTOP, Signal::SIGKILL]);
            runs.push(self.one(&mut trial, hurt));
        }
        if ended(&runs) == Some(End::Held) {
            trial.supervisor.kill9();
            trial.start_again();
            wait_until("the supervisor's next look", SOON, || trial.looked_again());
            trial.stays_undone("a spent budget", QUIET);
        }
        self.judge(trial, &runs, &SHIPPED_BUDGET);
    }

    fn one(&mut self, trial: &mut Trial, hurt: Signal) -> Run {
        let watch = Watch::begin(trial.root());
        let (after, longest_us) = self.dice.one_of(&AIMS);
        let moment = Duration::from_micros(self.dice.below(longest_us));
        // What it starts reads nothing and writes nowhere: the agent's start begins with this.
        let start = Call::OpenToWrite("/dev/null");
        let trap = std::mem::take(&mut self.aims).then(|| Trap::set(trial.supervisor.pid(), start, Side::Before));
        let when = if trap.is_some() { "before a start".to_owned() } else { format!("{moment:?} after {after:?}") };
        let is_aimed = trap.is_some();
        let hurt_us = now_us();
        let agent = trial.hurt(hurt);
        match trap {
            Some(trap) => trap.sprung(SOON),
            None => {
                watch.wait_for_record(after, trial);
                wait_exactly(moment);
            }
        }
        let killed_us = now_us();
        trial.supervisor.kill9();
        let phase = Phase::of(&watch.kinds());
        assert!(!is_aimed || phase == Phase::Acting, "killed before a start: {phase:?}\n{}", trial.summary());
        println!("lane {}: {hurt} to {agent}; killed {when}, {phase:?}", self.number);
        let starts = watch.count("started");
        trial.start_again();
        wait_until("the next supervisor", SOON, || {
            (watch.count("started") > starts).then_some(()).ok_or_else(|| trial.summary())
        });
        let end = settled(trial, &watch, agent);
        Run { hurt_us, killed_us, settled_us: now_us(), phase, end }
    }

    fn judge(&mut self, mut trial: Trial, runs: &[Run], budgets: &[(u64, usize)]) {
        trial.supervisor.terminate();
        trial.verifies();
        let records = trial.records();
        let recording = self.recorder.so_far();
        let program = trial.root().join("opt/nbp/wbd/wbd_agent").to_string_lossy().into_owned();
        let lives = recording.lives(&program);
        let effects = effects(&recording, &lives);
        let rules = Rules {
            budgets: budgets.iter().map(|(window_ms, most)| Budget { window_ms: *window_ms, most: *most }).collect(),
            early_us: recording.early_us,
            late_us: recording.late_us,
            sees_all: recording.sees_signals,
        };
        let judgement = judge::judge(&records, &effects, &rules);
        let seen =
            Seen { records: &records, recording: &recording, lives: &lives, effects: &effects, judgement: &judgement };
        self.figures.add(runs, &seen);
        if !judgement.wrongs.is_empty() {
            let wrongs: Vec<String> = judgement.wrongs.iter().map(ToString::to_string).collect();
            self.figures.wrongs.push(format!(
                "lane {}: {}\n{}\n{effects:#?}",
                self.number,
                wrongs.join("; "),
                trial.summary()
            ));
        }
        for agent in agents_on(trial.root()) {
            kill(agent, Signal::SIGKILL).ok();
        }
    }
}

/// A root on which only a dead or hung agent is looked for, in a hurry.
pub(crate) fn hurried() -> TempDir {
    let root = trial::root("auto");
    // Nothing but the failure in question is looked for.
    for entry in fs::read_dir(root.path().join("usr/lib/wbd/playbooks")).expect("vendor's").flatten() {
        if entry.path().is_file() {
            fs::remove_file(entry.path()).expect("scratch file");
        }
    }
    trial::patch(root.path(), &HURRIED);
    root
}

/// What the supervisors of a root did to its agents.
pub(crate) fn effects(recording: &Recording, lives: &[Life]) -> Vec<Effect> {
    let starts = lives.iter().map(|life| Effect { at_us: life.from_us, what: What::Start { pid: life.pid } });
    let signals = recording.signals(lives, is_supervisor).into_iter();
    let signals = signals.map(|(at_us, number, pid)| Effect { at_us, what: What::Signal { number, pid } });
    let mut effects: Vec<Effect> = starts.chain(signals).collect();
    effects.sort_by_key(|effect| effect.at_us);
    effects
}

/// The ledger as the test reads it by itself, quick enough to aim by. Read only: closing it must not tidy up after a
/// kill.
struct Watch {
    file: Connection,
    after: i64,
}

impl Watch {
    fn begin(root: &Path) -> Self {
        let path = root.join("var/lib/wbd/ledger.db");
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the ledger");
        let after = file.query_row("SELECT max(seq) FROM entry", [], |row| row.get(0)).expect("records");
        Self { file, after }
    }

    /// An incident may end before it gets that far, and a supervisor that came too late to see the fault opens none.
    #[track_caller]
    fn wait_for_record(&self, kind: &str, trial: &Trial) {
        let begun = Instant::now();
        while !kind.is_empty() {
            if self.kinds().iter().any(|found| [kind, "closed", BY_HAND].contains(&found.as_str())) || self.held() {
                return;
            }
            assert!(begun.elapsed() < SOON, "no {kind}\n{}", trial.summary());
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// Of all records since then; intents without an incident apart from those with one.
    fn kinds(&self) -> Vec<String> {
        let query = "SELECT CASE WHEN kind = 'intent' AND incident IS NULL THEN 'by-hand' ELSE kind END
            FROM entry WHERE seq > ? ORDER BY seq";
        let mut kinds = self.file.prepare(query).expect("a query");
        let rows = kinds.query_map([self.after], |row| row.get(0)).expect("records");
        rows.map(|row| row.expect("a kind")).collect()
    }

    /// The last word is that the host's budget is spent.
    fn held(&self) -> bool {
        let last = "SELECT payload FROM entry WHERE incident IS NOT NULL AND seq > ? ORDER BY seq DESC LIMIT 1";
        let last = self.file.query_row(last, [self.after], |row| row.get::<_, String>(0));
        last.is_ok_and(|payload| payload.contains("\"refused\"") && payload.contains("\"host_budget\""))
    }

    fn count(&self, kind: &str) -> i64 {
        let count = "SELECT count(*) FROM entry WHERE kind = ?";
        self.file.query_row(count, [kind], |row| row.get(0)).expect("a count")
    }
}

fn wait_exactly(moment: Duration) {
    std::thread::sleep(moment);
}

fn ended(runs: &[Run]) -> Option<End> {
    runs.last().map(|run| run.end)
}

/// An agent works, and no incident is open; a second agent that found the first one's lock is gone, too. Or the budget
/// is spent. The one that was hurt may seem to work for a moment, so that its next sign of life is waited for.
fn settled(trial: &Trial, watch: &Watch, hurt: Pid) -> End {
    let beat = |health: Result<Value, String>| health.ok().and_then(|health| health["heartbeat_ms"].as_u64());
    let last = beat(trial.health());
    let settled = poll(BACK, || {
        if watch.held() {
            return Ok(End::Held);
        }
        let again = |pid: &Pid| *pid != hurt || beat(trial.health()) > last;
        let agent = trial.working().and_then(|pid| again(&pid).then_some(pid).ok_or_else(|| "as before".to_owned()));
        let one = trial.supervisor.agents().len() == 1;
        let over = watch.count("opened") == watch.count("closed");
        if one && agent.is_ok() && over { Ok(End::Healed) } else { Err(format!("{agent:?}, over: {over}, one: {one}")) }
    });
    settled.unwrap_or_else(|seen| {
        println!("missed after {BACK:?}: {seen}\n{}", trial.summary());
        End::Missed
    })
}
