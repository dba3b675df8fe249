//! The supervisor is killed at every place of raising a kernel limit: the host is as before or as meant, the drop-in is
//! whole or absent, and every change of the value was meant.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wbd_tests::deadline::stays;
use wbd_tests::figures::say;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::judge::{self, Budget, Effect, Rules, What};
use wbd_tests::product::{self, AGENT, SOON, SUPERVISOR};
use wbd_tests::recorder::now_us;
use wbd_tests::story::Story;
use wbd_tests::sysctl_guard::SysctlGuard;
use wbd_tests::trap::{Call, Side, Trap};

use crate::jobs::{self, Jobs};
use crate::site::{self, ctl};

const CODE: &str = "WBD-5404";
const KEY: &str = "fs.inotify.max_user_watches";
const FILE: &str = "/proc/sys/fs/inotify/max_user_watches";
const DROPIN: &str = "/etc/sysctl.d/60-wbd.conf";
const FOLDERS: u64 = 3_000;
/// Above what root's other processes on the machine hold, far below what the folders need.
const TOO_LOW: u64 = 1_500;
/// Where the drop-in is written before it is put in its place.
const FRESH: &str = "/etc/sysctl.d/60-wbd.conf.new";
const FOLDER: &str = "/etc/sysctl.d";
/// How long after its intent at most, in the rounds at random moments: the whole action takes from 2 ms to 20 ms, so
/// where these fall depends on the machine.
const LONGEST_US: [u64; 2] = [1_000, 8_000];
/// A supervisor's restart, the time for the proof that does not come, and the next rung's.
const HEALING: Duration = Duration::from_secs(90);

/// One certain place of the action, between its intent and its outcome, and how far it has come there.
struct Mark {
    name: &'static str,
    call: Call,
    side: Side,
    left: Left,
}

/// What the action has done so far.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    is_raised: bool,
    is_written: bool,
    is_in_place: bool,
}

const fn left(is_raised: bool, is_written: bool, is_in_place: bool) -> Left {
    Left { is_raised, is_written, is_in_place }
}

const MARKS: [Mark; 6] = [
    Mark {
        name: "before the value",
        call: Call::OpenToWrite(FILE),
        side: Side::Before,
        left: left(false, false, false),
    },
    Mark {
        name: "after the value, before the drop-in",
        call: Call::OpenToWrite(FRESH),
        side: Side::Before,
        left: left(true, false, false),
    },
    Mark {
        name: "drop-in written, not on disk",
        call: Call::Sync(FRESH),
        side: Side::Before,
        left: left(true, true, false),
    },
    Mark {
        name: "drop-in on disk, not in its place",
        call: Call::Sync(FRESH),
        side: Side::After,
        left: left(true, true, false),
    },
    Mark {
        name: "drop-in in its place, the place not on disk",
        call: Call::Sync(FOLDER),
        side: Side::Before,
        left: left(true, false, true),
    },
    Mark {
        name: "after all, before the outcome",
        call: Call::Sync(FOLDER),
        side: Side::After,
        left: left(true, false, true),
    },
];

