//! `net.endpoint`: what a program gets that wants to reach one service: its name from the host's resolver, then a
//! connection to the first of its addresses that accepts. The single steps are told beside it; which one matters is not
//! asked here.
mod connect;
mod ping;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::thread;

use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;
use wbd_model::profile::Endpoint;

use crate::filter;
use crate::names::{self, Resolved};
use crate::runner::ProbeContext;
use connect::Tcp;

/// As many addresses are tried side by side; further ones only where none of them accepts.
const AT_ONCE: usize = 8;
/// A name with more addresses is tried at the first ones.
const MAX_ADDRESSES: usize = 32;
/// A profile with more ports is wrong.
const MAX_PORTS: usize = 16;

pub(crate) fn look(context: &ProbeContext, endpoint: &Endpoint) -> Observation {
    let other = endpoint.alternate.as_ref();
    // Asked for together: where the one is silent, no time would be left for the other.
    let names: Vec<&str> = std::iter::once(&endpoint.host).chain(other).map(String::as_str).collect();
    let mut resolved = names::resolve(context, &names).into_iter();
    let mut next = || resolved.next().unwrap_or_else(|| Err("it was not asked for".to_owned()));
    let mut tried = attempt(context, endpoint, &endpoint.host, next());
    if let Some(other) = other.filter(|_| !tried.works()) {
        let second = attempt(context, endpoint, other, next());
        // Where neither works, the one that got further says more; the other is not kept quiet.
        let (chosen, left_over) = if second.reached() > tried.reached() { (second, tried) } else { (tried, second) };
        tried = chosen;
        if !tried.works() {
            tried.also = format!("; {}: {}", left_over.host, left_over.words());
        }
    }
    let mut seen = Observation::unseen(ProbeName::NetEndpoint.fields(), "not looked at");
    describe(&tried, &mut seen);
    dropped_here(context, &tried, &mut seen);
    seen
}

/// One host name tried through.
struct Attempt {
    host: String,
    resolved: Result<Resolved, String>,
    /// By port; over all addresses.
    ports: BTreeMap<u16, Result<Tcp, String>>,
    each: Vec<Tried>,
    ping: Result<ping::Ping, String>,
    /// What became of the other side's host, where neither works.
    also: String,
}

impl Attempt {
    fn works(&self) -> bool {
        self.found() && self.ports.values().all(|port| matches!(port, Ok(Tcp::Open)))
    }

    fn found(&self) -> bool {
        matches!(&self.resolved, Ok(resolved) if !resolved.addresses.is_empty())
    }

    /// How far it got: whether all works, whether there is an address, how many ports accept.
    fn reached(&self) -> (bool, bool, usize) {
        let open = self.ports.values().filter(|port| matches!(port, Ok(Tcp::Open))).count();
        (self.works(), self.found(), open)
    }

    fn words(&self) -> String {
        let words = self.each.iter().map(|(place, tcp)| match tcp {
            Ok(tcp) => format!("{place}={}", tcp.as_str()),
            Err(reason) => format!("{place}=unknown ({reason})"),
        });
        let words: Vec<String> = words.collect();
        match &self.resolved {
            Ok(resolved) if words.is_empty() => format!("name={}", resolved.word.as_str()),
            _ => words.join(" "),
        }
    }

    fn bad(&self) -> Vec<(u16, Tcp)> {
        let ports = self.ports.iter();
        let known = ports.filter_map(|(port, tcp)| Some((*port, *tcp.as_ref().ok()?)));
        known.filter(|(_, tcp)| *tcp != Tcp::Open).collect()
    }
}

