//! The name servers of resolv.conf, all of them and in order; the system's own resolver uses the first three.
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use crate::under;

/// A longer list is cut: nobody uses it.
const MAX_SERVERS: usize = 16;

/// A name server: `10.0.0.1`, `fe80::1%eth0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameServer {
    pub(crate) address: IpAddr,
    /// The interface that leads to a link-local address, by name or number.
    pub(crate) zone: Option<String>,
}

impl NameServer {
    fn parse(word: &str) -> Option<Self> {
        let Some((address, zone)) = word.split_once('%') else {
            return Some(Self { address: word.parse().ok()?, zone: None });
        };
        // As for the system's resolver: with a zone only an IPv6 address is one, and only a link-local address has a
        // use for it. The rest is routed, so its queries must not be sent from the interface's link-local address.
        let address: Ipv6Addr = address.parse().ok()?;
        let zone = address.is_unicast_link_local().then(|| zone.to_owned());
        Some(Self { address: address.into(), zone })
    }

    /// Where it is asked.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V4(_) => SocketAddr::new(self.address, port),
            IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, self.scope()).into(),
        }
    }

    /// The interface's number; 0 without a zone, and as for the system's resolver where there is no such interface.
    fn scope(&self) -> u32 {
        let zone = self.zone.as_deref().unwrap_or_default();
        if_nametoindex(zone).ok().or_else(|| zone.parse().ok()).unwrap_or(0)
    }

    /// This host's own address on the interface of the zone: who sends from it needs to say no zone.
    pub(crate) fn own_side(&self) -> Option<SocketAddr> {
        let scope = Some(self.scope()).filter(|scope| *scope != 0)?;
        let mut own = getifaddrs().ok()?.filter_map(|it| it.address?.as_sockaddr_in6().copied());
        let own = own.find(|it| it.ip().is_unicast_link_local() && it.scope_id() == scope)?;
        Some(SocketAddrV6::new(own.ip(), 0, 0, scope).into())
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.address)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(out, "%{zone}"))
    }
}

/// The configured servers, each once; none where there is no resolv.conf.
pub(crate) fn servers(root: &Path) -> Result<Vec<NameServer>, String> {
    let text = under::text_if_there(&root.join("etc/resolv.conf"))?;
    Ok(parse(&text.unwrap_or_default()))
}

/// The servers that a resolv.conf of this text names.
pub(crate) fn parse(text: &str) -> Vec<NameServer> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let Some(server) = words.next().and_then(NameServer::parse) else {
            continue;
        };
        if !servers.contains(&server) && servers.len() < MAX_SERVERS {
            servers.push(server);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_other_keys_and_nonsense_are_passed_over() {
        let text = "# nameserver 9.9.9.9\n;x\nsearch a b\nnameserver 10.0.0.1 # first\n  nameserver ::1\n\
                    nameserver bad\nnameserver\nnameserver 10.0.0.1\nnameserverx 8.8.8.8\n";
        let expected = ["10.0.0.1", "::1"].map(|word| NameServer::parse(word).unwrap());
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn a_link_local_server_is_asked_through_its_interface_and_named_with_it() {
        let text = "nameserver fe80::1%lo\nnameserver fe80::1%7\nnameserver fe80::1%nowhere\nnameserver fe80::1\n";
        let servers = parse(text);
        let scopes: Vec<u32> = servers.iter().map(NameServer::scope).collect();
        assert_eq!(scopes, [if_nametoindex("lo").unwrap(), 7, 0, 0]);
        let named: Vec<String> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["fe80::1%lo", "fe80::1%7", "fe80::1%nowhere", "fe80::1"]);
        assert_eq!(servers[1].at(53), SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 7).into());
        assert_eq!(servers[3].own_side(), None);
    }

    #[test]
    fn a_zone_counts_at_a_link_local_address_only_and_makes_nonsense_of_an_ipv4_one() {
        let text = "nameserver 10.0.0.1%lo\nnameserver 2001:db8::1%lo\nnameserver ::1%1\nnameserver 2001:db8::1\n";
        let servers = parse(text);
        let named: Vec<String> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["2001:db8::1", "::1"]);
        for server in servers {
            assert_eq!((server.own_side(), server.at(53)), (None, SocketAddr::new(server.address, 53)));
        }
    }
}
