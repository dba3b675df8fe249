//! Name servers and services out of reach in every documented way, each told by its own name (AEGIS-DNS, -NET, -TCP).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, ROOMY, SOON};
use wbd_tests::resolver::{Manner, Resolver};
use wbd_tests::service::{self, Service};
use wbd_tests::story::Story;

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 71);
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 72);
/// Where the names lead; nobody but a test's own services listens there.
const PLACE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// No route leads there.
const FAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
/// Lies behind an interface on which nobody answers.
const MUTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const GOOD: Manner = Manner::Address(PLACE);

/// A host with the product whose endpoints are looked at, on the public side.
struct Scene<'a>(&'a Host);

impl<'a> Scene<'a> {
    fn begin(host: &'a Host) -> Self {
        host.run(["/usr/bin/mkdir", "-p", "/usr/local/aegis/aegis_client"]).ok();
        let scene = Self(host);
        scene.resolve_by(&[FIRST]);
        product::configure(host, &format!("{ROOMY}public: \"yes\"\n"));
        // What another scenario left handed over would not be opened anew.
        host.run(["/usr/bin/wbdctl", "resume", "--no-wait"]).ok();
        scene
    }

    fn resolve_by(&self, servers: &[Ipv4Addr]) {
        let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        self.0.write("/etc/resolv.conf", lines.as_bytes());
    }

    fn resolver(&self, at: Ipv4Addr, manner: Manner) -> Resolver {
        Resolver::start(self.0, SocketAddr::from((at, 53)), manner)
    }

    fn services(&self, manner: service::Manner) -> [Service; 2] {
        [80, 443].map(|port| Service::start(self.0, SocketAddr::from((PLACE, port)), manner))
    }

    /// One look; the only cause is `code` by `case`.
    #[track_caller]
    fn tells(&self, code: &str, case: &str) -> (Answer, Value) {
        let answer = product::doctor(self.0);
        assert_eq!(answer.wrong().len(), 1, "{}", answer.json);
        let cause = answer.cause(code).unwrap_or_else(|| panic!("no {code}: {}", answer.json)).clone();
        let reason = answer.checks(code)[0]["reason"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reason, format!("case {case}"), "{}", answer.json);
        (answer, cause)
    }

    fn end(self) {
        self.0.run(["/usr/bin/rm", "-r", "/usr/local/aegis"]).ok();
        self.resolve_by(&[]);
        product::configure(self.0, ROOMY);
        product::healthy(self.0);
    }
}

#[test]
fn each_way_a_name_server_fails_has_its_own_name_and_explains_the_rest() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let _services = scene.services(service::Manner::Open);
    let ways = [
        ("refused", None),
        ("refused", Some(Manner::Code(5))),
        ("silent", Some(Manner::Silent)),
        ("servfail", Some(Manner::Code(2))),
        ("nxdomain", Some(Manner::Code(3))),
        ("wrong", Some(Manner::Lie(PLACE))),
    ];
    for (word, manner) in ways {
        let _resolver = manner.map(|manner| scene.resolver(FIRST, manner));
        let (answer, cause) = scene.tells("AEGIS-DNS", word);
        assert_eq!((answer.code, &cause["severity"]), (2, &"fail".into()), "{cause}");
        let claim = cause["claim"].as_str().unwrap_or_default();
        assert!(claim.contains(&format!("{FIRST}={word}")), "{claim}");
        let explains = cause["explains"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(explains.contains(&"AEGIS-NET".into()), "{manner:?}: {}", answer.json);
        for check in answer.checks("AEGIS-NET") {
            assert!(check["reason"].as_str().is_some_and(|why| why.contains("because of AEGIS-DNS")), "{check}");
        }
    }
    let _good = scene.resolver(FIRST, GOOD);
    product::doctor_says(&host, "nothing wrong", Answer::is_well);
    scene.end();
}

#[test]
fn names_that_stay_unresolved_are_handed_over_once_and_cleared() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let _services = scene.services(service::Manner::Open);
    let story = Story::begin(&host).about("AEGIS-DNS");
    let told = story.closed("AEGIS-DNS", Duration::from_secs(90));
    assert_eq!(told.ending(), Some("handed-over"), "{told}");
    assert!(told.last("escalated")["evidence"].as_array().is_some_and(|lines| lines.len() > 1), "{told}");
    story.stays_undone("a hand-over", Duration::from_secs(3));
    let _good = scene.resolver(FIRST, GOOD);
    // Two rounds of 15 s: the first look that passes, and the one by which it has passed for a while.
    story.wait_for("cleared", SOON * 3, |record| record["kind"] == "cleared" && record["code"] == "AEGIS-DNS");
    for consequence in ["AEGIS-NET", "AEGIS-TCP"] {
        assert!(story.incidents(consequence).is_empty(), "{}", story.summary());
    }
    scene.end();
}

