//! The shared process list on a made-up /proc: what is read again, when, and what is never told from an old list.
use std::fs;

use super::*;
use crate::procs::{Chosen, choose, choose_lately};
use crate::runner::{ProbeContext, ProbeRunner};
use crate::testing::{Host, by_comm, by_exe};

impl Scan {
    /// Lists so far.
    fn lists(&self) -> u64 {
        self.0.lock().unwrap().lists
    }

    /// So much time goes by.
    fn pass(&self, time: Duration) {
        self.0.lock().unwrap().ahead += time;
    }
}

/// A host with process 5, called x, and process 6, called other, both older than any list.
fn host() -> (Host, ProbeRunner) {
    let host = Host::new();
    host.process(1, "init").write();
    host.process(5, "x").write();
    host.process(6, "other").write();
    let runner = host.runner();
    (host, runner)
}

fn context(runner: &ProbeRunner) -> ProbeContext {
    ProbeContext { runner: runner.clone(), until: Instant::now() + Duration::from_secs(5) }
}

fn ask(runner: &ProbeRunner, name: &str) -> Result<Chosen, String> {
    choose(&context(runner), &by_comm(name))
}

fn pids(runner: &ProbeRunner, name: &str) -> Vec<u32> {
    ask(runner, name).unwrap().live.iter().map(|it| it.pid).collect()
}

/// Looks until everybody is read as one that has settled.
fn settle(runner: &ProbeRunner) {
    assert_eq!(pids(runner, "x"), [5]);
    runner.memo.scan.pass(YOUNG);
    assert!(pids(runner, "nobody").is_empty());
}

#[test]
fn while_the_one_found_runs_no_list_is_taken() {
    let (host, runner) = host();
    assert_eq!(pids(&runner, "x"), [5]);
    host.process(7, "x").write();
    // A list could not even be taken.
    let first = host.root().join("proc/1");
    fs::rename(&first, host.root().join("away")).unwrap();
    assert_eq!((pids(&runner, "x"), runner.memo.scan.lists()), (vec![5], 1));
    fs::rename(host.root().join("away"), &first).unwrap();
    runner.memo.scan.pass(Duration::from_secs(61));
    assert_eq!((pids(&runner, "x"), runner.memo.scan.lists()), (vec![5, 7], 2), "others beside it: once a minute");
}

#[test]
fn an_end_is_seen_at_once_and_told_by_a_list_of_this_look_only() {
    let (host, runner) = host();
    assert_eq!(pids(&runner, "x"), [5]);
    let mut process = host.process(5, "x");
    process.state = 'Z';
    process.write();
    let chosen = ask(&runner, "x").unwrap();
    assert_eq!((chosen.live.len(), chosen.zombies, runner.memo.scan.lists()), (0, 1, 2));
    fs::remove_dir_all(host.root().join("proc/5")).unwrap();
    assert!(pids(&runner, "x").is_empty());
    assert_eq!(runner.memo.scan.lists(), 3);
    // Its successor is there before the next look.
    host.process(9, "x").write();
    assert_eq!((pids(&runner, "x"), runner.memo.scan.lists()), (vec![9], 4));
    // And where no list can be taken nobody is told to be dead.
    fs::remove_dir_all(host.root().join("proc/9")).unwrap();
    fs::remove_dir_all(host.root().join("proc/1")).unwrap();
    assert!(ask(&runner, "x").unwrap_err().contains("not complete"));
}

#[test]
fn another_start_under_the_same_id_is_another_process() {
    let (host, runner) = host();
    assert_eq!(ask(&runner, "x").unwrap().live[0].start_ticks, 10_000);
    let mut process = host.process(5, "x");
    process.start_ticks = 20_000;
    process.write();
    assert_eq!(ask(&runner, "x").unwrap().live[0].start_ticks, 20_000);
    host.process(5, "other").write();
    assert!(pids(&runner, "x").is_empty());
}

#[test]
fn who_has_settled_is_read_again_every_five_minutes_and_just_before_an_action() {
    let (host, runner) = host();
    settle(&runner);
    // It becomes another program long after its start.
    host.process(6, "late").write();
    assert!(pids(&runner, "late").is_empty());
    assert_eq!(pids(&runner.afresh(), "late"), [6]);
    host.process(6, "later").write();
    assert!(pids(&runner, "later").is_empty());
    runner.memo.scan.pass(READ_AGAIN);
    assert_eq!(pids(&runner, "later"), [6]);
}

#[test]
fn a_young_process_may_still_become_another_program() {
    let (host, runner) = host();
    settle(&runner);
    host.process(7, "sh").write();
    assert!(pids(&runner, "late").is_empty());
    host.process(7, "late").write();
    assert_eq!(pids(&runner, "late"), [7]);
}

#[test]
fn an_id_that_was_given_out_again_is_read() {
    let (host, runner) = host();
    settle(&runner);
    let successor = host.process(60, "late");
    successor.write();
    // Made before its predecessor goes, so that its folder cannot have the same inode.
    fs::remove_dir_all(host.root().join("proc/6")).unwrap();
    fs::rename(host.root().join("proc/60"), host.root().join("proc/6")).unwrap();
    assert_eq!(pids(&runner, "late"), [6]);
}

