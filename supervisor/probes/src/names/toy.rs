//! A name server for tests, on loopback, good or bad by order.
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// How a toy server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Answers every A question with 127.0.0.1.
    Right,
    /// The same, a good second later.
    Slow,
    /// Listens and says nothing.
    Silent,
    /// Nobody listens.
    Closed,
    SaysRefused,
    Servfail,
    Nxdomain,
    /// Answers about another name.
    OtherQuestion,
    /// Answers under another id.
    OtherId,
    /// Right, but nobody listens over TCP.
    UdpOnly,
    /// Its answer does not fit over UDP.
    Cut,
}

/// A running toy; it ends when dropped.
pub(crate) struct Toy {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Toy {
    /// One toy a habit, on 127.0.0.2 and up, all on one port.
    pub(crate) fn several(habits: &[Habit]) -> Vec<Self> {
        for _ in 0..50 {
            let first = UdpSocket::bind("127.0.0.2:0").unwrap();
            let port = first.local_addr().unwrap().port();
            drop(first);
            let toys: Option<Vec<Self>> = (2..)
                .zip(habits)
                .map(|(last, habit)| Self::start(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port)), *habit))
                .collect();
            if let Some(toys) = toys {
                return toys;
            }
        }
        panic!("no port is free on all addresses");
    }

    fn start(address: SocketAddr, habit: Habit) -> Option<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        if habit != Habit::Closed {
            let socket = UdpSocket::bind(address).ok()?;
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let stop = Arc::clone(&stop);
            threads.push(thread::spawn(move || serve_udp(&socket, habit, &stop)));
        }
        if !matches!(habit, Habit::Closed | Habit::UdpOnly) {
            let listener = TcpListener::bind(address).ok()?;
            listener.set_nonblocking(true).unwrap();
            let stop = Arc::clone(&stop);
            threads.push(thread::spawn(move || serve_tcp(&listener, habit, &stop)));
        }
        Some(Self { address, stop, threads })
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, habit: Habit, stop: &AtomicBool) {
    let mut buffer = [0; 1500];
    while !stop.load(Ordering::SeqCst) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let Some(mut reply) = reply(&buffer[..length], habit)
        {
            if habit == Habit::Cut {
                // The bit that says so.
                reply[2] |= 0x02;
            }
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn serve_tcp(listener: &TcpListener, habit: Habit, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            continue;
        }
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut bytes).is_err() {
            continue;
        }
        if let Some(reply) = reply(&bytes, habit) {
            let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length, reply.as_slice()].concat());
        }
    }
}

fn reply(bytes: &[u8], habit: Habit) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).ok()?;
    let asked = question.queries.first()?.clone();
    let mut reply = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.add_query(asked.clone());
    let right = |reply: &mut Message| {
        if asked.query_type() == RecordType::A {
            let address = RData::A(A(Ipv4Addr::LOCALHOST));
            reply.add_answer(Record::from_rdata(asked.name().clone(), 1, address));
        }
    };
    match habit {
        Habit::Closed | Habit::Silent => return None,
        Habit::Right | Habit::UdpOnly | Habit::Cut => right(&mut reply),
        Habit::Slow => {
            // The habit itself, not a wait for luck: shorter than one try, longer than a second.
            thread::sleep(Duration::from_millis(1050));
            right(&mut reply);
        }
        Habit::SaysRefused => reply.metadata.response_code = ResponseCode::Refused,
        Habit::Servfail => reply.metadata.response_code = ResponseCode::ServFail,
        Habit::Nxdomain => reply.metadata.response_code = ResponseCode::NXDomain,
        Habit::OtherId => {
            right(&mut reply);
            reply.metadata.id = reply.metadata.id.wrapping_add(1);
        }
        Habit::OtherQuestion => {
            reply.queries = vec![Query::query(Name::from_ascii("other.test.").ok()?, asked.query_type())];
        }
    }
    reply.to_vec().ok()
}
