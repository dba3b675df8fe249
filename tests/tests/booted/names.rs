//! Whether a name resolves is what the host's own resolver says: each host file is tried with `getent`, and doctor and the
//! supervisor say the same (NET-DNS, NET-NAME).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, ROOMY};
use wbd_tests::resolver::{self, Resolver};
use wbd_tests::service::{Manner, Service};
use wbd_tests::story::Story;

const NAME: &str = "collector.example.test";
const PLACE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const PROFILE: &str = "/etc/wbd/playbooks.d/shipper.yaml";
const CONF: &str = "/etc/resolv.conf";
/// Knows the name, and says so by the full name only.
const KNOWS: &str = "knows.service";
/// Denies all.
const DENIES: &str = "denies.service";

/// A host with a product that needs one name, a resolver on 127.0.0.1 that knows it and one on 127.0.0.2 that does not.
struct Scene<'a> {
    host: &'a Host,
    _service: Service,
}

impl<'a> Scene<'a> {
    fn begin(host: &'a Host) -> Self {
        let program = "/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --no-resolv --no-hosts \
                       --bind-interfaces --local=/test/";
        let units = [
            (KNOWS, format!("--listen-address=127.0.0.1 --address=/{NAME}/{PLACE}")),
            (DENIES, "--listen-address=127.0.0.2".to_owned()),
        ];
        for (unit, args) in units {
            let text = format!("[Service]\nExecStart={program} {args}\n");
            host.write(&format!("/etc/systemd/system/{unit}"), text.as_bytes());
            host.run(["/usr/bin/systemctl", "start", unit]).ok();
        }
        let service = Service::start(host, SocketAddr::from((PLACE, 8443)), Manner::Open);
        let scene = Self { host, _service: service };
        scene.needs(NAME);
        scene
    }

    /// The product's one endpoint has this name.
    fn needs(&self, name: &str) {
        let text = format!(
            "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: shipper}}\nspec:\n  present: {{any: [{{file: \
             /etc/hostname}}]}}\n  endpoints: [{{host: {name}, ports: [8443]}}]\n"
        );
        self.host.write(PROFILE, text.as_bytes());
        product::configure(self.host, ROOMY);
    }

    fn conf(&self, text: &[u8]) {
        self.host.run(["/usr/bin/rm", "-f", CONF]).ok();
        self.host.write(CONF, text);
    }

    /// Programs get an address, as `getent` does.
    fn resolves(&self, name: &str) -> bool {
        self.host.run(["/usr/bin/getent", "ahosts", name]).code == Some(0)
    }

    /// Ten looks say the same, and what they say of this code.
    #[track_caller]
    fn says(&self, code: &str) -> (Answer, String, String) {
        let word = |answer: &Answer, key: &str| answer.checks(code)[0][key].as_str().unwrap_or_default().to_owned();
        let answer = product::doctor(self.host);
        let said = (word(&answer, "verdict"), word(&answer, "reason"));
        for _ in 0..9 {
            let again = product::doctor(self.host);
            assert_eq!((word(&again, "verdict"), word(&again, "reason")), said, "{}", again.json);
        }
        (answer, said.0, said.1)
    }

    fn end(self) {
        let host = self.host;
        self.conf(b"");
        host.run(["/usr/bin/rm", PROFILE]).ok();
        for unit in [KNOWS, DENIES] {
            host.run(["/usr/bin/systemctl", "stop", unit]).ok();
            host.run(["/usr/bin/rm", &format!("/etc/systemd/system/{unit}")]).ok();
        }
        host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
        product::configure(host, ROOMY);
        product::healthy(host);
    }
}

#[test]
fn doctor_says_of_a_name_what_the_hosts_resolver_says_and_says_it_every_time() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    for (conf, expected) in [
        (&b"nameserver 127.0.0.1\n"[..], ("pass", "")),
        (b"nameserver 127.0.0.1\nnameserver 127.0.0.2\n", ("warn", "case one-differs")),
        (b"nameserver 127.0.0.2\nnameserver 127.0.0.1\n", ("fail", "case first-denies")),
        (b"nameserver 127.0.0.2\n", ("fail", "case nxdomain")),
        (b"#empty\n", ("pass", "")),
        (b"\xef\xbb\xbfnameserver 127.0.0.2\n", ("pass", "")),
        (b"  nameserver 127.0.0.2\n", ("pass", "")),
        (
            b"nameserver 127.0.0.3\nnameserver 127.0.0.4\nnameserver 127.0.0.5\nnameserver 127.0.0.1\n",
            ("fail", "case refused"),
        ),
    ] {
        scene.conf(conf);
        let shown = String::from_utf8_lossy(conf);
        assert_eq!(scene.resolves(NAME), expected.0 != "fail", "{shown}");
        let (answer, verdict, reason) = scene.says("NET-DNS");
        assert_eq!((verdict.as_str(), reason.as_str()), expected, "{shown}: {}", answer.json);
    }
    scene.end();
}

