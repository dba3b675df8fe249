//! What all scenarios of a degraded host ask: doctor, the supervisor unharmed, nothing left behind; no scenario itself.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::json::{self, Answer};
use wbd_tests::product::{SOON, SUPERVISOR};

/// Threads of a supervisor at rest and at work, looks that hang among them.
const MOST_THREADS: usize = 64;

/// Doctor's answer, which has a verdict however degraded the host is. (In what time is a matter of the benches.)
#[track_caller]
pub(crate) fn doctor(host: &Host, when: &str) -> Answer {
    let ran = host.run(["/usr/bin/wbdctl", "-o", "json", "doctor"]);
    let answer = Answer::of(&ran);
    assert!(answer.json["verdict"].is_string() && answer.code <= 3, "{when}: {}", answer.json);
    answer
}

/// What the supervisor says of itself.
#[track_caller]
pub(crate) fn status(host: &Host) -> Value {
    json::wbdctl(host, ["status"]).json
}

/// `status` comes to say that the ledger cannot be used; why.
#[track_caller]
pub(crate) fn says_degraded(host: &Host, when: &str) -> String {
    host.wait_for(&format!("a word that it is degraded ({when})"), SOON, || {
        let status = status(host);
        let why = status["degraded"].as_str().unwrap_or_default().to_owned();
        if why.is_empty() { Err(status.to_string()) } else { Ok(why) }
    })
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