#[test]
fn each_way_a_port_fails_has_its_own_name() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let good = scene.resolver(FIRST, GOOD);
    let (answer, _) = scene.tells("AEGIS-TCP", "refused");
    assert_eq!(answer.code, 2);
    let services = scene.services(service::Manner::Reset);
    scene.tells("AEGIS-TCP", "reset");
    drop(services);

    // The services are there again, and this host's own rules keep it from them.
    let _services = scene.services(service::Manner::Open);
    let nft = |rule: &str| {
        let script = format!("table inet site {{ chain out {{ type filter hook output priority 0; {rule}; }}\n}}\n");
        host.run_with(["/usr/sbin/nft", "-f", "-"], script.as_bytes(), SOON).ok();
    };
    for rule in
        [format!("ip daddr {PLACE} tcp dport 80 drop"), format!("ip daddr {PLACE} tcp dport 80 reject with tcp reset")]
    {
        nft(&rule);
        let (_, cause) = scene.tells("AEGIS-TCP", "local-drop");
        let claim = cause["claim"].as_str().unwrap_or_default();
        assert!(claim.contains("site") && claim.contains("80"), "the rule is named: {claim}");
        let screen = host.run(["/usr/bin/wbdctl", "doctor"]).exits(2).text();
        assert_eq!(screen.matches("FAIL").count(), 1, "one rule is one block: {screen}");
        assert!(!screen.contains("ep.") && screen.contains("a packet filter rule on this host drops"), "{screen}");
        host.run(["/usr/sbin/nft", "delete", "table", "inet", "site"]).ok();
    }
    // A rule beside the matter is not blamed, and nothing is wrong with it.
    nft(&format!("ip daddr {PLACE} tcp dport 81 drop"));
    product::doctor_says(&host, "nothing wrong", Answer::is_well);
    host.run(["/usr/sbin/nft", "delete", "table", "inet", "site"]).ok();
    drop(good);

    let far = scene.resolver(FIRST, Manner::Address(FAR));
    let (_, cause) = scene.tells("AEGIS-NET", "no-route");
    assert_eq!(cause["explains"], serde_json::json!(["AEGIS-TCP"]), "{cause}");
    drop(far);
    let _mute = scene.resolver(FIRST, Manner::Address(MUTE));
    // Frames for it go to a neighbour that is not there.
    for command in [
        "link add mute type veth peer name nobody",
        "address add 192.0.2.1/24 dev mute",
        "link set nobody up",
        "link set mute up",
        "neighbour add 192.0.2.9 lladdr 02:00:00:00:00:99 dev mute",
    ] {
        host.run(["/usr/sbin/ip"].into_iter().chain(command.split(' '))).ok();
    }
    let (_, cause) = scene.tells("AEGIS-NET", "unreachable");
    assert_eq!(cause["explains"], serde_json::json!(["AEGIS-TCP"]), "{cause}");
    host.run(["/usr/sbin/ip", "link", "delete", "mute"]).ok();
    scene.end();
}

#[test]
fn slow_but_right_and_one_dead_of_two_are_warnings() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let _services = scene.services(service::Manner::Open);
    let story = Story::begin(&host).about("AEGIS-DNS");
    let slow = scene.resolver(FIRST, Manner::Slow(PLACE, Duration::from_millis(1_100)));
    let (answer, cause) = scene.tells("AEGIS-DNS", "slow");
    assert_eq!((answer.code, &cause["severity"]), (1, &"warn".into()), "{cause}");
    drop(slow);
    scene.resolve_by(&[FIRST, SECOND]);
    let _second = scene.resolver(SECOND, GOOD);
    let (answer, cause) = scene.tells("AEGIS-DNS", "one-dead");
    assert_eq!((answer.code, &cause["severity"]), (1, &"warn".into()), "{cause}");
    // Longer than a failure is held, and than the next look after that.
    story.stays_quiet("a warning", Duration::from_secs(20));
    scene.end();
}

#[test]
fn a_link_local_name_server_is_asked_through_its_interface() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let _services = scene.services(service::Manner::Open);
    let server = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x53);
    let commands = [
        "link add near type veth peer name router",
        "link set near up",
        "link set router up",
        "address add fe80::1/64 dev near nodad",
        "address add fe80::53/64 dev router nodad",
    ];
    for command in commands {
        host.run(["/usr/sbin/ip"].into_iter().chain(command.split(' '))).ok();
    }
    let index = host.run(["/usr/bin/cat", "/sys/class/net/router/ifindex"]).ok().text();
    let index = index.trim().parse().expect("the number of an interface");
    let _resolver = Resolver::start(&host, SocketAddrV6::new(server, 53, 0, index).into(), GOOD);
    let configured = |zone: &str| {
        host.write("/etc/resolv.conf", format!("nameserver fe80::53%{zone}\n").as_bytes());
    };
    configured("near");
    let answer = product::doctor_says(&host, "nothing wrong", Answer::is_well);
    assert_eq!(answer.checks("AEGIS-DNS")[0]["verdict"], "pass", "{}", answer.json);
    assert!(answer.checks("AEGIS-TCP").iter().all(|check| check["verdict"] == "pass"), "{}", answer.json);
    // Another interface does not lead there, and one that is not there leads nowhere.
    for zone in ["lo", "nowhere"] {
        configured(zone);
        let (_, cause) = scene.tells("AEGIS-DNS", "silent");
        let claim = cause["claim"].as_str().unwrap_or_default();
        assert!(claim.contains(&format!("fe80::53%{zone}=silent(no route)")), "{claim}");
    }
    host.run(["/usr/sbin/ip", "link", "delete", "near"]).ok();
    scene.end();
}
