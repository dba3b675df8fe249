//! Healthy hosts, each for minutes: nothing is found that is not true, nothing is opened and nothing is done.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use wbd_tests::deadline::stays_until;
use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::places;
use wbd_tests::product::{self, SUPERVISOR};
use wbd_tests::service::{Manner, Service};
use wbd_tests::story::Story;

use crate::site::{self, ctl};

/// How long each host is left to itself; `tests/run long` has more time.
const QUIET: [Duration; 2] = [Duration::from_secs(120), Duration::from_secs(600)];
/// Where the names lead that dnsmasq answers.
const PLACE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// The resolver of the host; the release has its program without a unit.
const DNSMASQ: &str = "[Service]
ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --no-resolv --no-hosts \
--bind-interfaces --listen-address=127.0.0.1 --address=/#/127.0.0.9
[Install]
WantedBy=multi-user.target
";
/// A container as far as a host's agent sees one: processes, mounts, names and network of its own.
const CONTAIN: [&str; 7] = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--mount", "--uts", "--net"];
/// What the containers run: the same programs as their host, from the same files.
const INMATES: &str = "mount -t tmpfs tmpfs /run && mkdir /run/php && ip link set lo up && \
{ php-fpm8.2 --nodaemonize & dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --no-resolv --pid-file & \
exec nginx -g 'daemon off;'; }";
/// Web server and agent are installed anew, restarted and reloaded, over and over.
const UPGRADES: &str = "while :; do
dpkg --force-confold -i /srv/debs/*.deb; sleep 5
systemctl restart nginx php8.2-fpm; sleep 5
dpkg -i /root/wbd_*.deb; sleep 15
done";

fn span() -> Duration {
    QUIET[usize::from(std::env::var_os("WBD_LONG").is_some())]
}

/// A site that is a target, its resolver, and a product of another vendor that reaches its servers.
fn serve(host: &Host) -> [Service; 2] {
    // Of this host's own address only: the endpoints' is another one.
    let listen = "s/listen 80 /listen 127.0.0.1:80 /; s/listen \\[::\\]:80 /listen [::1]:80 /";
    host.run(["/usr/bin/sed", "-i", listen, "/etc/nginx/sites-available/default"]).ok();
    site::make(host, 20);
    host.write("/etc/systemd/system/dnsmasq.service", DNSMASQ.as_bytes());
    host.run(["/usr/bin/systemctl", "enable", "--now", "dnsmasq.service", "nginx.service", "php8.2-fpm.service"]).ok();
    host.write("/etc/resolv.conf", b"nameserver 127.0.0.1\n");
    host.run(["/usr/bin/mkdir", "-p", "/usr/local/aegis/aegis_client"]).ok();
    let services = [80, 443].map(|port| Service::start(host, SocketAddr::from((PLACE, port)), Manner::Open));
    product::configure(host, "public: \"yes\"\n");
    site::add(host).ok();
    ctl(host, &["agent", "activate"]).ok();
    product::doctor_says(host, "health", |answer| answer.code == 0);
    services
}

/// Whether dpkg works, or did when doctor looked: it was asked just before.
fn packages_change(host: &Host) -> bool {
    let recent = host.run(["/usr/bin/find", "/var/lib/dpkg/status", "/var/lib/dpkg/lock", "-newermt", "-10 seconds"]);
    host.run(["/usr/bin/pgrep", "-x", "dpkg"]).code == Some(0) || !recent.text().is_empty()
}

/// As shipped, for the whole span: `may_say` takes doctor's answers, and the ledger tells of nothing.
#[track_caller]
fn stays_quiet(host: &Host, may_say: impl Fn(&Answer) -> bool) {
    let story = Story::begin(host);
    let looks = || {
        let answer = product::doctor(host);
        if !may_say(&answer) {
            return Err(answer.json.to_string());
        }
        let wrong = ["opened", "intent", "outcome", "escalated"];
        let found = story.records().into_iter().find(|record| wrong.iter().any(|kind| record["kind"] == *kind));
        found.map_or(Ok(()), |record| Err(format!("{record}\nafter:\n{}", story.summary())))
    };
    stays_until("a healthy host", span(), looks, |open| product::looked(host, "WBD-6007", open));
}

#[test]
fn a_minimal_host_is_only_told_that_it_has_no_target() {
    let host = Host::boot("quiet-minimal");
    product::install(&host);
    let without = product::doctor_says(&host, "no target", Answer::is_well);
    assert!(without.code == 1 && without.cause("WBD-PROTECTION").is_some(), "{}", without.json);
    stays_quiet(&host, Answer::is_well);
    // It uses wbd for other agents only, and says so once.
    product::configure(&host, "agent: {expected: false}\n");
    product::doctor_says(&host, "health", |answer| answer.code == 0);
}

#[test]
fn a_web_server_beside_three_containers_that_run_the_same_programs_is_well() {
    let host = Host::boot("quiet-containers");
    product::install(&host);
    let _services = serve(&host);
    for container in ["one", "two", "three"] {
        let unit = format!("--unit=container-{container}.service");
        let run = ["/usr/bin/systemd-run", "--quiet", &unit];
        host.run(run.into_iter().chain(CONTAIN).chain(["/usr/bin/bash", "-c", INMATES])).ok();
    }
    host.wait_for("the containers' servers", product::SOON, || {
        let masters = host.run(["/usr/bin/pgrep", "-c", "-f", "nginx: master"]).text();
        if masters.parse::<u32>().is_ok_and(|masters| masters >= 4) { Ok(()) } else { Err(masters) }
    });
    stays_quiet(&host, |answer| answer.code == 0);
}

#[test]
fn while_packages_are_installed_and_servers_restarted_nothing_untrue_is_told_and_nothing_done() {
    let host = Host::boot("quiet-upgrades");
    product::install(&host);
    let _services = serve(&host);
    let deb = places::deb();
    assert!(deb.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wbd_")), "{}", deb.display());
    host.run(["/usr/bin/systemd-run", "--quiet", "--unit=upgrades.service", "/usr/bin/bash", "-c", UPGRADES]).ok();
    // While the package is being installed, it is true that the supervisor does not run or that the old agent still does.
    let may_say = |answer: &Answer| {
        let of_package =
            |cause: &serde_json::Value| cause["code"] == "WBD-SUPERVISOR" || cause["code"] == "WBD-VERSION";
        answer.list("causes").iter().all(of_package) && (answer.code == 0 || packages_change(&host))
    };
    stays_quiet(&host, may_say);
    assert_eq!(host.unit("upgrades.service", "ActiveState"), "active", "the packages were installed to the end");
    host.run(["/usr/bin/systemctl", "stop", "upgrades.service"]).ok();
    host.run(["/usr/bin/dpkg", "--configure", "-a"]).ok();
    host.run(["/usr/bin/systemctl", "start", "nginx.service", SUPERVISOR, product::AGENT]).ok();
    product::doctor_says(&host, "health", |answer| answer.code == 0);
}
