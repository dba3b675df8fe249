//! The benches: idle cost, time from a kill to health, and doctor's time, each beside a peer measured in the same
//! run. Prints tables of figures; it judges nothing beyond naming the bound, and writes no file.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers: it reports by printing and gives up by panicking"
)]

mod beside;
mod doctor;
mod figure;
mod idle;
mod kill;
mod monit;
mod process;
mod stage;

use std::fs;
use std::process::Command;

use crate::stage::Stage;

const GROUPS: [&str; 3] = ["idle", "kill", "doctor"];

fn main() {
    // cargo bench adds options of its own.
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(wrong) = asked.iter().find(|word| !GROUPS.contains(&word.as_str())) {
        eprintln!("there is no group {wrong:?}; there are: {}", GROUPS.join(" "));
        std::process::exit(64);
    }
    println!("{}\n", machine());
    let stage = Stage::set();
    for group in GROUPS {
        if !asked.is_empty() && !asked.iter().any(|word| word == group) {
            continue;
        }
        let figures = match group {
            "idle" => idle::measure(&stage),
            "kill" => kill::measure(&stage),
            _ => doctor::measure(&stage),
        };
        println!("{}", figure::table(group, &figures));
    }
}

/// Commit, cores, kernel and load: a figure without them says nothing.
fn machine() -> String {
    let word = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let commit = Command::new("/usr/bin/git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = commit.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned()).unwrap_or_default();
    let changed = Command::new("/usr/bin/git").args(["diff", "--quiet", "HEAD"]).status();
    let changed = if changed.is_ok_and(|status| status.success()) { "" } else { " and changes" };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = word("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!(
        "commit {commit}{changed}, {cores} cores, kernel {}, load before {}",
        word("/proc/sys/kernel/osrelease"),
        load.join(" ")
    )
}
