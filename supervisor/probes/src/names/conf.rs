//! What the C library reads out of resolv.conf: whom a question goes to, in which order, and by which names it is asked.
//!
//! By its own rules (resolv.conf(5), and what glibc 2.36 was seen to do): a key counts at the beginning of a line only,
//! three servers at most are asked, and without one it is 127.0.0.1. A line that begins with a byte order mark has no
//! key; a link that leads nowhere is an empty file.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use crate::runner::ProbeContext;
use crate::under;

/// As many servers as a program asks.
const MAX_SERVERS: usize = 3;
/// A greater number of dots is taken for this one.
const MAX_NDOTS: usize = 15;
/// A longer list of domains is no list: each question would be asked so many times.
const MAX_DOMAINS: usize = 16;

/// A name server: `10.0.0.1`, `fe80::1%eth0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameServer {
    pub(crate) address: IpAddr,
    /// The interface that leads to a link-local address, by name or number.
    pub(crate) zone: Option<String>,
}

/// How a question is put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Over TCP at once (`use-vc`).
    pub(crate) tcp: bool,
    /// With room for a longer answer (`edns0`).
    pub(crate) edns: bool,
    /// With the mark that the server's check of the answer is believed (`trust-ad`).
    pub(crate) trust_ad: bool,
}

/// One resolv.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conf {
    /// Who is asked, in this order, each once; never empty.
    pub(crate) servers: Vec<NameServer>,
    /// How many of them the file names; with none it is 127.0.0.1.
    pub(crate) named: usize,
    pub(crate) manner: Manner,
    search: Vec<String>,
    ndots: usize,
}

impl Conf {
    /// The one of a host.
    ///
    /// # Errors
    /// Why it cannot be read; a file that is not there is an empty one.
    pub(crate) fn of(context: &ProbeContext) -> Result<Self, String> {
        let text = under::text_if_there(&context.root().join("etc/resolv.conf"))?;
        let host = under::text(&context.proc().join("sys/kernel/hostname")).unwrap_or_default();
        let domain = host.trim().split_once('.').map(|(_, domain)| domain);
        Ok(Self::parse(&text.unwrap_or_default(), domain))
    }

