//! One question to one name server over UDP or TCP, and what became of it. What several answers mean together is not
//! asked here.
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::runner::ProbeContext;

/// Where name servers listen.
pub(crate) const PORT: u16 = 53;
/// One try over UDP, and the whole exchange over TCP.
const PATIENCE: Duration = Duration::from_millis(1500);
/// A lost packet is no dead server.
const UDP_TRIES: usize = 2;
/// Packets that do not belong to the question are passed over up to this number.
const MAX_STRAYS: usize = 16;
/// Longest chain of aliases that is followed.
const MAX_ALIASES: usize = 16;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// The addresses of a name: A, and AAAA where there is no A.
    Addresses(Name),
    /// The servers of the root.
    Root,
}

/// What a server said, and after how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) said: Said,
    pub(crate) ms: u64,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// These addresses; none for a name that has none, or where none were asked for.
    Addresses(Vec<IpAddr>),
    /// The name does not exist.
    Nxdomain,
    /// The server could not find out (SERVFAIL, or another code that helps nobody).
    Servfail,
    /// REFUSED, or nobody listens there.
    Refused,
    /// Something that does not belong to the question.
    Wrong,
    /// Nothing in time.
    Silent,
    /// No way there.
    NoRoute,
    /// This host does not let it out.
    Denied,
}

impl Said {
    /// The addresses, if that is what was said.
    pub(crate) fn addresses(&self) -> Option<&[IpAddr]> {
        if let Self::Addresses(addresses) = self { Some(addresses) } else { None }
    }

    /// No further question to this server is worth its time.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Silent | Self::NoRoute | Self::Denied)
    }
}

/// Asks over UDP.
pub(crate) fn over_udp(context: &ProbeContext, server: SocketAddr, question: &Question) -> Answer {
    ask(question, |query| udp(context, server, query))
}

/// Asks over TCP.
pub(crate) fn over_tcp(context: &ProbeContext, server: SocketAddr, question: &Question) -> Answer {
    ask(question, |query| tcp(context, server, query))
}

fn ask(question: &Question, exchange: impl Fn(&Query) -> io::Result<Said>) -> Answer {
    let once =
        |name: &Name, kind| exchange(&Query::query(name.clone(), kind)).unwrap_or_else(|error| unanswered(&error));
    let started = Instant::now();
    let said = match question {
        Question::Root => once(&Name::root(), RecordType::NS),
        Question::Addresses(name) => {
            let said = once(name, RecordType::A);
            let none = said.addresses().is_some_and(<[IpAddr]>::is_empty);
            if none { once(name, RecordType::AAAA) } else { said }
        }
    };
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Answer { said, ms }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum of every error there is")]
fn unanswered(error: &io::Error) -> Said {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, ConnectionReset, HostUnreachable, InvalidInput, NetworkUnreachable,
        PermissionDenied, UnexpectedEof,
    };
    match error.kind() {
        ConnectionRefused | ConnectionReset | UnexpectedEof => Said::Refused,
        // The invalid one: a link-local address whose interface is not said or not there.
        HostUnreachable | NetworkUnreachable | AddrNotAvailable | InvalidInput => Said::NoRoute,
        PermissionDenied => Said::Denied,
        _ => Said::Silent,
    }
}

fn udp(context: &ProbeContext, server: SocketAddr, query: &Query) -> io::Result<Said> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Connected, so that a closed port comes back as "refused" instead of as silence.
    socket.connect(server)?;
    // One id for both tries, so that a late answer to the first is not taken for a stray one.
    let message = message(query);
    let mut strays = 0;
    for _ in 0..UDP_TRIES {
        socket.send(&message.to_vec().map_err(io::Error::other)?)?;
        let until = Instant::now() + context.left(PATIENCE);
        let mut buffer = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || strays > MAX_STRAYS {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            let length = match socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            let said = reply(bytes, message.metadata.id, query);
            if said != Said::Wrong {
                return Ok(said);
            }
            strays += 1;
        }
    }
    // The right answer may follow a stray one; only where none did is the server called wrong.
    Ok(if strays > 0 { Said::Wrong } else { Said::Silent })
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn tcp(context: &ProbeContext, server: SocketAddr, query: &Query) -> io::Result<Said> {
    let until = Instant::now() + context.left(PATIENCE);
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        // A socket takes no time-out of zero.
        left.max(Duration::from_millis(1))
    };
    let message = message(query);
    let bytes = message.to_vec().map_err(io::Error::other)?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&server, left())?;
    stream.set_write_timeout(Some(left()))?;
    stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat())?;
    let mut length = [0; 2];
    read_exact(&mut stream, &mut length, &left)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    read_exact(&mut stream, &mut bytes, &left)?;
    Ok(reply(&bytes, message.metadata.id, query))
}

