//! The resolver on this host itself: failed it is started again, running and useless it waits for a person's approval
//! (AEGIS-DNS).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, ROOMY, SOON};
use wbd_tests::service::{Manner, Service};
use wbd_tests::story::Story;

use crate::site::ctl;

const CODE: &str = "AEGIS-DNS";
const UNIT: &str = "dnsmasq.service";
/// Where the names lead; only the test's own services listen there.
const PLACE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const TWIN: Duration = Duration::from_secs(12);
const HEALING: Duration = Duration::from_secs(60);

/// The release has the program in one package and the unit in another, which would start at once.
const SERVICE: &str = "[Service]
ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --no-resolv --no-hosts \
--bind-interfaces --listen-address=127.0.0.1 --address=/#/127.0.0.9
[Install]
WantedBy=multi-user.target
";

/// A host whose one name server is its own, and the product that needs names.
struct Scene<'a> {
    host: &'a Host,
    _services: [Service; 2],
}

impl<'a> Scene<'a> {
    fn begin(host: &'a Host) -> Self {
        host.run(["/usr/bin/mkdir", "-p", "/usr/local/aegis/aegis_client"]).ok();
        host.write("/etc/systemd/system/dnsmasq.service", SERVICE.as_bytes());
        host.run(["/usr/bin/systemctl", "enable", "--now", UNIT]).ok();
        host.write("/etc/resolv.conf", b"nameserver 127.0.0.1\n");
        let services = [80, 443].map(|port| Service::start(host, SocketAddr::from((PLACE, port)), Manner::Open));
        let patches = [("every: 15s", "every: 2s"), ("for: 15s", "for: 4s"), ("attempts: 3,", "attempts: 50,")];
        product::patched_playbook(host, "dns", &patches);
        product::configure(host, &format!("{ROOMY}public: \"yes\"\n"));
        let answer = product::doctor_says(host, "names that resolve", |answer| answer.cause(CODE).is_none());
        assert_eq!(answer.checks(CODE)[0]["verdict"], "pass", "{}", answer.json);
        Self { host, _services: services }
    }

    fn end(self) {
        let host = self.host;
        host.run(["/usr/bin/rm", "-r", "/usr/local/aegis", "/etc/wbd/playbooks.d/dns.yaml"]).ok();
        product::configure(host, ROOMY);
        host.run(["/usr/bin/systemctl", "disable", "--now", UNIT]).ok();
        host.run(["/usr/bin/rm", "/etc/systemd/system/dnsmasq.service"]).ok();
        host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
        host.write("/etc/resolv.conf", b"");
        product::healthy(host);
    }
}

#[test]
fn a_resolver_of_this_host_that_failed_is_started_again() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let story = Story::begin(&host).about(CODE);
    let pid = host.main_pid(UNIT).expect("a resolver");
    host.signal(pid, "KILL");
    let told = story.healed(CODE, HEALING);
    assert_eq!(told.actions(), ["unit.restart"], "{told}");
    assert!(told.last("intent").to_string().contains(UNIT), "{told}");
    assert!(host.main_pid(UNIT).is_some_and(|now| now != pid), "{told}");
    for consequence in ["AEGIS-NET", "AEGIS-TCP"] {
        assert!(story.incidents(consequence).is_empty(), "{}", story.summary());
    }
    product::doctor_says(&host, "nothing wrong", Answer::is_well);
    scene.end();
}

#[test]
fn a_resolver_of_this_host_that_runs_and_is_silent_waits_for_a_persons_approval() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let story = Story::begin(&host).about(CODE);
    let pid = host.main_pid(UNIT).expect("a resolver");
    host.signal(pid, "STOP");
    let opened = story.wait_for("the incident", SOON, |record| record["kind"] == "opened" && record["code"] == CODE);
    story.stays_undone("a resolver that runs", TWIN);
    assert_eq!(host.main_pid(UNIT), Some(pid));
    let incident = opened["incident"].as_str().expect("an incident's name");
    ctl(&host, &["approve", "--yes", incident]).ok();
    let told = story.healed(CODE, HEALING);
    assert_eq!(told.actions(), ["unit.restart"], "{told}");
    assert!(host.main_pid(UNIT).is_some_and(|now| now != pid), "{told}");
    scene.end();
}

#[test]
fn a_resolver_of_this_host_that_was_stopped_is_not_started_unasked() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let story = Story::begin(&host).about(CODE);
    host.run(["/usr/bin/systemctl", "stop", UNIT]).ok();
    story.wait_for("the incident", SOON, |record| record["kind"] == "opened" && record["code"] == CODE);
    story.stays_undone("an administrator's stop", TWIN);
    assert_eq!(host.main_pid(UNIT), None);
    let answer = product::doctor(&host);
    assert_eq!(answer.cause(CODE).map(|cause| &cause["severity"]), Some(&"fail".into()), "{}", answer.json);
    host.run(["/usr/bin/systemctl", "start", UNIT]).ok();
    let told = story.closed(CODE, HEALING);
    assert!(told.actions().is_empty(), "{told}");
    scene.end();
}

/// Not one of those that distributions ship, and with a name that has to be escaped.
const OTHER_UNIT: &str = r"resolver@br\x2dlan.service";

#[test]
fn a_resolver_that_failed_is_started_again_whatever_its_unit_is_called() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let service = SERVICE.replace("--listen-address=127.0.0.1", "--listen-address=127.0.0.6");
    host.write("/etc/systemd/system/resolver@.service", service.as_bytes());
    host.run(["/usr/bin/systemctl", "start", OTHER_UNIT]).ok();
    host.write("/etc/resolv.conf", b"nameserver 127.0.0.6\n");
    // Seen alive by the supervisor, and kept over its end.
    let story = Story::begin(&host).about(CODE);
    host.wait_for("the supervisor's look", SOON, || product::looked(&host, CODE, Duration::from_secs(5)));
    host.run(["/usr/bin/systemctl", "restart", product::SUPERVISOR]).ok();
    product::healthy(&host);
    let pid = host.main_pid(OTHER_UNIT).expect("a resolver");
    host.signal(pid, "KILL");
    let told = story.healed(CODE, HEALING);
    assert_eq!(told.actions(), ["unit.restart"], "{told}");
    assert!(host.main_pid(OTHER_UNIT).is_some_and(|now| now != pid), "{told}");
    host.run(["/usr/bin/systemctl", "stop", OTHER_UNIT]).ok();
    host.run(["/usr/bin/rm", "/etc/systemd/system/resolver@.service"]).ok();
    scene.end();
}

#[test]
fn the_address_of_a_resolver_that_this_host_does_not_have_is_told_and_no_unit_is_offered() {
    let host = product::shared();
    assert_eq!(host.unit("systemd-resolved.service", "LoadState"), "not-found");
    let scene = Scene::begin(&host);
    let story = Story::begin(&host).about(CODE);
    host.write("/etc/resolv.conf", b"nameserver 127.0.0.53\n");
    let answer = product::doctor(&host);
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("no cause: {}", answer.json));
    assert_eq!(answer.checks(CODE)[0]["reason"], "case local-missing", "{}", answer.json);
    assert!(cause["fix"].is_null(), "{cause}");
    story.wait_for("the incident", SOON, |record| record["kind"] == "opened" && record["code"] == CODE);
    story.stays_undone("a unit that does not exist", TWIN);
    scene.end();
}