    /// `domain`: this host's, which is searched where the file names none.
    pub(crate) fn parse(text: &str, domain: Option<&str>) -> Self {
        let mut conf = Self {
            servers: Vec::new(),
            named: 0,
            manner: Manner::default(),
            search: domain.into_iter().map(str::to_owned).collect(),
            ndots: 1,
        };
        let mut lines_used = 0;
        for line in text.split('\n') {
            let Some((key, rest)) = line.split_once([' ', '\t']) else { continue };
            let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
            match key {
                "nameserver" if lines_used < MAX_SERVERS => {
                    let word = words.next().and_then(|word| word.split([';', '#']).next());
                    if let Some(server) = word.and_then(NameServer::parse) {
                        lines_used += 1;
                        conf.add(server);
                    }
                }
                // The last of both counts.
                "domain" => conf.search = words.take(1).map(str::to_owned).collect(),
                "search" => conf.search = words.take(MAX_DOMAINS).map(str::to_owned).collect(),
                "options" => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf.named = conf.servers.len();
        if conf.servers.is_empty() {
            conf.servers.push(NameServer { address: Ipv4Addr::LOCALHOST.into(), zone: None });
        }
        conf
    }

    /// One that is named twice is asked twice, and tells nothing new.
    fn add(&mut self, server: NameServer) {
        if !self.servers.contains(&server) {
            self.servers.push(server);
        }
    }

    /// Those that change which answer comes; how long is waited for it (`timeout`, `attempts`), and who is asked first
    /// of equals (`rotate`), does not.
    fn option(&mut self, word: &str) {
        match word {
            "use-vc" => self.manner.tcp = true,
            "edns0" => self.manner.edns = true,
            "trust-ad" => self.manner.trust_ad = true,
            _ => {
                if let Some(Ok(ndots)) = word.strip_prefix("ndots:").map(str::parse::<usize>) {
                    self.ndots = ndots.min(MAX_NDOTS);
                }
            }
        }
    }

    /// The names that are asked for one after the other, until one has an address.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let as_it_is = format!("{name}.");
        let with = |domain: &String| match domain.trim_matches('.') {
            "" => as_it_is.clone(),
            domain => format!("{name}.{domain}."),
        };
        let mut names: Vec<String> = self.search.iter().map(with).collect();
        if name.matches('.').count() >= self.ndots {
            names.insert(0, as_it_is);
        } else {
            names.push(as_it_is);
        }
        let mut once = Vec::new();
        for name in names {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        once
    }
}

impl NameServer {
    fn parse(word: &str) -> Option<Self> {
        if let Some(address) = v4(word) {
            return Some(Self { address: address.into(), zone: None });
        }
        let (address, zone) = word.split_once('%').map_or((word, None), |(address, zone)| (address, Some(zone)));
        let address: Ipv6Addr = address.parse().ok()?;
        // Only a link-local address has a use for a zone. The rest is routed, so its queries must not be sent from the
        // interface's link-local address.
        let zone = zone.filter(|_| address.is_unicast_link_local()).map(str::to_owned);
        Some(Self { address: address.into(), zone })
    }

    /// Where it is asked.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V4(_) => SocketAddr::new(self.address, port),
            IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, self.scope()).into(),
        }
    }

    /// The interface's number; 0 without a zone, and as for the C library where there is no such interface.
    fn scope(&self) -> u32 {
        let zone = self.zone.as_deref().unwrap_or_default();
        if_nametoindex(zone).ok().or_else(|| zone.parse().ok()).unwrap_or(0)
    }

    /// It is an address of this host itself. One behind a zone is somebody else's, even where this host has the same
    /// address on another interface.
    pub(crate) fn is_here(&self) -> Result<bool, String> {
        if self.zone.is_some() || self.address.is_loopback() {
            return Ok(self.zone.is_none());
        }
        let list = getifaddrs().map_err(|error| format!("cannot list this host's addresses: {error}"))?;
        let mut own = list.filter_map(|interface| interface.address);
        Ok(own.any(|own| {
            let v4 = own.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
            let v6 = || own.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip()));
            v4.or_else(v6) == Some(self.address)
        }))
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.address)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(out, "%{zone}"))
    }
}

/// An IPv4 address in any form that the C library takes: `10.0.0.1`, `127.1`, `0x7f.0.0.1`.
fn v4(word: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = word.split('.').map(part).collect::<Option<_>>()?;
    let (last, front) = parts.split_last()?;
    if front.len() > 3 || front.iter().any(|part| *part > 255) {
        return None;
    }
    let mut address = 0;
    for (part, shift) in front.iter().zip([24, 16, 8]) {
        address |= part << shift;
    }
    // The last part fills all that is left.
    let room = 32 - 8 * u32::try_from(front.len()).ok()?;
    (u64::from(*last) < 1 << room).then(|| Ipv4Addr::from(address | last))
}

