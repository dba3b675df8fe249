//! The supervisor itself ends, for want of memory or at systemd's watchdog: what it knew it knows again.

use serde_json::{Value, json};
use wbd_tests::product::{ROOMY, SUPERVISOR};
use wbd_tests::vm::Vm;
use wbd_tests::vm::product::{self, VmStory};

const CODE: &str = "WBD-6007";
const CGROUP: &str = "/sys/fs/cgroup/system.slice/wbd-supervisord.service";

#[test]
fn after_an_oom_kill_and_a_watchdog_kill_everything_is_as_before() {
    let vm = product::shared();
    // Something paid, something paused, something open.
    let story = VmStory::begin(&vm);
    vm.signal(product::agent_works(&vm), "TERM");
    assert_eq!(story.closed(CODE).ending(), Some("healed"));
    product::healthy(&vm);
    vm.run(["/usr/bin/wbdctl", "pause", "a", "change"]).ok();
    let story = VmStory::begin(&vm);
    vm.signal(product::agent_works(&vm), "TERM");
    story.wait_for("a refusal", |record| record["kind"] == "refused");
    let before = known(&product::wbdctl(&vm, ["status"]).json);
    assert_eq!(before["open"].as_array().map(Vec::len), Some(1), "{before}");

    // Less than it has; systemd's next start makes the group anew, without the limit.
    let pid = vm.main_pid(SUPERVISOR).expect("a supervisor");
    vm.sh(&format!("echo 1M >{CGROUP}/memory.max")).ok();
    another_supervisor(&vm, pid);
    assert_eq!(known(&product::wbdctl(&vm, ["status"]).json), before, "after the kernel's kill");

    let pid = vm.main_pid(SUPERVISOR).expect("a supervisor");
    vm.signal(pid, "STOP");
    another_supervisor(&vm, pid);
    assert_eq!(known(&product::wbdctl(&vm, ["status"]).json), before, "after the watchdog's kill");
    assert!(story.of("intent").is_empty(), "{:?}", story.records());

    vm.run(["/usr/bin/wbdctl", "resume", "--no-wait"]).ok();
    let told = story.closed(CODE);
    assert_eq!(told.ending(), Some("healed"), "{told}");
    product::configure(&vm, ROOMY);
    product::healthy(&vm);
}

#[track_caller]
fn another_supervisor(vm: &Vm, before: u32) {
    vm.wait_for("another supervisor", product::SOON, || match vm.main_pid(SUPERVISOR) {
        Some(pid) if pid != before => Ok(()),
        other => Err(format!("{other:?}")),
    });
    product::status_is(vm, "its answer", |_| true);
}

/// What must outlive the process.
fn known(status: &Value) -> Value {
    let open = status["open"].as_array().into_iter().flatten();
    let open: Vec<_> =
        open.map(|row| json!([row["id"], row["code"], row["case"], row["opened"], row["acts"]])).collect();
    let keys = ["hold", "healing", "suspended", "budget_left_hour", "budget_left_day"];
    json!({"open": open, "rest": keys.map(|key| status[key].clone())})
}
