//! Tests of asking nft, of several places at once, and of the way that a connection would take; no rule is judged here.
use std::process::Command;

use super::*;
use crate::testing::{Host, write_script};

/// A host whose nft says this of its rules.
fn host_with(rules: &str) -> Host {
    nft_that(&format!("[ \"$*\" = '-j list ruleset' ] && echo '{rules}'"))
}

/// A host with a program in nft's place.
fn nft_that(does: &str) -> Host {
    let host = Host::new();
    let script = host.file("nft", "");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    write_script(&script, &format!("#!/bin/sh\n{does}\n"));
    host
}

/// Rules of the output hook: what is done to a packet to this address.
fn rules(each: &[(&str, &str)]) -> String {
    let about = r#""family":"inet","table":"t""#;
    let chain = format!(r#"{{"chain":{{{about},"name":"out","hook":"output","type":"filter","policy":"accept"}}}}"#);
    let rules = each.iter().map(|(address, verdict)| {
        let left = r#"{"payload":{"protocol":"ip","field":"daddr"}}"#;
        let fits = format!(r#"{{"match":{{"op":"==","left":{left},"right":"{address}"}}}}"#);
        format!(r#",{{"rule":{{{about},"chain":"out","handle":7,"expr":[{fits},{{"{verdict}":null}}]}}}}"#)
    });
    format!(r#"{{"nftables":[{chain}{}]}}"#, rules.collect::<String>())
}

/// What is found for these places, all of them on this host.
fn found(host: &Host, places: &[&str]) -> Result<Option<String>, String> {
    let places: Vec<SocketAddr> = places.iter().map(|place| place.parse().unwrap()).collect();
    drops_by(&host.root().join("nft"), &host.context(), &places)
}

fn not_root() -> bool {
    let not_root = !nix::unistd::geteuid().is_root();
    if not_root {
        let host = host_with(&rules(&[]));
        assert!(found(&host, &["127.0.0.1:80"]).unwrap_err().contains("run as root"));
        eprintln!("skipped: needs root");
    }
    not_root
}

#[test]
fn one_of_several_places_that_a_rule_drops_is_told_also_where_another_is_unclear() {
    if not_root() {
        return;
    }
    let (one, two, three) = ("127.0.0.1:80", "127.0.0.2:80", "127.0.0.3:80");
    let host = host_with(&rules(&[("127.0.0.1", "teleport"), ("127.0.0.2", "drop"), ("127.0.0.4", "queue")]));
    let dropped = "table inet t chain out handle 7: ip daddr 127.0.0.2 drop";
    for places in [&[two][..], &[two, three], &[three, two], &[one, two], &[two, one]] {
        assert_eq!(found(&host, places), Ok(Some(dropped.to_owned())), "{places:?}");
    }
    for places in [&[one][..], &[one, three], &[three, one], &[one, "127.0.0.4:80"]] {
        assert!(found(&host, places).unwrap_err().contains("127.0.0.1 teleport"), "{places:?}");
    }
    assert_eq!(found(&host, &[three]), Ok(None));
}

#[test]
fn no_place_asks_nobody() {
    assert_eq!(found(&Host::new(), &[]), Ok(None));
    assert_eq!(drops(&Host::new().context(), &[]), Ok(None));
}

#[test]
fn where_nft_fails_it_is_unknown() {
    if not_root() {
        return;
    }
    let place = &["127.0.0.1:80"];
    let host = nft_that("echo 'netlink: Operation not permitted' >&2; echo more >&2; exit 1");
    let error = found(&host, place).unwrap_err();
    assert_eq!(error, "cannot list the packet filter's rules: netlink: Operation not permitted");
    assert!(found(&nft_that("echo none"), place).unwrap_err().contains("cannot understand"));
    assert!(found(&Host::new(), place).unwrap_err().contains("cannot start"));
    // Twin: it says that there are none.
    assert_eq!(found(&host_with(&rules(&[])), place), Ok(None));
}

#[test]
fn the_rules_of_a_large_host_are_read_whole_and_endless_ones_are_unknown() {
    if not_root() {
        return;
    }
    let (begin, end) = (r#"{"nftables":[{"metainfo":{"version":""#, r#""}}]}"#);
    let says = |bytes: usize| {
        let fill = format!("/usr/bin/head -c {bytes} /dev/zero | /usr/bin/tr '\\0' 1");
        found(&nft_that(&format!("printf '{begin}'; {fill}; printf '{end}'")), &["127.0.0.1:80"])
    };
    assert_eq!(says(3 << 20), Ok(None));
    assert!(says(5 << 20).unwrap_err().contains("said more than 4194304 bytes"));
}

#[test]
fn rules_that_nft_does_not_show_are_unknown() {
    let host = host_with(&rules(&[]));
    let v4: IpAddr = "192.0.2.1".parse().unwrap();
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(older_tables(host.context().proc(), v4), Ok(()));
    // The kernel has the file, and no table is loaded.
    host.file("proc/net/ip_tables_names", "\n");
    assert_eq!(older_tables(host.context().proc(), v4), Ok(()));
    host.file("proc/net/ip_tables_names", "filter\nnat\n");
    assert!(older_tables(host.context().proc(), v4).unwrap_err().contains("filter, nat"));
    assert_eq!(older_tables(host.context().proc(), v6), Ok(()));
    host.file("proc/net/ip6_tables_names", "mangle\n");
    assert!(older_tables(host.context().proc(), v6).unwrap_err().contains("(mangle)"));
    if not_root() {
        return;
    }
    assert!(found(&host, &["127.0.0.1:80"]).unwrap_err().contains("filter, nat"));
    assert!(found(&host, &["[::1]:80"]).unwrap_err().contains("mangle"));
    let place = "127.0.0.1:80".parse().unwrap();
    assert!(
        drops(&host.context(), &[place]).unwrap_err().contains("filter, nat"),
        "whatever the machine's own nft says"
    );
}

#[test]
fn loopback_is_reached_over_lo() {
    let here = here("127.0.0.1:80".parse().unwrap());
    assert_eq!(here.interface.as_deref(), Some("lo"));
    assert_eq!(here.address, Some(Ipv4Addr::LOCALHOST.into()));
}

/// In a network of its own, which this test makes and then runs itself in again.
#[test]
fn other_hosts_are_reached_from_the_address_of_the_way_there_and_own_ones_over_lo() {
    const INSIDE: &str = "WBD_TEST_OWN_NETWORK";
    if std::env::var_os(INSIDE).is_none() {
        if not_root() {
            return;
        }
        let network = "ip link set lo up && ip link add wbd0 type veth peer name wbd1 \
            && ip addr add 192.0.2.10/24 dev wbd0 && ip addr add 203.0.113.10/24 dev wbd1 \
            && ip link set wbd0 up && ip link set wbd1 up \
            && { ip -6 addr add 2001:db8:1::10/64 dev wbd1 nodad && export WBD_TEST_V6=1 || :; } \
            && exec \"$0\" --exact \"$1\"";
        let name = "filter::tests::other_hosts_are_reached_from_the_address_of_the_way_there_and_own_ones_over_lo";
        let mut again = Command::new("/usr/bin/unshare");
        again
            .args(["--net", "/bin/sh", "-c", network])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .env(INSIDE, "1");
        let said = again.output().unwrap();
        assert!(said.status.success(), "{}{}", text(&said.stdout), text(&said.stderr));
        assert!(text(&said.stdout).contains("1 passed"), "{}", text(&said.stdout));
        return;
    }
    for (place, address, interface) in [
        ("192.0.2.77:443", Some("192.0.2.10"), Some("wbd0")),
        ("203.0.113.77:443", Some("203.0.113.10"), Some("wbd1")),
        ("[2001:db8:1::77]:443", Some("2001:db8:1::10"), Some("wbd1")),
        ("192.0.2.10:443", Some("192.0.2.10"), Some("lo")),
        ("127.0.0.5:443", Some("127.0.0.1"), Some("lo")),
        ("[::1]:443", Some("::1"), Some("lo")),
        // No way there.
        ("198.51.100.7:443", None, None),
    ] {
        let place: SocketAddr = place.parse().unwrap();
        // A kernel may be without it.
        if place.is_ipv6() && std::env::var_os("WBD_TEST_V6").is_none() {
            continue;
        }
        let here = here(place);
        assert_eq!(here.address, address.map(|address| address.parse().unwrap()), "{place}");
        assert_eq!(here.interface.as_deref(), interface, "{place}");
    }
    assert_eq!(interface_of("192.0.2.11".parse().unwrap()), None);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