fn attempt(context: &ProbeContext, endpoint: &Endpoint, host: &str, resolved: Result<Resolved, String>) -> Attempt {
    let addresses: Vec<IpAddr> = match &resolved {
        Ok(resolved) => resolved.addresses.iter().copied().take(MAX_ADDRESSES).collect(),
        Err(_) => Vec::new(),
    };
    let ports: Vec<u16> = endpoint.ports.iter().copied().take(MAX_PORTS).collect();
    thread::scope(|scope| {
        let pinged = addresses.first().filter(|_| endpoint.ping).copied();
        let pinged = pinged.map(|address| scope.spawn(move || ping::ping(context, address)));
        let each = connect_all(context, &addresses, &ports);
        let broke_off = |_| Err(BROKE_OFF.to_owned());
        Attempt {
            host: host.to_owned(),
            ports: by_port(&each),
            each,
            resolved,
            ping: pinged.map_or(Ok(ping::Ping::NotTried), |it| it.join().unwrap_or_else(broke_off)),
            also: String::new(),
        }
    })
}

const BROKE_OFF: &str = "the try broke off, which is a bug in wbd; please report it";

type Tried = (SocketAddr, Result<Tcp, String>);

/// A program tries one address after the other until one accepts; so do we, some at a time.
fn connect_all(context: &ProbeContext, addresses: &[IpAddr], ports: &[u16]) -> Vec<Tried> {
    let mut each: Vec<Tried> = Vec::new();
    for some in addresses.chunks(AT_ONCE) {
        let places = some.iter().flat_map(|address| ports.iter().map(|port| SocketAddr::new(*address, *port)));
        each.extend(thread::scope(|scope| {
            let connecting: Vec<_> =
                places.map(|place| (place, scope.spawn(move || connect::connect(context, place)))).collect();
            let joined = connecting
                .into_iter()
                .map(|(place, tried)| (place, tried.join().unwrap_or_else(|_| Err(BROKE_OFF.to_owned()))));
            joined.collect::<Vec<Tried>>()
        }));
        if by_port(&each).values().all(|port| *port == Ok(Tcp::Open)) {
            break;
        }
    }
    each
}

/// A port is open if one address accepts, as programs try them all. It is not known while one could not be tried; else
/// the first address speaks for it.
fn by_port(each: &[Tried]) -> BTreeMap<u16, Result<Tcp, String>> {
    let mut ports: BTreeMap<u16, Result<Tcp, String>> = BTreeMap::new();
    for (place, tcp) in each {
        let port = ports.entry(place.port()).or_insert_with(|| tcp.clone());
        let is_open = *port == Ok(Tcp::Open);
        if *tcp == Ok(Tcp::Open) || tcp.is_err() && !is_open {
            port.clone_from(tcp);
        }
    }
    ports
}

fn describe(tried: &Attempt, seen: &mut Observation) {
    seen.know("host", tried.host.clone());
    match &tried.resolved {
        Ok(resolved) => {
            let first = resolved.addresses.first().map(IpAddr::to_string);
            seen.know("name", resolved.word.as_str())
                .know("says", resolved.says.clone())
                .know("servers", resolved.servers.clone())
                .know("address", first.unwrap_or_default())
                .know("addresses", i64::try_from(resolved.addresses.len()).unwrap_or(i64::MAX))
        }
        Err(reason) => {
            for field in ["name", "says", "servers", "address", "addresses"] {
                seen.miss(field, reason.clone());
            }
            &mut *seen
        }
    };
    match &tried.ping {
        Ok(ping) => seen.know("ping", ping.as_str()),
        Err(reason) => seen.miss("ping", reason.clone()),
    };
    seen.know("detail", format!("{}{}", tried.words(), tried.also));
    describe_ports(tried, seen);
}

fn describe_ports(tried: &Attempt, seen: &mut Observation) {
    let unseen = tried.ports.values().find_map(|tcp| tcp.as_ref().err());
    let unseen = unseen.or(tried.resolved.as_ref().err());
    if let Some(reason) = unseen {
        for field in ["tcp", "open_ports", "bad_ports", "bad_port"] {
            seen.miss(field, reason.clone());
        }
        return;
    }
    let bad = tried.bad();
    let worst = tried.ports.values().flatten().max().copied();
    let open = tried.ports.len() - bad.len();
    let first_bad = bad.first().map_or(0, |(port, _)| i64::from(*port));
    seen.know("tcp", worst.map_or("not-tried", Tcp::as_str))
        .know("open_ports", i64::try_from(open).unwrap_or(i64::MAX))
        .know("bad_ports", i64::try_from(bad.len()).unwrap_or(i64::MAX))
        .know("bad_port", first_bad);
}

