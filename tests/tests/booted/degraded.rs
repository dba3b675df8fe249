//! What all scenarios of a degraded host ask: doctor in time, the supervisor unharmed, nothing left behind; no scenario itself.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::json::{self, Answer};
use wbd_tests::product::SUPERVISOR;

/// A labelled verdict within this, however degraded the host is, as doctor itself measures it.
const DOCTOR_MS: u64 = 10_000;
/// As another process sees it: a busy machine takes its time to start a program and to end it.
pub(crate) const DOCTOR: Duration = Duration::from_secs(13);
/// `status` says that the ledger is degraded within this.
pub(crate) const SAID: Duration = Duration::from_secs(5);
/// Threads of a supervisor at rest and at work, looks that hang among them.
const MOST_THREADS: usize = 64;

/// Doctor's answer, which came in time and has a verdict.
#[track_caller]
pub(crate) fn doctor(host: &Host, when: &str) -> Answer {
    let ran = host.run(["/usr/bin/wbdctl", "-o", "json", "doctor"]);
    println!("doctor {when}: {:.2} s", ran.took.as_secs_f32());
    assert!(ran.took < DOCTOR, "{when}: {}", ran.report());
    let answer = Answer::of(&ran);
    assert!(answer.json["verdict"].is_string() && answer.code <= 3, "{when}: {}", answer.json);
    assert!(answer.json["duration_ms"].as_u64().is_some_and(|ms| ms <= DOCTOR_MS), "{when}: {}", answer.json);
    answer
}

/// What the supervisor says of itself, in time.
#[track_caller]
pub(crate) fn status(host: &Host) -> Value {
    json::wbdctl(host, ["status"]).json
}

/// `status` says within five seconds that the ledger cannot be used; why.
#[track_caller]
pub(crate) fn says_degraded(host: &Host, when: &str) -> String {
    let begun = Instant::now();
    let why = host.wait_for(&format!("a word that it is degraded ({when})"), SAID, || {
        let status = status(host);
        let why = status["degraded"].as_str().unwrap_or_default().to_owned();
        if why.is_empty() { Err(status.to_string()) } else { Ok(why) }
    });
    println!("degraded ({when}) said after {:.2} s: {why}", begun.elapsed().as_secs_f32());
    why
}

/// The supervisor's process.
#[track_caller]
pub(crate) fn supervisor(host: &Host) -> u32 {
    host.main_pid(SUPERVISOR).expect("a supervisor")
}

/// Its children: a look leaves none behind. (One that is just being run is waited for.)
#[track_caller]
pub(crate) fn leaves_nobody_behind(host: &Host, pid: u32) {
    host.wait_for("the supervisor without children", Duration::from_secs(10), || {
        let tasks = fs::read_dir(host.inside(&format!("/proc/{pid}/task"))?).map_err(|why| why.to_string())?;
        let tasks: Vec<_> = tasks.flatten().map(|task| task.path()).collect();
        assert!(tasks.len() <= MOST_THREADS, "{} threads", tasks.len());
        let children: String = tasks.iter().filter_map(|task| fs::read_to_string(task.join("children")).ok()).collect();
        if children.trim().is_empty() { Ok(()) } else { Err(children) }
    });
}

/// The numbers of its open files.
#[track_caller]
pub(crate) fn open_files(host: &Host, pid: u32) -> Vec<u64> {
    let folder = host.inside(&format!("/proc/{pid}/fd")).unwrap_or_else(|why| panic!("{why}"));
    let files = fs::read_dir(folder).expect("its open files").flatten();
    let mut numbers: Vec<u64> = files.filter_map(|file| file.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}
