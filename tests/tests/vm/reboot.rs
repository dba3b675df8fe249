//! A real reboot: what was raised stays raised, what was paid stays paid, a pause holds, and undo still leads back.

use wbd_tests::vm::product::{self, VmStory};

use crate::site::{self, LOW, Limit};

const CODE: &str = "WBD-5404";

#[test]
fn limits_debits_pauses_incidents_and_undo_outlive_a_reboot() {
    let vm = product::shared();
    // Something paid.
    let story = VmStory::begin(&vm);
    vm.signal(product::agent_works(&vm), "TERM");
    assert_eq!(story.closed("WBD-6007").ending(), Some("healed"));
    // Something raised.
    site::make(&vm);
    let story = VmStory::begin(&vm);
    site::lower(&vm);
    let raised = story.closed(CODE);
    assert_eq!(raised.ending(), Some("healed"), "{raised}");
    let high = Limit::of(&vm);
    assert!(high.value > LOW && high.kept() == Some(high.value), "{high:?}");
    product::healthy(&vm);
    // Something paused and open: more folders than the raised limit has room for.
    vm.run(["/usr/bin/wbdctl", "pause", "a", "change"]).ok();
    let story = VmStory::begin(&vm);
    vm.sh("i=0; while [ $((i += 1)) -le 200 ]; do echo /srv/shop/1/$i; done | xargs mkdir -p; wbdctl agent reload")
        .ok();
    let opened = story.wait_for("an open incident", |record| record["kind"] == "opened" && record["code"] == CODE);
    story.wait_for("a refusal", |record| record["kind"] == "refused" && record["incident"] == opened["incident"]);
    let before = product::wbdctl(&vm, ["status"]).json;

    let boot = vm.boot_id();
    vm.reboot();
    assert_ne!(vm.boot_id(), boot);
    let after = product::status_is(&vm, "the supervisor", |_| true);
    for key in ["hold", "budget_left_hour", "budget_left_day", "suspended"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert!(after["hold"].as_str().is_some_and(|hold| hold.contains("a change")), "{after}");
    let open: Vec<_> = after["open"].as_array().into_iter().flatten().map(|row| format!("I{}", row["id"])).collect();
    assert_eq!(open, [opened["incident"].as_str().expect("a name")], "{after}");
    assert_eq!(Limit::of(&vm), high, "the drop-in holds, and nothing else was done");
    let verified = product::wbdctl(&vm, ["ledger", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.json);

    // The way back leads past the reboot: first what comes now, then what was before it.
    vm.run(["/usr/bin/wbdctl", "resume", "--no-wait"]).ok();
    let more = story.closed(CODE);
    assert_eq!(more.ending(), Some("healed"), "{more}");
    let higher = Limit::of(&vm);
    assert!(higher.value > high.value && higher.kept() == Some(higher.value), "{higher:?}");
    for (told, expected) in [(&more, &high), (&raised, &Limit { value: LOW, dropin: None })] {
        // The last: one that could not be proved in time was taken back.
        let intents = told.of("intent");
        let set = intents.iter().rfind(|intent| intent["action"] == "sysctl.set").expect("a raise");
        vm.run(["/usr/bin/wbdctl", "undo", set["action_id"].as_str().expect("a name")]).ok();
        assert_eq!(Limit::of(&vm), *expected);
    }
    site::forget(&vm);
}
