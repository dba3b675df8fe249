//! Supervisor and agent in so little memory and time that everything is late: decisions stay right, and nothing is
//! killed for it.

use std::time::Duration;

use wbd_tests::product::{AGENT, SUPERVISOR};
use wbd_tests::vm::Vm;
use wbd_tests::vm::product::{self, VmStory};

const CODE: &str = "WBD-6007";
/// Longer than the silence after which an agent counts as hung, several times.
const SILENCE: Duration = Duration::from_secs(30);

#[test]
fn a_supervisor_with_little_memory_and_time_still_decides_right() {
    let vm = product::shared();
    // Emulated, a processor is worth a tenth to a twentieth of one: this is less than 2 % of a real one. (At 2 % of an
    // emulated one the loop needs more than the watchdog's 30 s for a round.)
    squeeze(&vm, SUPERVISOR, "MemoryMax=64M CPUQuota=10%");
    let supervisor = vm.main_pid(SUPERVISOR).expect("a supervisor");
    let story = VmStory::begin(&vm);
    let pid = product::agent_works(&vm);
    // systemd brings it back; the supervisor is late to see it, and late is no reason to do it once more.
    vm.signal(pid, "KILL");
    product::another_agent_works(&vm, pid);
    story.wait_for("the exit", |record| record["kind"] == "exit");
    story.stays_without("systemd's own restart", SILENCE, |record| record["kind"] == "intent");

    let doctor = product::wbdctl(&vm, ["doctor"]);
    assert_ne!(doctor.json["verdict"], "fail", "{}", doctor.json);

    assert_eq!(vm.main_pid(SUPERVISOR), Some(supervisor), "neither its watchdog nor its memory ended it");
    let group = format!("/sys/fs/cgroup/system.slice/{SUPERVISOR}");
    let helpers = vm.sh(&format!(
        "cat {group}/cgroup.procs; grep -w throttled_usec {group}/cpu.stat; cat {group}/memory.peak || true"
    ));
    println!("processes, time held back, peak of memory: {}", helpers.text().replace('\n', ", "));
    vm.wait_for("no helper left", product::SOON, || {
        let all = vm.sh(&format!("cat {group}/cgroup.procs")).text();
        (all == supervisor.to_string()).then_some(()).ok_or(all)
    });
    // What systemd leaves lying it picks up, slowly.
    let story = VmStory::begin(&vm);
    let pid = product::agent_works(&vm);
    vm.signal(pid, "TERM");
    let told = story.closed(CODE);
    assert_eq!(told.ending(), Some("healed"), "{told}");
    // systemd's answers may come after their deadlines, or only after the action's; then it is tried again, and done
    // once.
    assert!(told.actions().iter().all(|action| matches!(*action, "agent.start" | "agent.restart")), "{told}");
    let outcomes = told.of("outcome");
    let done = outcomes.iter().filter(|outcome| matches!(outcome["result"].as_str(), Some("done" | "unknown")));
    assert_eq!(done.count(), 1, "{told}");
    product::another_agent_works(&vm, pid);
    assert_eq!(vm.main_pid(SUPERVISOR), Some(supervisor), "neither its watchdog nor its memory ended it");
    squeeze(&vm, SUPERVISOR, "MemoryMax=infinity CPUQuota=");
    product::healthy(&vm);
}

#[test]
fn a_starved_agent_is_named_and_left_alive() {
    let vm = product::shared();
    let story = VmStory::begin(&vm);
    let pid = product::agent_works(&vm);
    // Its group's time goes to another process of it, so its heartbeat is late though it is well.
    vm.sh(&format!(
        "systemctl set-property --runtime {AGENT} CPUQuota=1%
        setsid sh -c 'echo $$ >/sys/fs/cgroup/system.slice/{AGENT}/cgroup.procs; exec perl -e \"1 while 1\"' >/dev/null 2>&1 &
        setsid sh -c 'echo $$ >/sys/fs/cgroup/system.slice/{AGENT}/cgroup.procs; exec perl -e \"1 while 1\"' >/dev/null 2>&1 &
        sleep 1"
    ))
    .ok();
    let answer = product::doctor_says(&vm, "starvation by its name", |answer| {
        answer.cause(CODE).is_some_and(|cause| cause.to_string().contains("quota"))
    });
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!(cause["severity"], "warn", "{cause}");
    story.stays_without("its life", SILENCE, |record| record["kind"] != "started");
    assert_eq!(vm.main_pid(AGENT), Some(pid));
    vm.sh(&format!(
        "for one in $(cat /sys/fs/cgroup/system.slice/{AGENT}/cgroup.procs); do [ $one = {pid} ] || kill -KILL $one; done
        systemctl set-property --runtime {AGENT} CPUQuota="
    ))
    .ok();
    assert_eq!(product::agent_works(&vm), pid);
    product::healthy(&vm);
}

fn squeeze(vm: &Vm, unit: &str, properties: &str) {
    vm.sh(&format!("systemctl set-property --runtime {unit} {properties}")).ok();
}