#[test]
fn several_products_are_looked_for_on_one_list() {
    let (_host, runner) = host();
    for name in ["x", "other", "nobody", "none"] {
        choose_lately(&context(&runner), &by_comm(name)).unwrap();
    }
    assert_eq!(runner.memo.scan.lists(), 1);
    choose(&context(&runner), &by_comm("nobody")).unwrap();
    assert_eq!(runner.memo.scan.lists(), 2, "that nobody runs is not told from an old one");
}

#[test]
fn a_program_that_could_not_be_looked_at_is_looked_at_again() {
    let (host, runner) = host();
    let wanted = host.file("opt/x", "");
    // What is no link cannot be read as one.
    fs::remove_file(host.root().join("proc/6/exe")).unwrap();
    host.file("proc/6/exe", "");
    let ask = |exe: &Path| choose(&context(&runner), &by_exe(exe));
    assert!(ask(Path::new("/opt/x")).unwrap_err().contains("1 processes could not be looked at"));
    fs::remove_file(host.root().join("proc/6/exe")).unwrap();
    std::os::unix::fs::symlink(wanted, host.root().join("proc/6/exe")).unwrap();
    assert_eq!(ask(Path::new("/opt/x")).unwrap().live[0].pid, 6);
}

#[test]
fn a_list_that_hangs_holds_up_no_other_look_for_long() {
    let (_host, runner) = host();
    let hangs = runner.memo.scan.0.lock().unwrap();
    let hurried = ProbeContext { runner: runner.clone(), until: Instant::now() + Duration::from_millis(20) };
    assert!(choose(&hurried, &by_comm("x")).unwrap_err().contains("does not end"));
    drop(hangs);
    assert_eq!(pids(&runner, "x"), [5]);
}

#[test]
fn what_does_not_run_as_it_should_is_told_each_time_though_nobody_is_read_again() {
    let (host, runner) = host();
    let mut ended = host.process(7, "y");
    ended.state = 'Z';
    ended.write();
    let mut elsewhere = host.process(8, "z");
    elsewhere.pid_namespace = "pid:[2]";
    elsewhere.write();
    host.process(9, "hidden").write();
    fs::remove_file(host.root().join("proc/9/status")).unwrap();
    fs::create_dir(host.root().join("proc/9/status")).unwrap();
    settle(&runner);
    for _ in 0..2 {
        let (zombie, other) = (ask(&runner, "y").unwrap(), ask(&runner, "z").unwrap());
        assert_eq!((zombie.live.len(), zombie.zombies, zombie.others.count), (0, 1, 0));
        assert_eq!((other.live.len(), other.zombies, other.others.count), (0, 0, 1));
        assert!(ask(&runner, "hidden").unwrap_err().contains("1 processes could not be looked at"));
    }
}

#[test]
fn who_was_held_against_a_selector_and_has_settled_is_not_held_against_it_again() {
    let (host, runner) = host();
    settle(&runner);
    assert_eq!(pids(&runner, "x"), [5]);
    runner.memo.scan.pass(Duration::from_secs(61));
    assert_eq!(pids(&runner, "x"), [5]);
    // It becomes the program that is meant, long after its start.
    host.process(6, "x").write();
    runner.memo.scan.pass(Duration::from_secs(61));
    assert_eq!(pids(&runner, "x"), [5], "5,000 processes are not read for each look");
    let (scan, proc, until) = (&runner.memo.scan, context(&runner), context(&runner).until);
    let since = Since { list: Instant::now() - Duration::from_secs(60), whole: None };
    assert!(scan.news(proc.proc(), until, &by_comm("x"), since).unwrap().processes.is_empty());
    assert_eq!(scan.news(proc.proc(), until, &by_comm("new"), since).unwrap().processes.len(), 3);
    runner.memo.scan.pass(READ_AGAIN);
    assert_eq!(pids(&runner, "x"), [5, 6]);
}

#[test]
fn so_many_selectors_are_remembered_and_no_more() {
    let (_host, runner) = host();
    let remembered = || runner.memo.scan.0.lock().unwrap().judged.len();
    for n in 0..MOST_SELECTORS {
        assert!(pids(&runner, &format!("no-{n}")).is_empty());
        assert_eq!(remembered(), n + 1);
    }
    // One that is known takes no place.
    assert!(pids(&runner, "no-7").is_empty());
    assert_eq!(remembered(), MOST_SELECTORS);
    assert_eq!(pids(&runner, "x"), [5]);
    assert_eq!(remembered(), 1);
}

#[test]
fn a_list_of_another_host_is_nobodys() {
    let (_host, runner) = host();
    let (second, _) = host();
    assert_eq!(pids(&runner, "x"), [5]);
    let mut elsewhere = runner.clone();
    (elsewhere.root, elsewhere.proc) = (second.root().to_owned(), second.root().join("proc"));
    fs::remove_dir_all(second.root().join("proc/5")).unwrap();
    second.process(8, "x").write();
    assert_eq!(pids(&elsewhere, "x"), [8]);
    assert_eq!(pids(&runner, "x"), [5]);
}