/// When the supervisor is killed.
enum Kill {
    /// In the middle of the action, for certain.
    At(&'static Mark),
    /// So long after its intent is seen: before, in or after the action.
    After(Duration),
}

/// Sees every change of the limit within a millisecond or two.
struct Values {
    seen: Arc<Mutex<Vec<(u64, u64)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Values {
    fn watch() -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (told, asked) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut last = value();
            while !asked.load(Ordering::Relaxed) {
                let now = value();
                if now != last {
                    told.lock().unwrap_or_else(PoisonError::into_inner).push((now_us(), now));
                    last = now;
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    /// What was set beside the tests' own fault.
    fn so_far(&self) -> Vec<Effect> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = seen.iter().filter(|(_, value)| *value != TOO_LOW);
        raised.map(|(at_us, value)| Effect { at_us: *at_us, what: set_to(*value) }).collect()
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[test]
fn killed_while_it_raises_a_limit_it_leaves_nothing_half_done() {
    let _limits = SysctlGuard::take();
    let host = product::shared();
    let patches = [
        ("for: 10s", "for: 1s"),
        ("within: 30s, hold: 10s", "within: 8s, hold: 1s"),
        ("attempts: 3,", "attempts: 50,"),
    ];
    product::patched_playbook(&host, "inotify-limit", &patches);
    host.write(&format!("/etc/systemd/system/{SUPERVISOR}.d/test.conf"), b"[Unit]\nStartLimitIntervalSec=0\n");
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    product::reload(&host).ok();
    site::make(&host, FOLDERS);
    site::add(&host).ok();
    ctl(&host, &["agent", "activate"]).ok();
    product::healthy(&host);

    let whole = Story::begin(&host);
    let (jobs, values) = (Jobs::listen(&host), Values::watch());
    for mark in &MARKS {
        let (result, limit) = one(&host, &Kill::At(mark));
        println!("killed {}: {result}, limit then {limit}", mark.name);
        assert_eq!(result, "unknown", "nobody was there to see its end\n{}", whole.summary());
    }
    let lost = at_random(&host);
    let mut effects = jobs.so_far();
    effects.extend(values.so_far());
    effects.sort_by_key(|effect| effect.at_us);
    let rules = Rules {
        budgets: vec![Budget { window_ms: 3_600_000, most: 1_000 }],
        early_us: 0,
        late_us: jobs::LATE_US,
        sees_all: true,
    };
    let wrongs = judge::judge(&whole.records(), &effects, &rules).wrongs;
    say(&format!(
        "kills while a limit is raised: {} each at another place of the action, and {} at random moments, {lost} of these \
         before the outcome; {} effects, {} wrong",
        MARKS.len(),
        LONGEST_US.len(),
        effects.len(),
        wrongs.len()
    ));
    assert!(wrongs.is_empty(), "{wrongs:#?}\n{effects:#?}\n{}", whole.summary());
    put_back(&host);
}

/// Kills at moments that nobody chose: how many came before the outcome.
fn at_random(host: &Host) -> usize {
    let given = std::env::var("WBD_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seed =
        given.unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(1, |now| u64::from(now.subsec_micros()))) | 1;
    let mut random = seed;
    let mut lost = 0;
    for longest in LONGEST_US {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_micros((random >> 33) % longest);
        let (result, limit) = one(host, &Kill::After(moment));
        println!("seed {seed}: killed {moment:?} after the intent; {result}, limit then {limit}");
        lost += usize::from(result == "unknown");
    }
    lost
}

/// One fault and one kill: what the ledger says became of the action, and the limit right after the kill.
fn one(host: &Host, when: &Kill) -> (String, u64) {
    host.run(["/usr/bin/rm", "-f", DROPIN, FRESH]).ok();
    host.run(["/usr/sbin/sysctl", "-q", "-w", &format!("{KEY}={TOO_LOW}")]).ok();
    let supervisor = machine_pid(host, host.main_pid(SUPERVISOR).expect("a supervisor"));
    let story = Story::begin(host);
    let inside = |path| host.inside(path).expect("a host that is up");
    let (log, fresh, dropin) = (inside("/var/lib/wbd/ledger.db-wal"), inside(FRESH), inside(DROPIN));
    let last = json::wbdctl(host, ["status"]).json["ledger_seq"].as_u64().expect("a number");
    let meant = || fs::read(&log).is_ok_and(|bytes| is_meant(&bytes, last));
    let trap = match when {
        Kill::At(mark) => Some(Trap::set(supervisor, mark.call, mark.side)),
        Kill::After(_) => None,
    };
    // A fresh agent needs its watches anew.
    host.run(["/usr/bin/systemctl", "restart", AGENT]).ok();
    match (when, trap) {
        (Kill::After(moment), _) => {
            let begun = Instant::now();
            while !meant() {
                assert!(begun.elapsed() < SOON, "no intent\n{}", story.summary());
                thread::sleep(Duration::from_micros(500));
            }
            stays("the moment", *moment, || Ok(()));
            kill(supervisor, Signal::SIGKILL).expect("it runs");
        }
        (Kill::At(_), trap) => trap.expect("set above").sprung(SOON),
    }
    // The next supervisor comes after a second.
    let (limit, text, written) = (value(), fs::read_to_string(dropin).ok(), fresh.exists());
    if let Kill::At(mark) = when {
        let found = left(limit != TOO_LOW, written, text.is_some());
        assert_eq!(found, mark.left, "killed {}\n{}", mark.name, story.summary());
        assert!(meant(), "killed {}, without an intent on disk", mark.name);
    }
    let told = story.closed(CODE, HEALING);
    let intent = told.of("intent").into_iter().find(|intent| intent["action"] == "sysctl.set").cloned();
    let intent = intent.unwrap_or_else(|| panic!("{told}"));
    let wanted = intent["params"]["sysctl.set"]["value"].as_u64().unwrap_or_else(|| panic!("{intent}"));
    assert!(limit == TOO_LOW || limit == wanted, "{limit} is neither before nor after: {told}");
    if let Some(text) = text {
        let lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.replace(' ', "")).collect();
        assert_eq!(lines, [format!("{KEY}={wanted}")], "half a drop-in: {told}");
    }
    assert_eq!(told.ending(), Some("healed"), "{told}");
    assert!(value() >= FOLDERS, "{told}");
    product::healthy(host);
    let outcome = told.of("outcome").into_iter().find(|outcome| outcome["action_id"] == intent["action_id"]);
    let result = outcome.and_then(|outcome| outcome["result"].as_str()).unwrap_or_else(|| panic!("{told}"));
    assert!(result != "done" || host.exists(DROPIN), "told as done, and not kept: {told}");
    (result.to_owned(), limit)
}

/// Whether the write-ahead file holds an intent to raise a limit that is newer than this record: asking a program of
/// the host takes longer than the action.
fn is_meant(bytes: &[u8], last: u64) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split("{\"seq\":").skip(1).any(|record| {
        let number = record.split(',').next().and_then(|number| number.parse::<u64>().ok());
        number.is_some_and(|number| number > last) && record.contains("\"intent\"") && record.contains("sysctl.set")
    })
}

fn put_back(host: &Host) {
    host.run(["/usr/bin/rm", "-rf", DROPIN, FRESH, &format!("/etc/systemd/system/{SUPERVISOR}.d")]).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    product::roomy_playbook(host, "inotify-limit");
    product::reload(host).ok();
    site::forget(host);
}

fn value() -> u64 {
    fs::read_to_string(FILE).expect("a limit").trim().parse().expect("a number")
}

fn set_to(value: u64) -> What {
    What::Set { key: KEY.to_owned(), value }
}

/// The machine's number of a process of the host: signals from inside come too late to aim.
fn machine_pid(host: &Host, inside: u32) -> Pid {
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = space(&host.leader().expect("a host that is up").to_string());
    let all = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let found = all.filter(|pid| pid.parse::<i32>().is_ok() && space(pid) == own).find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        numbers.split_whitespace().next_back() == Some(&inside.to_string())
    });
    Pid::from_raw(found.expect("it runs").parse().expect("a number"))
}
