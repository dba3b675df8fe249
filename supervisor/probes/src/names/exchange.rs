//! One question to one name server over UDP or TCP, and what became of it. What several answers mean together is not
//! asked here.
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::conf::Manner;
use crate::runner::ProbeContext;

/// Where name servers listen.
pub(crate) const PORT: u16 = 53;
/// One try over UDP, and the whole exchange over TCP.
const PATIENCE: Duration = Duration::from_millis(1500);
/// A lost packet is no dead server.
const UDP_TRIES: usize = 2;
/// Packets that do not belong to the question are passed over up to this number.
const MAX_STRAYS: usize = 16;
/// As much as the C library says that it takes, in bytes.
const EDNS_BYTES: u16 = 1200;
/// Longest chain of aliases that is followed.
const MAX_ALIASES: usize = 16;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// The addresses of a name: A, and AAAA where there is no A. Asked for by these names one after the other, until
    /// one has an address.
    Addresses(Vec<Name>),
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

    /// A program asks nobody else after this.
    pub(crate) fn is_definite(&self) -> bool {
        matches!(self, Self::Addresses(_) | Self::Nxdomain)
    }

    /// Its word, for people; addresses have none.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Addresses(_) => "ok",
            Self::Nxdomain => "nxdomain",
            Self::Servfail => "servfail",
            Self::Refused => "refused",
            Self::Wrong => "wrong",
            Self::Silent => "silent",
            Self::NoRoute => "silent(no route)",
            Self::Denied => "silent(not let out of this host)",
        }
    }

    /// No further question to this server is worth its time.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Silent | Self::NoRoute | Self::Denied)
    }
}

/// Asks as a program does: over UDP, unless the host's settings say otherwise or the answer does not fit.
pub(crate) fn as_usual(context: &ProbeContext, server: SocketAddr, question: &Question, manner: Manner) -> Answer {
    if manner.tcp {
        return over_tcp(context, server, question, manner);
    }
    ask(question, |query| udp(context, server, &message(query, manner), query))
}

/// Asks over TCP.
pub(crate) fn over_tcp(context: &ProbeContext, server: SocketAddr, question: &Question, manner: Manner) -> Answer {
    ask(question, |query| tcp(context, server, &message(query, manner), query))
}

fn ask(question: &Question, exchange: impl Fn(&Query) -> io::Result<Said>) -> Answer {
    let once =
        |name: &Name, kind| exchange(&Query::query(name.clone(), kind)).unwrap_or_else(|error| unanswered(&error));
    let started = Instant::now();
    let said = match question {
        Question::Root => once(&Name::root(), RecordType::NS),
        Question::Addresses(names) => by_all(names, |name| {
            let said = once(name, RecordType::A);
            let none = said.addresses().is_some_and(<[IpAddr]>::is_empty);
            if none { once(name, RecordType::AAAA) } else { said }
        }),
    };
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Answer { said, ms }
}

/// The first name with an address decides; else, as for the C library, a name that is there without one says more than
/// one that is not, and what was said of the first name more than what was said of the others.
fn by_all(names: &[Name], said_of: impl Fn(&Name) -> Said) -> Said {
    let mut told: Option<Said> = None;
    for name in names {
        let said = said_of(name);
        let has_address = said.addresses().is_some_and(|addresses| !addresses.is_empty());
        if has_address || said.is_unreachable() {
            return said;
        }
        let exists = said.addresses().is_some();
        if told.as_ref().is_none_or(|told| exists && *told == Said::Nxdomain) {
            told = Some(said);
        }
    }
    told.unwrap_or(Said::Silent)
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

fn udp(context: &ProbeContext, server: SocketAddr, message: &Message, query: &Query) -> io::Result<Said> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Connected, so that a closed port comes back as "refused" instead of as silence.
    socket.connect(server)?;
    // One id for both tries, so that a late answer to the first is not taken for a stray one.
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
            match reply(bytes, message.metadata.id, query) {
                Reply::Cut => return tcp(context, server, message, query),
                Reply::Whole(Said::Wrong) => strays += 1,
                Reply::Whole(said) => return Ok(said),
            }
        }
    }
    // The right answer may follow a stray one; only where none did is the server called wrong.
    Ok(if strays > 0 { Said::Wrong } else { Said::Silent })
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn tcp(context: &ProbeContext, server: SocketAddr, message: &Message, query: &Query) -> io::Result<Said> {
    let until = Instant::now() + context.left(PATIENCE);
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        // A socket takes no time-out of zero.
        left.max(Duration::from_millis(1))
    };
    let bytes = message.to_vec().map_err(io::Error::other)?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&server, left())?;
    stream.set_write_timeout(Some(left()))?;
    stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat())?;
    let mut length = [0; 2];
    read_exact(&mut stream, &mut length, &left)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    read_exact(&mut stream, &mut bytes, &left)?;
    Ok(match reply(&bytes, message.metadata.id, query) {
        Reply::Whole(said) => said,
        // There is no longer way.
        Reply::Cut => Said::Wrong,
    })
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

