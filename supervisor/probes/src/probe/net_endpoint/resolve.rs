//! A host name's addresses as programs on this host would get them: literal, hosts file, then the configured servers.
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;

use crate::probe::dns_servers::configured::{self, NameServer};
use crate::runner::ProbeContext;
use crate::under::text_if_there;

/// For one server.
const PATIENCE: Duration = Duration::from_secs(2);
/// For all of them.
const WHOLE: Duration = Duration::from_secs(4);

/// What a name came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// ok, literal, nxdomain, servfail, silent, empty or failed.
    pub(crate) word: &'static str,
    /// IPv4 first: a host without an IPv6 route still gets AAAA answers.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Resolves a name.
///
/// # Errors
/// Why it could not be tried: our own trouble, not the name's.
pub(crate) fn resolve(context: &ProbeContext, host: &str) -> Result<Resolved, String> {
    if let Ok(address) = host.parse() {
        return Ok(found("literal", vec![address]));
    }
    let hosts = text_if_there(&context.root().join("etc/hosts"))?.unwrap_or_default();
    let addresses = in_hosts(&hosts, host);
    if !addresses.is_empty() {
        return Ok(found("ok", addresses));
    }
    let conf = text_if_there(&context.root().join("etc/resolv.conf"))?.unwrap_or_default();
    // Nobody to ask is as silent as nobody who answers.
    let Some((servers, options)) = configuration(&conf) else {
        return Ok(found("silent", Vec::new()));
    };
    ask(context, host, ResolverConfig::from_name_servers(servers), options)
}

/// Whom a resolv.conf of this text has asked, and how; `None`: nobody.
fn configuration(conf: &str) -> Option<(Vec<NameServerConfig>, ResolverOpts)> {
    let servers: Vec<_> = configured::parse(conf).iter().map(name_server).collect();
    // Only the options are the library's reading: it wants a server and takes none behind a VLAN (`fe80::1%eth0.7`).
    let (_, options) = parse_resolv_conf(format!("{conf}\nnameserver ::1\n")).ok()?;
    (!servers.is_empty()).then_some((servers, options))
}

/// The library takes addresses without a zone; a socket of the zone's own address goes the right way all the same.
fn name_server(configured: &NameServer) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(configured.address);
    for connection in &mut server.connections {
        connection.bind_addr = configured.own_side();
    }
    server
}

fn found(word: &'static str, mut addresses: Vec<IpAddr>) -> Resolved {
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    Resolved { word, addresses }
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else {
            continue;
        };
        if words.any(|name| name.eq_ignore_ascii_case(host)) {
            addresses.push(address);
        }
    }
    addresses
}

fn ask(
    context: &ProbeContext,
    host: &str,
    config: ResolverConfig,
    mut options: ResolverOpts,
) -> Result<Resolved, String> {
    let name = Name::from_ascii(format!("{}.", host.trim_end_matches('.')))
        .map_err(|error| format!("{host:?} is not a host name: {error}; correct the profile"))?;
    options.timeout = context.left(PATIENCE);
    options.attempts = 1;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    // A port that the library draws itself is bound without the zone.
    options.os_port_selection = true;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot prepare to ask name servers: {error}"))?;
    let whole = context.left(WHOLE);
    runtime.block_on(async {
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| format!("cannot prepare to ask name servers: {error}"))?;
        match tokio::time::timeout(whole, resolver.lookup_ip(name)).await {
            Ok(Ok(lookup)) => Ok(found("ok", lookup.iter().collect())),
            Ok(Err(error)) => Ok(found(word(&error), Vec::new())),
            Err(_) => Ok(found("silent", Vec::new())),
        }
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum with a variant for every transport")]
fn word(error: &NetError) -> &'static str {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            if none.response_code == ResponseCode::NXDomain {
                "nxdomain"
            } else if none.response_code == ResponseCode::NoError {
                "empty"
            } else {
                "servfail"
            }
        }
        NetError::Dns(DnsError::ResponseCode(_)) => "servfail",
        // A refused port reads as one of these, too; dns.servers tells them apart.
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) => "silent",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::dns_servers::toy::{Habit, Toy};
    use crate::testing::Host;

    fn by(habit: Habit) -> Resolved {
        let toys = Toy::several(&[habit]);
        let address = toys[0].address;
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_name_servers(vec![server]);
        ask(&Host::new().context(), "host.test", config, ResolverOpts::default()).unwrap()
    }

    #[test]
    fn each_way_to_fail_has_its_word() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(by(Habit::Right), found("ok", vec![local]));
        for (habit, expected) in [
            (Habit::Nxdomain, "nxdomain"),
            (Habit::Servfail, "servfail"),
            (Habit::SaysRefused, "servfail"),
            (Habit::Silent, "silent"),
            (Habit::Closed, "silent"),
            (Habit::Empty, "empty"),
        ] {
            assert_eq!(by(habit), found(expected, vec![]), "{habit:?}");
        }
    }

    #[test]
    fn a_server_is_asked_whatever_its_interface_is_called() {
        for (conf, wanted) in [
            ("nameserver fe80::1%eth0.7", Some((1, 1))),
            ("options ndots:2\nnameserver 127.0.0.1\nnameserver fe80::1%br-lan\n", Some((2, 2))),
            ("nameserver 127.0.0.1%lo\n", None),
            ("", None),
        ] {
            let seen = configuration(conf).map(|(servers, options)| (servers.len(), options.ndots));
            assert_eq!(seen, wanted, "{conf}");
        }
    }

    #[test]
    fn the_hosts_file_comes_first_and_a_literal_before_it() {
        let host = Host::new();
        host.file("etc/hosts", "# 9.9.9.9 host.test\n::1 x host.test\n127.0.0.9 HOST.test y # c\n");
        let seen = resolve(&host.context(), "Host.Test").unwrap();
        assert_eq!(seen, found("ok", vec!["127.0.0.9".parse().unwrap(), "::1".parse().unwrap()]));
        assert!(seen.addresses[0].is_ipv4());
        assert_eq!(resolve(&host.context(), "::1").unwrap().word, "literal");
        assert_eq!(resolve(&host.context(), "other.test").unwrap().word, "silent");
        std::fs::create_dir(host.root().join("etc/resolv.conf")).unwrap();
        assert!(resolve(&host.context(), "other.test").unwrap_err().contains("resolv.conf"));
    }
}
