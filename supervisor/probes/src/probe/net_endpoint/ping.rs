//! An ICMP echo with the 1000 bytes that the vendor's document asks for, and what came back.
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::runner::ProbeContext;

/// Bytes behind the ICMP header: a path that swallows larger packets shows here and not in a handshake.
const PAYLOAD: usize = 1000;
const TRIES: u16 = 2;
/// For one try.
const PATIENCE: Duration = Duration::from_secs(1);
const ECHO_HEADER: usize = 8;

/// What became of the echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ping {
    Answered,
    Silent,
    NoRoute,
    Denied,
    /// Not wanted, or this user may not send one.
    NotTried,
}

impl Ping {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Silent => "silent",
            Self::NoRoute => "no-route",
            Self::Denied => "denied",
            Self::NotTried => "not-tried",
        }
    }
}

/// Sends up to two echoes.
///
/// # Errors
/// Why it could not be tried: our own trouble, not the address's.
pub(crate) fn ping(context: &ProbeContext, address: IpAddr) -> Result<Ping, String> {
    let Some((socket, raw)) = open(address).map_err(|error| format!("cannot ping: {error}"))? else {
        return Ok(Ping::NotTried);
    };
    match echo(context, &socket, raw, address) {
        Ok(true) => Ok(Ping::Answered),
        Ok(false) => Ok(Ping::Silent),
        Err(error) => word(&error).ok_or_else(|| format!("cannot ping {address}: {error}")),
    }
}

