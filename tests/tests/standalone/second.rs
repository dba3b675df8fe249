//! Two supervisors on one state folder: the second is told who holds it, does nothing and disturbs nothing; the hold ends with its holder and with nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use wbd_tests::deadline::wait_until;
use wbd_tests::exec::{self, Ran};
use wbd_tests::places;
use wbd_tests::supervisor::Supervisor;

use crate::trial::{self, DOWN, SOON, Trial};

/// Another supervisor can use the folder when this one has ended.
const TRY_AGAIN: i32 = 75;
const LOCK: &str = "var/lib/wbd/ledger.lock";

/// Another supervisor, which has to end by itself.
fn second(root: &Path) -> Ran {
    let mut program = Command::new(places::program("wbd-supervisord"));
    exec::run(program.arg("--standalone").arg("--root").arg(root), b"", SOON)
}

/// The words of its refusal.
#[track_caller]
fn refused(root: &Path) -> String {
    let ran = second(root).exits(TRY_AGAIN);
    let words = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(words.contains("ledger folder") && words.contains("stop that supervisor first"), "{}", ran.report());
    words
}

#[test]
fn a_second_one_names_the_first_and_leaves_everything_to_it() {
    let trial = Trial::begin("auto");
    let (records, agent) = (trial.records(), trial.agent());
    let holder = format!("process {} ", trial.supervisor.pid());
    assert!(refused(trial.root()).contains(&holder));
    // By another name of the folder.
    let elsewhere = tempfile::tempdir().expect("temp folder");
    let alias = elsewhere.path().join("alias");
    symlink(trial.root(), &alias).expect("a link");
    assert!(refused(&alias).contains(&holder));
    // One that hangs holds it no less.
    trial.supervisor.signal(Signal::SIGSTOP);
    let words = refused(trial.root());
    trial.supervisor.signal(Signal::SIGCONT);
    assert!(words.contains(&holder));
    // Somebody thought the file stale and removed it.
    fs::remove_file(trial.root().join(LOCK)).expect("the lock's file");
    refused(trial.root());
    assert_eq!((trial.records(), trial.supervisor.agents()), (records, vec![agent]), "nobody did anything");
    // Its socket is still its own, and it heals.
    assert_eq!(trial.status()["pid"], trial.supervisor.pid().as_raw());
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn the_hold_ends_with_its_holder_whatever_the_file_says() {
    let mut trial = Trial::begin("auto");
    for said in [None, Some("1\n"), Some("not a number")] {
        trial.supervisor.kill9();
        // The dead one's number, or that of a process that is alive and no supervisor.
        if let Some(said) = said {
            fs::write(trial.root().join(LOCK), said).expect("the lock's file");
        }
        trial.start_again();
        wait_until("the next supervisor", SOON, || trial.looked_again());
        trial.agent();
    }
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    trial.verifies();
}

#[test]
fn of_several_at_once_one_goes_on() {
    let root = trial::root("auto");
    let mut all: Vec<Supervisor> = (0..4).map(|_| Supervisor::start(root.path())).collect();
    let left = wait_until("three refusals", SOON, || {
        let left: Vec<usize> = (0..all.len()).filter(|index| !all[*index].has_ended()).collect();
        if let [one] = left.as_slice() { Ok(*one) } else { Err(format!("{left:?} run")) }
    });
    let one = all.swap_remove(left);
    for other in &mut all {
        assert_eq!(other.ended(SOON).code(), Some(TRY_AGAIN), "{}", one.log());
    }
    let trial = Trial::with(one, root);
    trial.agent();
    trial.looks();
    assert_eq!((trial.of("started").len(), trial.supervisor.agents().len()), (1, 1), "{}", trial.summary());
    // What the others dropped on their way out was not this one's.
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    for other in all {
        other.forget();
    }
}
