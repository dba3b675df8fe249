//! `unit.restart` on a host: a service that the profile names is restarted with what needs it, and no other one.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::product::{self, ROOMY};
use wbd_tests::story::Story;

const CODE: &str = "SHOP-1";
const HEALING: Duration = Duration::from_secs(60);
const PLAYBOOK: &str = "/etc/wbd/playbooks.d/shop.yaml";

/// Each start of the shop makes its two sides agree; the till cannot be without the shop.
const SHOP: &str =
    "[Service]\nExecStartPre=/usr/bin/cp /etc/shop/right /etc/shop/left\nExecStart=/usr/bin/sleep infinity\n";
const TILL: &str = "[Unit]\nRequires=shop.service\nAfter=shop.service\n[Service]\nExecStart=/usr/bin/sleep infinity\n";

const FILE: &str = "apiVersion: wbd/v1
kind: Profile
metadata: {name: shop, source: \"a test\"}
spec:
  present: {any: [{file: /etc/shop/right}]}
  unit: shop.service
  version: {shopleft: {file: /etc/shop/left}, shopright: {file: /etc/shop/right}}
---
kind: Playbook
metadata: {name: shop-sides, code: SHOP-1, source: \"a test\"}
spec:
  applies: {has: [unit, version.shopleft, version.shopright]}
  every: 1s
  observe:
    versions: {version.pair: {left: shopleft, right: shopright}}
  detect:
    for: 1s
    cases:
      - {id: differ, level: fail, when: \"!versions.same3\"}
  rungs:
    - id: restart
      steps:
        - unit.restart: {unit: UNIT}
  verify: {pass: \"versions.same3\", within: 20s, hold: 1s}
  text:
    en:
      differ: {title: \"The sides differ\", cause: \"{versions.left} is not {versions.right}\", guide: [\"restart the shop\"]}
";

fn begin(host: &Host) {
    host.write("/etc/shop/right", b"1.0.0\n");
    host.write("/etc/systemd/system/shop.service", SHOP.as_bytes());
    host.write("/etc/systemd/system/till.service", TILL.as_bytes());
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "start", "till.service"]).ok();
    product::configure(host, ROOMY);
}

fn end(host: &Host) {
    host.run(["/usr/bin/systemctl", "stop", "till.service", "shop.service"]).ok();
    let files = ["/etc/systemd/system/shop.service", "/etc/systemd/system/till.service", PLAYBOOK, "/etc/shop"];
    host.run(["/usr/bin/rm", "-rf"].iter().chain(&files).copied()).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    product::reload(host).ok();
    product::healthy(host);
}

#[test]
fn a_service_that_the_profile_names_is_restarted_and_what_needs_it_is_shown() {
    let host = product::shared();
    begin(&host);
    host.write(PLAYBOOK, FILE.replace("UNIT", "{cel: profile.unit}").as_bytes());
    product::reload(&host).ok();
    let pids = ["shop.service", "till.service"].map(|unit| host.main_pid(unit).expect("it was started"));
    let story = Story::begin(&host).about(CODE);
    host.write("/etc/shop/left", b"2.0.0\n");
    let told = story.healed(CODE, HEALING);
    assert_eq!(told.actions(), ["unit.restart"], "{told}");
    let intent = told.last("intent").to_string();
    assert!(intent.contains("till.service") && intent.contains("restarted with shop.service"), "{intent}");
    for (unit, before) in ["shop.service", "till.service"].into_iter().zip(pids) {
        assert!(host.main_pid(unit).is_some_and(|now| now != before), "{unit}: {told}");
    }
    end(&host);
}

#[test]
fn a_unit_that_nothing_names_is_a_load_error_and_its_service_goes_on() {
    let host = product::shared();
    begin(&host);
    let pid = host.main_pid("till.service").expect("it was started");
    for (unit, words) in [
        ("till.service", "names \"till.service\""),
        ("dbus.service", "carries the whole host"),
        ("wbd-agent.service", "agent.restart"),
    ] {
        host.write(PLAYBOOK, FILE.replace("UNIT", unit).as_bytes());
        let lint = host.run(["/usr/bin/wbdctl", "playbook", "lint", PLAYBOOK]);
        let said = lint.exits(78).report();
        let said: Vec<&str> = said.split_whitespace().collect();
        assert!(said.join(" ").contains(words), "{unit}: {said:?}");
    }
    assert_eq!(host.main_pid("till.service"), Some(pid));
    end(&host);
}