#[test]
fn no_resolv_conf_and_a_link_that_leads_nowhere_are_no_failure_where_a_resolver_listens_here() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let story = Story::begin(&host).about("NET-DNS");
    host.run(["/usr/bin/rm", CONF]).ok();
    for link in [false, true] {
        if link {
            host.run(["/usr/bin/ln", "-s", "/run/systemd/resolve/stub-resolv.conf", CONF]).ok();
        }
        assert!(scene.resolves(NAME));
        let (answer, verdict, _) = scene.says("NET-DNS");
        assert_eq!((verdict.as_str(), answer.is_well()), ("pass", true), "{}", answer.json);
    }
    story.stays_quiet("names that resolve", Duration::from_secs(20));
    // Twin: nobody listens any more.
    host.run(["/usr/bin/systemctl", "stop", KNOWS]).ok();
    assert!(!scene.resolves(NAME));
    let (answer, verdict, reason) = scene.says("NET-DNS");
    assert_eq!((verdict.as_str(), reason.as_str()), ("fail", "case unconfigured"), "{}", answer.json);
    scene.end();
}

#[test]
fn a_short_name_is_completed_as_search_says() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    scene.needs("collector");
    scene.conf(b"nameserver 127.0.0.1\nsearch example.test\n");
    assert!(scene.resolves("collector"));
    let (answer, verdict, _) = scene.says("NET-DNS");
    assert_eq!((verdict.as_str(), answer.is_well()), ("pass", true), "{}", answer.json);
    // Twin: without the list the name is nobody's.
    scene.conf(b"nameserver 127.0.0.1\n");
    assert!(!scene.resolves("collector"));
    let (answer, verdict, _) = scene.says("NET-DNS");
    assert_eq!(verdict, "fail", "{}", answer.json);
    scene.end();
}

#[test]
fn a_name_of_the_hosts_file_is_well_without_any_server_and_a_broken_nsswitch_is_told() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let hosts = host.read("/etc/hosts").unwrap_or_default();
    let nsswitch = host.read("/etc/nsswitch.conf").unwrap_or_default();
    scene.conf(b"nameserver 127.0.0.2\n");
    host.write("/etc/hosts", format!("{}{PLACE} {NAME}\n", String::from_utf8_lossy(&hosts)).as_bytes());
    assert!(scene.resolves(NAME));
    let (answer, verdict, _) = scene.says("NET-DNS");
    assert_eq!(verdict, "pass", "{}", answer.json);
    host.write("/etc/hosts", &hosts);
    // The servers know the name, and no program asks them.
    scene.conf(b"nameserver 127.0.0.1\n");
    host.write("/etc/nsswitch.conf", b"hosts: files\n");
    assert!(!scene.resolves(NAME));
    let (answer, verdict, reason) = scene.says("NET-DNS");
    assert_eq!((verdict.as_str(), reason.as_str()), ("fail", "case unused"), "{}", answer.json);
    host.write("/etc/nsswitch.conf", &nsswitch);
    scene.end();
}

#[test]
fn another_valid_address_of_a_third_server_is_not_wrong() {
    let host = product::shared();
    let scene = Scene::begin(&host);
    let servers = [(71, 9), (72, 9), (73, 10)].map(|(last, leads)| {
        let manner = resolver::Manner::Address(Ipv4Addr::new(127, 0, 0, leads));
        Resolver::start(&host, SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 53)), manner)
    });
    scene.conf(b"nameserver 127.0.0.71\nnameserver 127.0.0.72\nnameserver 127.0.0.73\n");
    let (answer, verdict, _) = scene.says("NET-DNS");
    assert_eq!((verdict.as_str(), answer.is_well()), ("pass", true), "{}", answer.json);
    drop(servers);
    scene.end();
}