/// Like the stream's own, but with one deadline for all of it.
fn read_exact(stream: &mut TcpStream, buffer: &mut [u8], left: &dyn Fn() -> Duration) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let patience = left();
        if patience <= Duration::from_millis(1) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(patience))?;
        let count = stream.read(rest)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        rest = rest.split_at_mut(count).1;
    }
    Ok(())
}

fn message(query: &Query) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    message
}

/// What a packet says to this question.
fn reply(bytes: &[u8], id: u16, query: &Query) -> Said {
    let Ok(message) = Message::from_vec(bytes) else {
        return Said::Wrong;
    };
    let code = message.metadata.response_code;
    if message.metadata.id != id || message.metadata.message_type != MessageType::Response {
        return Said::Wrong;
    }
    match message.queries.first() {
        Some(asked) if asked.name() == query.name() && asked.query_type() == query.query_type() => {}
        // Some servers send an error without the question.
        None if code != ResponseCode::NoError => {}
        _ => return Said::Wrong,
    }
    if code == ResponseCode::NXDomain {
        Said::Nxdomain
    } else if code == ResponseCode::Refused {
        Said::Refused
    } else if code == ResponseCode::NoError {
        addresses(&message, query)
    } else {
        Said::Servfail
    }
}

/// The addresses that belong to the name asked for, aliases followed.
fn addresses(message: &Message, query: &Query) -> Said {
    if query.query_type() == RecordType::NS {
        return Said::Addresses(Vec::new());
    }
    let mut names = vec![query.name().clone()];
    for _ in 0..MAX_ALIASES {
        let known = names.len();
        for record in &message.answers {
            if let RData::CNAME(alias) = &record.data
                && names.contains(&record.name)
                && !names.contains(&alias.0)
            {
                names.push(alias.0.clone());
            }
        }
        if names.len() == known {
            break;
        }
    }
    let about_it = |name: &Name| names.contains(name);
    let mut found = Vec::new();
    for record in message.answers.iter().filter(|record| about_it(&record.name)) {
        match record.data.ip_addr() {
            Some(address) if !found.contains(&address) => found.push(address),
            _ => {}
        }
    }
    let strange = found.is_empty() && message.answers.iter().any(|record| !about_it(&record.name));
    if strange { Said::Wrong } else { Said::Addresses(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn answered(records: Vec<(&str, RData)>) -> Said {
        let query = Query::query(name("Host.test."), RecordType::A);
        let mut message = message(&query);
        message.metadata.message_type = MessageType::Response;
        for (owner, data) in records {
            message.add_answer(Record::from_rdata(name(owner), 1, data));
        }
        reply(&message.to_vec().unwrap(), message.metadata.id, &query)
    }

    #[test]
    fn addresses_count_only_for_the_name_asked_for_and_its_aliases() {
        let address = || RData::A(A(Ipv4Addr::new(192, 0, 2, 1)));
        let alias = |to: &str| RData::CNAME(CNAME(name(to)));
        let found = Said::Addresses(vec![Ipv4Addr::new(192, 0, 2, 1).into()]);
        assert_eq!(answered(vec![("host.TEST.", address())]), found);
        assert_eq!(
            answered(vec![("b.test.", address()), ("host.test.", alias("a.test.")), ("a.test.", alias("b.test."))]),
            found
        );
        assert_eq!(answered(vec![("evil.test.", address())]), Said::Wrong);
        assert_eq!(answered(vec![("host.test.", alias("host.test."))]), Said::Addresses(vec![]));
        assert_eq!(answered(vec![]), Said::Addresses(vec![]));
    }

    #[test]
    fn no_bytes_can_be_taken_for_an_answer_by_accident() {
        let query = Query::query(name("host.test."), RecordType::A);
        for bytes in [&b""[..], b"x", &[0; 12], &[0xff; 600]] {
            assert_eq!(reply(bytes, 0, &query), Said::Wrong);
        }
    }
}
