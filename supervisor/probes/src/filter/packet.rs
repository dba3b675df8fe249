//! The two packets a rule is tried on: the request that opens a connection, and its first reply.
use std::net::{IpAddr, SocketAddr};

/// FIN, SYN and so on as they stand in the TCP header.
pub(crate) const SYN: u64 = 0x02;
pub(crate) const ACK: u64 = 0x10;

/// This host's side of a connection, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Here {
    pub(crate) address: Option<IpAddr>,
    pub(crate) interface: Option<String>,
}

/// A packet as the rules see it; `None` is what cannot be known beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) outgoing: bool,
    pub(crate) v4: bool,
    pub(crate) source: Option<IpAddr>,
    pub(crate) target: Option<IpAddr>,
    pub(crate) source_port: Option<u16>,
    pub(crate) target_port: Option<u16>,
    pub(crate) interface: Option<String>,
    /// Connection tracking's word for it.
    pub(crate) state: &'static str,
    pub(crate) flags: u64,
}

impl Packet {
    /// The SYN to that place.
    pub(crate) fn request(place: SocketAddr, here: &Here) -> Self {
        Self {
            outgoing: true,
            v4: place.is_ipv4(),
            source: here.address,
            target: Some(place.ip()),
            source_port: None,
            target_port: Some(place.port()),
            interface: here.interface.clone(),
            state: "new",
            flags: SYN,
        }
    }

    /// The SYN and ACK that comes back.
    pub(crate) fn reply(place: SocketAddr, here: &Here) -> Self {
        Self {
            outgoing: false,
            v4: place.is_ipv4(),
            source: Some(place.ip()),
            target: here.address,
            source_port: Some(place.port()),
            target_port: None,
            interface: here.interface.clone(),
            state: "established",
            flags: SYN | ACK,
        }
    }

    /// The hooks it comes by.
    pub(crate) fn hooks(&self) -> &'static [&'static str] {
        if self.outgoing { &["output", "postrouting", "egress"] } else { &["ingress", "prerouting", "input"] }
    }
}