/// The kernel's own ping socket where the user's group may have one, else a raw one; `None` where neither is permitted.
fn open(address: IpAddr) -> io::Result<Option<(Socket, bool)>> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    for (kind, raw) in [(Type::DGRAM, false), (Type::RAW, true)] {
        match Socket::new(domain, kind, Some(protocol)) {
            Ok(socket) => return Ok(Some((socket, raw))),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum of every error there is")]
fn word(error: &io::Error) -> Option<Ping> {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable, PermissionDenied};
    match error.kind() {
        HostUnreachable | NetworkUnreachable | NetworkDown | AddrNotAvailable => Some(Ping::NoRoute),
        PermissionDenied => Some(Ping::Denied),
        _ => None,
    }
}

fn echo(context: &ProbeContext, socket: &Socket, raw: bool, address: IpAddr) -> io::Result<bool> {
    // Connected, so that "no route" comes back to us.
    socket.connect(&SockAddr::from(SocketAddr::new(address, 0)))?;
    // With a raw socket every echo of this host comes in; the low half of our process id is ours.
    let id = low_half(std::process::id());
    for number in 1..=TRIES {
        socket.send(&request(address, id, number))?;
        let until = Instant::now() + context.left(PATIENCE);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            let mut buffer = [0; ECHO_HEADER + PAYLOAD + 60];
            match Read::read(&mut &*socket, &mut buffer) {
                Ok(length) => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    if is_reply(packet, address, raw, id) {
                        return Ok(true);
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(false)
}

fn low_half(number: u32) -> u16 {
    let [_, _, high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn payload() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).cycle().take(PAYLOAD)
}

fn request(address: IpAddr, id: u16, number: u16) -> Vec<u8> {
    let kind = if address.is_ipv4() { 8 } else { 128 };
    let [id_high, id_low] = id.to_be_bytes();
    let [number_high, number_low] = number.to_be_bytes();
    let mut packet = vec![kind, 0, 0, 0, id_high, id_low, number_high, number_low];
    packet.extend(payload());
    if address.is_ipv4() {
        // ICMPv6 and ping sockets are summed up by the kernel; for a raw IPv4 socket it is on us.
        let sum = checksum(&packet).to_be_bytes();
        packet.splice(2..4, sum);
    }
    packet
}

fn checksum(packet: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in packet.chunks(2) {
        let high = pair.first().copied().unwrap_or(0);
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// An echo reply with our whole payload; the kernel already matched id and sender on a ping socket.
fn is_reply(packet: &[u8], address: IpAddr, raw: bool, id: u16) -> bool {
    let header = match (raw && address.is_ipv4(), packet.first()) {
        (true, Some(first)) => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    let Some(icmp) = packet.get(header..) else {
        return false;
    };
    let kind = if address.is_ipv4() { 0 } else { 129 };
    let ours = !raw || icmp.get(4..6) == Some(&id.to_be_bytes());
    let whole = icmp.get(ECHO_HEADER..).is_some_and(|rest| rest.iter().copied().eq(payload()));
    icmp.first() == Some(&kind) && ours && whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn loopback_answers_unless_no_socket_is_permitted() {
        for address in ["127.0.0.1", "::1"] {
            let seen = ping(&Host::new().context(), address.parse().unwrap());
            let allowed = nix::unistd::geteuid().is_root();
            match seen {
                Ok(Ping::Answered) => {}
                Ok(Ping::NotTried) if !allowed => {}
                Ok(Ping::NoRoute) | Err(_) if address == "::1" => {}
                other => panic!("{address}: {other:?}"),
            }
        }
    }

    #[test]
    fn only_a_whole_reply_to_us_counts() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let mut reply = request(v4, 7, 1);
        assert_eq!(reply.len(), 1008);
        assert_eq!(checksum(&reply), 0);
        assert!(!is_reply(&reply, v4, false, 7), "our own request is no reply");
        reply[0] = 0;
        assert!(is_reply(&reply, v4, false, 7));
        let mut with_header = vec![0x45; 20];
        with_header.extend(&reply);
        assert!(is_reply(&with_header, v4, true, 7));
        assert!(!is_reply(&with_header, v4, true, 8));
        assert!(!is_reply(&reply[..900], v4, false, 7));
        assert!(!is_reply(&[], v4, true, 7));
    }

    #[test]
    fn each_kind_of_socket_shows_a_reply_in_its_own_way() {
        let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let reply = |address: IpAddr, kind: u8, id: u16| {
            let mut reply = request(address, id, 2);
            reply[0] = kind;
            reply
        };
        let behind = |header: u8, reply: Vec<u8>| {
            let mut packet = vec![0x40 | header; usize::from(header) * 4];
            packet.extend(reply);
            packet
        };
        // (packet, address, raw): the kernel takes the header off but for a raw IPv4 socket, and on its own ping
        // socket it puts its own id in.
        for (packet, address, raw, expected) in [
            (reply(v4, 0, 8), v4, false, true),
            (behind(5, reply(v4, 0, 7)), v4, true, true),
            (behind(6, reply(v4, 0, 7)), v4, true, true),
            (behind(6, reply(v4, 3, 7)), v4, true, false),
            (reply(v6, 129, 7), v6, true, true),
            (reply(v6, 129, 8), v6, true, false),
            (reply(v6, 129, 8), v6, false, true),
            (reply(v6, 128, 7), v6, true, false),
            (reply(v6, 0, 7), v6, false, false),
        ] {
            assert_eq!(is_reply(&packet, address, raw, 7), expected, "{address} {raw} {:?}", &packet[..8]);
        }
        assert_eq!((request(v4, 7, 1)[0], request(v6, 7, 1)[0]), (8, 128));
        assert_eq!(low_half(0x0012_3456), 0x3456);
    }

    #[test]
    fn a_checksum_is_the_one_of_rfc_1071() {
        for (bytes, sum) in [
            (&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7][..], 0x220d),
            (&[0xff, 0xff, 0x00, 0x01], 0xfffe),
            (&[0x01], 0xfeff),
            (&[], 0xffff),
        ] {
            assert_eq!(checksum(bytes), sum, "{bytes:x?}");
        }
    }

    #[test]
    fn no_way_there_and_not_allowed_are_answers_and_our_own_trouble_is_none() {
        for (code, expected) in [
            (nix::libc::EHOSTUNREACH, Some(Ping::NoRoute)),
            (nix::libc::ENETUNREACH, Some(Ping::NoRoute)),
            (nix::libc::ENETDOWN, Some(Ping::NoRoute)),
            (nix::libc::EADDRNOTAVAIL, Some(Ping::NoRoute)),
            (nix::libc::EPERM, Some(Ping::Denied)),
            (nix::libc::EACCES, Some(Ping::Denied)),
            (nix::libc::EMFILE, None),
        ] {
            assert_eq!(word(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
        let all = [Ping::Answered, Ping::Silent, Ping::NoRoute, Ping::Denied, Ping::NotTried];
        assert_eq!(all.map(Ping::as_str), ["answered", "silent", "no-route", "denied", "not-tried"]);
    }
}
