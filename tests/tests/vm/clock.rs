//! The wall clock jumps by years, either way, by a real settimeofday: only windows go by it (I2, I13).

use std::time::Duration;

use serde_json::Value;
use wbd_tests::vm::Vm;
use wbd_tests::vm::product::{self, VmStory};

const CODE: &str = "WBD-6007";
/// Of the calendar, about.
const YEAR_S: i64 = 365 * 86_400;
/// Several looks of everything.
const QUIET: Duration = Duration::from_secs(10);
/// What doctor needs where it is slow.
const SOON: Duration = Duration::from_secs(120);
/// Doctor's exit code where something could be seen by nobody.
const UNKNOWN: i32 = 3;

#[test]
fn years_forward_and_back_change_no_budget_and_no_verdict() {
    let vm = product::shared();
    let story = VmStory::begin(&vm);
    end_agent(&vm);
    assert_eq!(story.closed(CODE).ending(), Some("healed"));
    product::healthy(&vm);
    let left = budget(&vm);
    assert!(left.0 < 1000, "{left:?}");
    let quiet = VmStory::begin(&vm);
    for years in [9, -17, 8] {
        jump(&vm, years * YEAR_S);
        assert_eq!(budget(&vm), left, "after {years} years");
        // A ledger that is a year old by the calendar is set aside, which is no act.
        quiet.stays_without(&format!("quiet after {years} years"), QUIET, |record| {
            ["opened", "intent", "escalated", "exit"].iter().any(|kind| record["kind"] == *kind)
        });
        // An emulated machine beside others may be too slow for one of its looks, and doctor says so: that is no verdict.
        let answer = vm.wait_for(&format!("a doctor that sees all after {years} years"), SOON, || {
            let answer = product::wbdctl(&vm, ["doctor"]);
            if answer.code == UNKNOWN { Err(answer.json.to_string()) } else { Ok(answer) }
        });
        assert!(answer.is_well(), "after {years} years: {}", answer.json);
    }
    // It heals as before, and what was paid stays paid.
    jump(&vm, -30 * YEAR_S);
    let story = VmStory::begin(&vm);
    end_agent(&vm);
    let told = story.closed(CODE);
    assert_eq!(told.ending(), Some("healed"), "{told}");
    // One, unless systemd was too slow for the first.
    let paid = told.actions().len() as u64;
    assert_eq!(budget(&vm), (left.0 - paid, left.1 - paid), "{told}");
    let verified = product::wbdctl(&vm, ["ledger", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.json);
    jump(&vm, 30 * YEAR_S);
    product::healthy(&vm);
}

#[test]
fn a_pause_for_a_time_is_in_force_whatever_the_wall_clock_says() {
    let vm = product::shared();
    vm.run(["/usr/bin/wbdctl", "pause", "--for", "1h", "a", "change"]).ok();
    let story = VmStory::begin(&vm);
    jump(&vm, -YEAR_S);
    end_agent(&vm);
    let refused = story.wait_for("a refusal", |record| record["kind"] == "refused");
    assert_eq!(refused["result"], "hold", "{refused}");
    let is_act = |record: &Value| record["kind"] == "intent";
    story.stays_without("the pause before its time", QUIET, is_act);
    // By the calendar its end has come.
    jump(&vm, YEAR_S + 7_200);
    story.stays_without("the pause after a jump beyond its end", QUIET, is_act);
    product::status_is(&vm, "the pause", |status| status["hold"] != "");
    vm.run(["/usr/bin/wbdctl", "resume", "--no-wait"]).ok();
    assert_eq!(story.closed(CODE).ending(), Some("healed"));
    jump(&vm, -7_200);
    product::healthy(&vm);
}

/// SIGTERM, which systemd takes for success, so that the start is left to wbd.
fn end_agent(vm: &Vm) {
    vm.signal(product::agent_works(vm), "TERM");
}

fn jump(vm: &Vm, by_s: i64) {
    vm.sh(&format!("date -s @$(($(date +%s) + {by_s}))")).ok();
}

fn budget(vm: &Vm) -> (u64, u64) {
    let status = product::wbdctl(vm, ["status"]).json;
    let left = |key: &str| Value::as_u64(&status[key]).unwrap_or_else(|| panic!("no {key} in {status}"));
    (left("budget_left_hour"), left("budget_left_day"))
}