fn part(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    fn named(text: &str) -> Vec<String> {
        Conf::parse(text, None).servers.iter().map(ToString::to_string).collect()
    }

    /// Each was tried with getaddrinfo of glibc 2.36, with a resolver on 127.0.0.1 and another one on 127.0.0.2.
    #[test]
    fn servers_are_read_as_the_c_library_reads_them() {
        for (text, expected) in [
            ("", &["127.0.0.1"][..]),
            ("#nameserver 127.0.0.2\n;x\n", &["127.0.0.1"]),
            ("\u{feff}nameserver 127.0.0.2\n", &["127.0.0.1"]),
            ("  nameserver 127.0.0.2\n", &["127.0.0.1"]),
            ("nameserver 127.0.0.2\r\n", &["127.0.0.1"]),
            (
                "nameserver bad\nnameserver\nnameserverx 127.0.0.2\nnameserver 1.2.3.4.5\nnameserver 1.2.3.256\n",
                &["127.0.0.1"],
            ),
            ("nameserver 127.0.0.2 # c\n", &["127.0.0.2"]),
            ("nameserver\t 127.0.0.2#53\n", &["127.0.0.2"]),
            (
                "nameserver 127.2\nnameserver 0x7f.0.0.3\nnameserver 017.0.0.1\n",
                &["127.0.0.2", "127.0.0.3", "15.0.0.1"],
            ),
            ("nameserver ::1\nnameserver 127.0.0.1%lo\n", &["::1"]),
            (
                "nameserver 127.0.0.3\nnameserver 127.0.0.4\nnameserver 127.0.0.5\nnameserver 127.0.0.1\n",
                &["127.0.0.3", "127.0.0.4", "127.0.0.5"],
            ),
            (
                "nameserver 127.0.0.3\nnameserver 127.0.0.3\nnameserver 127.0.0.3\nnameserver 127.0.0.1\n",
                &["127.0.0.3"],
            ),
        ] {
            assert_eq!(named(text), expected, "{text:?}");
        }
        let long = format!("#{}\nnameserver 127.0.0.2\n", "x".repeat(100_000));
        assert_eq!(named(&long), ["127.0.0.2"], "a line may be of any length");
    }

    #[test]
    fn no_file_and_a_link_that_leads_nowhere_are_an_empty_file() {
        let host = Host::new();
        let empty = Conf::parse("", None);
        assert_eq!((empty.named, empty.servers.len()), (0, 1));
        assert_eq!(Conf::of(&host.context()), Ok(empty.clone()));
        host.link("etc/resolv.conf", "../run/stub-resolv.conf");
        assert_eq!(Conf::of(&host.context()), Ok(empty));
        host.file("run/stub-resolv.conf", "nameserver 10.0.0.1\n");
        assert_eq!(Conf::of(&host.context()).unwrap().named, 1);
        host.file("proc/sys/kernel/hostname", "web.example.test\n");
        assert_eq!(Conf::of(&host.context()).unwrap().candidates("db"), ["db.example.test.", "db."]);
    }

    #[test]
    fn names_are_completed_as_search_and_ndots_say() {
        for (text, name, expected) in [
            ("", "collector", &["collector."][..]),
            ("search example.test\n", "collector", &["collector.example.test.", "collector."]),
            ("search a.test b.test.\n", "x.y", &["x.y.", "x.y.a.test.", "x.y.b.test."]),
            ("search a.test\noptions ndots:2 rotate\n", "x.y", &["x.y.a.test.", "x.y."]),
            ("search a.test\n", "x.y.", &["x.y."]),
            ("search a.test\ndomain b.test\n", "x", &["x.b.test.", "x."]),
            ("search . a.test\n", "x", &["x.", "x.a.test."]),
            ("options ndots:99\nsearch a.test\n", "a.b.c", &["a.b.c.a.test.", "a.b.c."]),
        ] {
            assert_eq!(Conf::parse(text, None).candidates(name), expected, "{text:?} {name}");
        }
        assert_eq!(Conf::parse("search a.test\n", Some("own.test")).candidates("x"), ["x.a.test.", "x."]);
    }

    #[test]
    fn options_that_change_the_question_are_kept_and_others_passed_over() {
        let manner = |text: &str| Conf::parse(text, None).manner;
        assert_eq!(manner("options timeout:1 attempts:2 single-request inet6 ndots:x\n"), Manner::default());
        let all = Manner { tcp: true, edns: true, trust_ad: true };
        assert_eq!(manner("options use-vc edns0\noptions trust-ad\n"), all);
    }

    #[test]
    fn a_link_local_server_is_asked_through_its_interface_and_named_with_it() {
        let text = "nameserver fe80::1%lo\nnameserver fe80::1%7\nnameserver fe80::1%nowhere\n";
        let servers = Conf::parse(text, None).servers;
        let scopes: Vec<u32> = servers.iter().map(NameServer::scope).collect();
        assert_eq!(scopes, [if_nametoindex("lo").unwrap(), 7, 0]);
        assert_eq!(named(text), ["fe80::1%lo", "fe80::1%7", "fe80::1%nowhere"]);
        assert_eq!(servers[1].at(53), SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 7).into());
        assert_eq!(named("nameserver 2001:db8::1%lo\n"), ["2001:db8::1"], "a routed address has no zone");
        for (word, here) in [("fe80::1%lo", false), ("127.0.0.9", true), ("192.0.2.1", false), ("::1", true)] {
            assert_eq!(NameServer::parse(word).unwrap().is_here(), Ok(here), "{word}");
        }
    }
}
