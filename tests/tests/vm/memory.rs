//! Out of memory: at the agent's own limit, on the whole host, again and again, and where it is documented and
//! harmless.

use std::time::Duration;

use serde_json::Value;
use wbd_tests::json::Answer;
use wbd_tests::product::{AGENT, ROOMY};
use wbd_tests::vm::product::{self, VmStory};

const CGROUP: &str = "/sys/fs/cgroup/system.slice/wbd-agent.service";
/// As shipped, but looking often.
const SHIPPED: &str = "healing: auto\nevery: 2s\n";
/// Takes memory until there is none.
const EATER: &str = r#"perl -e 'push @all, "x" x (8 << 20) while 1'"#;
/// Longer than a dead unit is held before it is an incident, and than the next look after that.
const TWIN: Duration = Duration::from_secs(12);

#[test]
fn at_its_own_limit_the_agent_is_out_of_memory_and_not_crashed() {
    let vm = product::shared();
    let story = VmStory::begin(&vm);
    let pid = product::agent_works(&vm);
    // Less than it has: the kernel ends it at once. systemd's next start makes the group anew, without the limit.
    vm.sh(&format!("echo 256K >{CGROUP}/memory.max")).ok();
    let exit = the_exit(&story);
    assert_eq!(exit["result"], "oom-limit", "{exit}");
    assert!(exit["evidence"].to_string().contains(&pid.to_string()), "{exit}");
    product::another_agent_works(&vm, pid);
    no_alarm(&story, "systemd's own restart");
    assert!(story.of("exit").iter().all(|exit| exit["result"] != "signal"), "{:?}", story.records());
    product::healthy(&vm);
}

#[test]
fn a_host_without_memory_is_told_from_the_agents_own_limit() {
    let vm = product::shared();
    let story = VmStory::begin(&vm);
    let pid = product::agent_works(&vm);
    // The kernel's own search for a victim on the whole host, as when nothing is left; without the half minute before
    // it, in which nobody gets on and systemd's watchdogs end whom they please.
    vm.sh(&format!("echo 1000 >/proc/{pid}/oom_score_adj; echo f >/proc/sysrq-trigger")).ok();
    let exit = the_exit(&story);
    assert_eq!(exit["result"], "oom-host", "{exit}");
    product::another_agent_works(&vm, pid);
    no_alarm(&story, "systemd's own restart");
    product::healthy(&vm);
}

#[test]
fn an_agent_that_never_has_enough_memory_is_handed_over_and_not_started_for_ever() {
    let vm = product::shared();
    // Shorter pauses than shipped, and as many attempts.
    product::patched_playbook(
        &vm,
        "agent-down",
        &[("from: 5s, to: 5m", "from: 1s, to: 2s"), ("within: 20s", "within: 5s")],
    );
    product::configure(&vm, SHIPPED);
    let before = VmStory::whole(&vm).records();
    let debits = before.iter().filter(|record| is_debit(record)).count();
    let story = VmStory::begin(&vm);
    vm.write(&format!("/etc/systemd/system/{AGENT}.d/test.conf"), "[Service]\nMemoryMax=256K\n");
    vm.sh("systemctl daemon-reload").ok();
    // On this kernel the new limit holds at once, or with the next start.
    vm.sh(&format!("systemctl kill -s KILL {AGENT} || true")).ok();
    story.wait_for("the hand-over, or the end of the budget", |record| {
        record["kind"] == "escalated" || record["kind"] == "refused" && record["result"] == "budget"
    });
    let records = story.records();
    let acts = records.iter().filter(|record| is_debit(record)).count();
    assert!(debits + acts <= 3.max(debits), "{debits} and {acts}: {records:?}");
    let exits: Vec<_> = records.iter().filter(|record| record["kind"] == "exit").collect();
    assert!(exits.iter().any(|exit| exit["result"] == "oom-limit"), "{exits:?}");
    let starts = vm.unit(AGENT, "NRestarts").parse::<usize>().expect("a number");
    println!("{} ends, {acts} actions, {starts} restarts by systemd since the last of them", exits.len());
    VmStory::begin(&vm).stays_without("the end of it", TWIN, is_debit);
    vm.sh(&format!(
        "rm -r /etc/systemd/system/{AGENT}.d ; systemctl daemon-reload
        systemctl reset-failed {AGENT}; systemctl start {AGENT}"
    ))
    .ok();
    product::roomy_playbooks(&vm);
    product::configure(&vm, ROOMY);
    product::healthy(&vm);
}

#[test]
fn the_documented_kill_of_a_scan_process_is_no_alarm() {
    let vm = product::shared();
    let story = VmStory::begin(&vm);
    let agent = product::agent_works(&vm);
    vm.write(
        "/root/scan",
        &format!("echo $$ >/sys/fs/cgroup/aegisRtap0/cgroup.procs; exec {}", EATER.replace("perl", "ALiSecCheck")),
    );
    let killed = vm.sh(
        "cp /usr/bin/perl /usr/local/bin/ALiSecCheck; cd /sys/fs/cgroup; mkdir aegisRtap0; echo 40M >aegisRtap0/memory.max
        choom -n 0 -- sh /root/scan || true; grep -w oom_kill aegisRtap0/memory.events; rmdir aegisRtap0",
    );
    assert_eq!(killed.text(), "oom_kill 1", "{}", killed.report());
    no_alarm(&story, "the documented kill");
    assert!(story.of("exit").is_empty(), "{:?}", story.records());
    assert_eq!(product::agent_works(&vm), agent);
    product::doctor_says(&vm, "a healthy host", Answer::is_well);
}

#[track_caller]
fn the_exit(story: &VmStory<'_>) -> Value {
    // On a busy machine the bus may tell how only after the supervisor has recorded that it does not know.
    story.wait_for("the exit", |record| record["kind"] == "exit" && record["result"] != "unknown")
}

/// An act of a class that costs budget, not by hand.
fn is_debit(record: &Value) -> bool {
    let costs = matches!(record["class"].as_str(), Some("A2" | "A3" | "A4"));
    record["kind"] == "intent" && costs && !record["evidence"].to_string().contains("by hand")
}

/// Nothing is opened, intended or told to a person.
#[track_caller]
fn no_alarm(story: &VmStory<'_>, what: &str) {
    story.stays_without(what, TWIN, |record| {
        ["opened", "intent", "escalated"].iter().any(|kind| record["kind"] == *kind)
    });
}
