//! Whether a packet filter rule of this host drops a connection: asks nft for the rules, changes none.
mod packet;
mod rules;
mod values;
mod words;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use wbd_agent_api::program::{Output, Program, run};

use crate::runner::ProbeContext;
use crate::under;
use packet::{Here, Packet};
use rules::{Fate, Ruleset};

const NFT: &str = "/usr/sbin/nft";
/// A large host's rules in JSON, in bytes.
const MAX_RULES: usize = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(3);

/// The rule of this host that drops a connection to one of these places or the replies to it, `None`
/// if none does.
///
/// # Errors
/// Why it cannot be told.
pub(crate) fn drops(context: &ProbeContext, places: &[SocketAddr]) -> Result<Option<String>, String> {
    drops_by(Path::new(NFT), context, places)
}

fn drops_by(nft: &Path, context: &ProbeContext, places: &[SocketAddr]) -> Result<Option<String>, String> {
    let Some(first) = places.first() else {
        return Ok(None);
    };
    if !nix::unistd::geteuid().is_root() {
        return Err("the packet filter's rules can be read by root only; run as root".to_owned());
    }
    older_tables(context.proc(), first.ip())?;
    let ruleset = Ruleset::parse(&listing(nft, context)?)?;
    let mut unclear = None;
    for place in places {
        match judge(&ruleset, *place, &here(*place)) {
            Ok(Some(rule)) => return Ok(Some(rule)),
            Ok(None) => {}
            Err(reason) => unclear = unclear.or(Some(reason)),
        }
    }
    unclear.map_or(Ok(None), Err)
}

fn judge(ruleset: &Ruleset, place: SocketAddr, here: &Here) -> Result<Option<String>, String> {
    let mut unclear = None;
    for packet in [Packet::request(place, here), Packet::reply(place, here)] {
        match ruleset.fate(&packet) {
            Fate::Dropped(rule) => return Ok(Some(rule)),
            Fate::Passes => {}
            Fate::Unclear(reason) => unclear = unclear.or(Some(reason)),
        }
    }
    unclear.map_or(Ok(None), Err)
}

/// nft does not show what the older iptables interface holds.
fn older_tables(proc: &Path, address: IpAddr) -> Result<(), String> {
    let table = match address {
        IpAddr::V4(_) => "net/ip_tables_names",
        IpAddr::V6(_) => "net/ip6_tables_names",
    };
    let names = under::text_if_there(&proc.join(table))?.unwrap_or_default();
    let names: Vec<&str> = names.split_whitespace().collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!(
        "tables of the older iptables interface are loaded ({}); look with iptables-legacy-save",
        names.join(", ")
    ))
}

fn listing(nft: &Path, context: &ProbeContext) -> Result<Vec<u8>, String> {
    let program = Program {
        path: nft.to_owned(),
        args: ["-j", "list", "ruleset"].map(Into::into).to_vec(),
        env: vec![("LC_ALL".to_owned(), "C".to_owned())],
        deadline: context.left(PATIENCE),
        output: Output::Whole { most: MAX_RULES },
    };
    let said = run(&program).map_err(|error| error.to_string())?;
    if said.status.success() {
        return Ok(said.stdout);
    }
    let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
    let first = stderr.lines().next().unwrap_or_default();
    Err(format!("cannot list the packet filter's rules: {first}"))
}

/// Which own address and interface the kernel would use; a connected UDP socket sends nothing.
fn here(place: SocketAddr) -> Here {
    let any: IpAddr = match place {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(place)?;
        socket.local_addr()
    });
    let address = own.ok().map(|own| own.ip());
    // Packets to an address of this host's own go through lo, whatever interface has it.
    let interface = match address {
        Some(own) if own == place.ip() || place.ip().is_loopback() => Some("lo".to_owned()),
        Some(own) => interface_of(own),
        None => None,
    };
    Here { address, interface }
}

fn interface_of(address: IpAddr) -> Option<String> {
    let mut list = getifaddrs().ok()?;
    let has_it = list.find(|interface| {
        interface.address.is_some_and(|it| match address {
            IpAddr::V4(v4) => it.as_sockaddr_in().is_some_and(|own| own.ip() == v4),
            IpAddr::V6(v6) => it.as_sockaddr_in6().is_some_and(|own| own.ip() == v6),
        })
    });
    has_it.map(|interface| interface.interface_name)
}

#[cfg(test)]
mod corpus;

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