fn message(query: &Query, manner: Manner) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = manner.trust_ad;
    message.add_query(query.clone());
    if manner.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EDNS_BYTES);
        message.set_edns(edns);
    }
    message
}

/// What a packet says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Whole(Said),
    /// The answer did not fit; it has to be asked for over TCP.
    Cut,
}

fn reply(bytes: &[u8], id: u16, query: &Query) -> Reply {
    let Ok(message) = Message::from_vec(bytes) else {
        return Reply::Whole(Said::Wrong);
    };
    let code = message.metadata.response_code;
    if message.metadata.id != id || message.metadata.message_type != MessageType::Response {
        return Reply::Whole(Said::Wrong);
    }
    match message.queries.first() {
        Some(asked) if asked.name() == query.name() && asked.query_type() == query.query_type() => {}
        // Some servers send an error without the question.
        None if code != ResponseCode::NoError => {}
        _ => return Reply::Whole(Said::Wrong),
    }
    if message.metadata.truncation {
        return Reply::Cut;
    }
    Reply::Whole(if code == ResponseCode::NXDomain {
        Said::Nxdomain
    } else if code == ResponseCode::Refused {
        Said::Refused
    } else if code == ResponseCode::NoError && !is_lame(&message, query) {
        addresses(&message, query)
    } else {
        Said::Servfail
    })
}

/// It points elsewhere instead of answering; a program then asks the next server.
fn is_lame(message: &Message, query: &Query) -> bool {
    let about = &message.metadata;
    let knows = about.authoritative || about.recursion_available;
    query.query_type() != RecordType::NS && !knows && message.answers.is_empty() && message.additionals.is_empty()
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
        let Reply::Whole(said) = replied(records, |_| {}) else { panic!("it is cut") };
        said
    }

    fn replied(records: Vec<(&str, RData)>, change: impl Fn(&mut Message)) -> Reply {
        let query = Query::query(name("Host.test."), RecordType::A);
        let mut message = message(&query, Manner::default());
        message.metadata.recursion_available = true;
        message.metadata.message_type = MessageType::Response;
        for (owner, data) in records {
            message.add_answer(Record::from_rdata(name(owner), 1, data));
        }
        change(&mut message);
        reply(&message.to_vec().unwrap(), message.metadata.id, &query)
    }

    #[test]
    fn a_cut_answer_is_asked_for_again_and_a_pointer_elsewhere_is_no_denial() {
        let cut = replied(vec![], |message| message.metadata.truncation = true);
        assert_eq!(cut, Reply::Cut);
        let lame = replied(vec![], |message| message.metadata.recursion_available = false);
        assert_eq!(lame, Reply::Whole(Said::Servfail));
        let none = replied(vec![], |message| {
            message.metadata.recursion_available = false;
            message.metadata.authoritative = true;
        });
        assert_eq!(none, Reply::Whole(Said::Addresses(vec![])));
    }

    #[test]
    fn the_question_carries_the_hosts_options() {
        let query = Query::query(name("host.test."), RecordType::A);
        let bare = message(&query, Manner::default());
        assert!(bare.edns.is_none() && !bare.metadata.authentic_data && bare.metadata.recursion_desired);
        let full = message(&query, Manner { tcp: false, edns: true, trust_ad: true });
        assert_eq!(full.edns.as_ref().map(Edns::max_payload), Some(EDNS_BYTES));
        assert!(full.metadata.authentic_data);
    }

    #[test]
    fn the_first_name_with_an_address_decides_and_without_one_the_name_that_is_there() {
        let names = ["a.test.", "b.test.", "c.test."].map(name);
        let found = || Said::Addresses(vec![Ipv4Addr::LOCALHOST.into()]);
        let none = || Said::Addresses(vec![]);
        for (said, expected) in [
            ([Said::Nxdomain, found(), Said::Silent], found()),
            ([Said::Servfail, none(), Said::Nxdomain], Said::Servfail),
            ([Said::Nxdomain, none(), Said::Nxdomain], none()),
            ([Said::Nxdomain, Said::Silent, found()], Said::Silent),
            ([Said::Nxdomain, Said::Nxdomain, Said::Nxdomain], Said::Nxdomain),
        ] {
            let of = |asked: &Name| names.iter().position(|it| it == asked).map(|index| said[index].clone()).unwrap();
            assert_eq!(by_all(&names, of), expected, "{said:?}");
        }
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
            assert_eq!(reply(bytes, 0, &query), Reply::Whole(Said::Wrong));
        }
    }
}