/// What gets through is not dropped; only for what does not are the rules of this host read.
fn dropped_here(context: &ProbeContext, tried: &Attempt, seen: &mut Observation) {
    let address = tried.resolved.as_ref().ok().and_then(|it| it.addresses.first().copied());
    let Some(address) = address else {
        seen.miss("local_drop", "there is no address to send to");
        seen.miss("rule", "there is no address to send to");
        return;
    };
    // A local rule that rejects looks like a refusal from afar, so every bad port is asked about.
    let places: Vec<SocketAddr> = tried.bad().iter().map(|(port, _)| SocketAddr::new(address, *port)).collect();
    let verdict = filter::drops(context, &places);
    match verdict {
        Ok(rule) => {
            seen.know("local_drop", rule.is_some());
            seen.know("rule", rule.unwrap_or_default());
        }
        Err(reason) => {
            seen.miss("local_drop", reason.clone()).miss("rule", reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, known};
    use std::net::TcpListener;
    use wbd_model::observation::Value;

    fn endpoint(host: &str, ports: &[u16]) -> Endpoint {
        Endpoint { host: host.to_owned(), ports: ports.to_vec(), ping: false, when: None, alternate: None }
    }

    fn closed_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn open_and_refused_ports_are_counted_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let closed = closed_port();
        let host = Host::new();
        let seen = look(&host.context(), &endpoint("127.0.0.1", &[open, closed]));
        for (field, value) in [
            ("host", Value::from("127.0.0.1")),
            ("name", Value::from("literal")),
            ("address", Value::from("127.0.0.1")),
            ("addresses", Value::from(1)),
            ("tcp", Value::from("refused")),
            ("open_ports", Value::from(1)),
            ("bad_ports", Value::from(1)),
            ("bad_port", Value::from(i64::from(closed))),
            ("ping", Value::from("not-tried")),
        ] {
            assert_eq!(known(&seen, field), value, "{field}");
        }
        let seen = look(&host.context(), &endpoint("127.0.0.1", &[open]));
        assert_eq!(known(&seen, "tcp"), Value::from("open"));
        assert_eq!(known(&seen, "local_drop"), Value::from(false));
    }

    #[test]
    fn the_other_side_is_used_when_it_is_the_one_that_answers() {
        let listener = TcpListener::bind("127.0.0.3:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Host::new();
        let mut wanted = endpoint("127.0.0.2", &[port]);
        wanted.alternate = Some("127.0.0.3".to_owned());
        assert_eq!(known(&look(&host.context(), &wanted), "host"), Value::from("127.0.0.3"));
        drop(listener);
        let seen = look(&host.context(), &wanted);
        assert_eq!(known(&seen, "host"), Value::from("127.0.0.2"));
        assert_eq!(known(&seen, "tcp"), Value::from("refused"));
        let expected = format!("127.0.0.2:{port}=refused; 127.0.0.3: 127.0.0.3:{port}=refused");
        assert_eq!(known(&seen, "detail"), Value::from(expected));
    }

    #[test]
    fn a_port_is_open_if_any_address_accepts() {
        let at = |ip: &str, tcp| (format!("{ip}:80").parse().unwrap(), Ok(tcp));
        let each = [at("192.0.2.1", Tcp::Dropped), at("[2001:db8::1]", Tcp::NoRoute)];
        assert_eq!(by_port(&each)[&80], Ok(Tcp::Dropped));
        let each = [at("192.0.2.1", Tcp::Dropped), at("192.0.2.2", Tcp::Open)];
        assert_eq!(by_port(&each)[&80], Ok(Tcp::Open));
        let untried = || ("192.0.2.3:80".parse().unwrap(), Err("no time".to_owned()));
        let each = [at("192.0.2.1", Tcp::Dropped), untried()];
        assert_eq!(by_port(&each)[&80], Err("no time".to_owned()), "a program would try that one, too");
        let each = [untried(), at("192.0.2.2", Tcp::Open), untried()];
        assert_eq!(by_port(&each)[&80], Ok(Tcp::Open));
    }

    #[test]
    fn addresses_are_tried_until_one_accepts_however_many_there_are() {
        let listener = TcpListener::bind("127.0.0.30:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let addresses: Vec<IpAddr> = (20..=40).map(|last| IpAddr::from([127, 0, 0, last])).collect();
        let context = Host::new().context();
        let each = connect_all(&context, &addresses, &[port]);
        assert_eq!(each.len(), 2 * AT_ONCE, "those behind the one that accepts are left alone: {each:?}");
        assert_eq!(by_port(&each)[&port], Ok(Tcp::Open));
        drop(listener);
        let each = connect_all(&context, &addresses, &[port]);
        assert_eq!((each.len(), &by_port(&each)[&port]), (addresses.len(), &Ok(Tcp::Refused)));
    }

    #[test]
    fn both_sides_are_looked_up_and_the_one_that_has_an_address_is_used() {
        let listener = TcpListener::bind("127.0.0.3:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Host::new();
        host.file("etc/hosts", "127.0.0.3 private.test\n");
        host.file("etc/resolv.conf", "nameserver fe80::1%nowhere\n");
        let mut wanted = endpoint("public.test", &[port]);
        wanted.alternate = Some("private.test".to_owned());
        let seen = look(&host.context(), &wanted);
        assert_eq!((known(&seen, "host"), known(&seen, "tcp")), ("private.test".into(), "open".into()));
        wanted.alternate = None;
        let seen = look(&host.context(), &wanted);
        assert_eq!((known(&seen, "host"), known(&seen, "addresses")), ("public.test".into(), Value::from(0)));
    }

    #[test]
    fn without_a_name_server_nothing_is_tried() {
        let host = Host::new();
        // No interface leads there.
        host.file("etc/resolv.conf", "nameserver fe80::1%nowhere\n");
        let seen = look(&host.context(), &endpoint("host.test", &[80]));
        assert_eq!(known(&seen, "name"), Value::from("silent"));
        assert_eq!(known(&seen, "servers"), Value::from("fe80::1%nowhere=silent(no route)"));
        let Value::Text(says) = known(&seen, "says") else { panic!("no text") };
        assert!(says.starts_with("silent (wbd's own reading of the files under "), "{says}");
        assert_eq!(known(&seen, "tcp"), Value::from("not-tried"));
        assert_eq!(known(&seen, "address"), Value::from(""));
        assert_eq!(known(&seen, "detail"), Value::from("name=silent"));
        assert!(crate::testing::unknown(&seen, "local_drop").contains("no address"));
    }

    #[test]
    fn where_neither_side_works_the_one_that_got_further_is_told_first() {
        let listener = TcpListener::bind("127.0.0.3:0").unwrap();
        let (open, closed) = (listener.local_addr().unwrap().port(), closed_port());
        let host = Host::new();
        let look = |first: &str, other: &str, ports: &[u16]| {
            let wanted = Endpoint { alternate: Some(other.to_owned()), ..endpoint(first, ports) };
            let seen = look(&host.context(), &wanted);
            (known(&seen, "host").to_string(), known(&seen, "detail").to_string())
        };
        let ports = [open, closed];
        let half = format!("127.0.0.3:{open}=open 127.0.0.3:{closed}=refused");
        let none = format!("127.0.0.2:{open}=refused 127.0.0.2:{closed}=refused");
        let expected = ("127.0.0.3".to_owned(), format!("{half}; 127.0.0.2: {none}"));
        assert_eq!(look("127.0.0.2", "127.0.0.3", &ports), expected);
        assert_eq!(look("127.0.0.3", "127.0.0.2", &ports), expected);
        // A name without an address got nowhere, though no port of it was bad.
        assert_eq!(look("host.test", "127.0.0.2", &ports).0, "127.0.0.2");
        assert_eq!(look("host.test", "127.0.0.3", &[open]), ("127.0.0.3".to_owned(), format!("127.0.0.3:{open}=open")));
    }
}
