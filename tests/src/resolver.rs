//! A name server of the test's own, in a host's network, that answers every question in one chosen way; it resolves nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::deadline::poll;
use crate::host::Host;
use crate::network;

/// How often a serving thread looks whether it shall end.
const TURN: Duration = Duration::from_millis(100);
const HEADER: usize = 12;
const TYPE_A: [u8; 2] = [0, 1];

/// How every question is answered. For a refused connection start no resolver at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// This address for every A question, nothing for other types.
    Address(Ipv4Addr),
    /// As `Address`, after a delay.
    Slow(Ipv4Addr, Duration),
    /// This address, but for a name that nobody asked for.
    Lie(Ipv4Addr),
    /// This response code: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    Code(u8),
    /// No answer; connections are accepted and left alone.
    Silent,
}

/// A running name server over UDP and TCP; it ends when dropped.
#[derive(Debug)]
pub struct Resolver {
    end: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Resolver {
    /// Serves on `at`, an address that the host has (all of 127.0.0.0/8 are there).
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[must_use]
    #[track_caller]
    pub fn start(host: &Host, at: SocketAddr, manner: Manner) -> Self {
        let (udp, tcp) = network::bound(host, at, |at| Ok((UdpSocket::bind(at)?, TcpListener::bind(at)?)));
        Self::serve(udp, tcp, manner)
    }

    /// How many questions have come in.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn serve(udp: UdpSocket, tcp: TcpListener, manner: Manner) -> Self {
        let (end, asked) = (Arc::default(), Arc::default());
        let server = || Server { manner, end: Arc::clone(&end), asked: Arc::clone(&asked) };
        let (one, two) = (server(), server());
        let threads = vec![thread::spawn(move || one.datagrams(&udp)), thread::spawn(move || two.connections(&tcp))];
        Self { end, asked, threads }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// What one serving thread knows.
#[derive(Clone)]
struct Server {
    manner: Manner,
    end: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn open(&self) -> bool {
        !self.end.load(Ordering::Relaxed)
    }

    fn datagrams(&self, socket: &UdpSocket) {
        socket.set_read_timeout(Some(TURN)).expect("a timeout");
        let mut question = [0; 4096];
        while self.open() {
            let Ok((length, from)) = socket.recv_from(&mut question) else {
                continue;
            };
            let (server, socket, question) = (self.clone(), socket.try_clone(), question[..length].to_vec());
            let answer = move || {
                if let (Some(answer), Ok(socket)) = (server.answer(&question), socket) {
                    // Who asked may have given up.
                    socket.send_to(&answer, from).ok();
                }
            };
            match self.manner {
                // One slow answer must not hold up the next: that would be a silent server. It ends with its delay.
                Manner::Slow(..) => drop(thread::spawn(answer)),
                Manner::Address(_) | Manner::Lie(_) | Manner::Code(_) | Manner::Silent => answer(),
            }
        }
    }

    fn connections(&self, listener: &TcpListener) {
        listener.set_nonblocking(true).expect("non-blocking");
        let mut silent = Vec::new();
        while self.open() {
            let accepted = poll(TURN, || listener.accept().map_err(|why| why.to_string()));
            let Ok((mut stream, _)) = accepted else {
                continue;
            };
            if self.conversation(&mut stream).is_ok() && self.manner == Manner::Silent {
                silent.push(stream);
            }
        }
    }

    /// One question and its answer: enough for a client that asks once.
    fn conversation(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question)?;
        let Some(answer) = self.answer(&question) else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(|_| ErrorKind::InvalidData)?;
        stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())
    }

    /// `None` when silent, or when the question is not one.
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.manner {
            Manner::Silent => None,
            Manner::Code(code) => reply(question, code, None),
            Manner::Address(address) => reply(question, 0, Some(address)),
            Manner::Lie(address) => {
                let mut reply = reply(question, 0, Some(address))?;
                // The first letter of the first label.
                *reply.get_mut(HEADER + 1)? ^= 1;
                Some(reply)
            }
            Manner::Slow(address, delay) => {
                // Ends early when the test does.
                let ended = || (!self.open()).then_some(()).ok_or_else(String::new);
                poll(delay, ended).err()?;
                reply(question, 0, Some(address))
            }
        }
    }
}

/// A reply that repeats the one question and leaves out whatever else came with it.
fn reply(question: &[u8], code: u8, address: Option<Ipv4Addr>) -> Option<Vec<u8>> {
    let mut end = HEADER;
    while *question.get(end)? != 0 {
        end += 1 + usize::from(question[end]);
    }
    end += 5;
    let asks_address = question.get(end - 4..end - 2)? == TYPE_A;
    let address = address.filter(|_| asks_address);
    let mut reply = question.get(..end)?.to_vec();
    // A response, recursion available, the question's own opcode and "recursion desired".
    reply[2] |= 0x80;
    reply[3] = 0x80 | code;
    reply[4..HEADER].copy_from_slice(&[0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    if let Some(address) = address {
        // The name of the question again, type A, class IN, 60 s, four bytes.
        reply.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x01a\x02bc\0\0\x01\0\x01\0\0\x29\x10\0\0\0\0\0\0\0";

    fn ask(manner: Manner) -> io::Result<Vec<u8>> {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        let at = udp.local_addr()?;
        let resolver = Resolver::serve(udp, TcpListener::bind(at)?, manner);
        let client = UdpSocket::bind("127.0.0.1:0")?;
        client.set_read_timeout(Some(Duration::from_millis(500)))?;
        client.send_to(QUESTION, at)?;
        let mut answer = [0; 512];
        let length = client.recv(&mut answer)?;
        let mut stream = TcpStream::connect(at)?;
        let prefix = u16::try_from(QUESTION.len()).unwrap().to_be_bytes();
        stream.write_all(&[&prefix, QUESTION].concat())?;
        let mut over_tcp = Vec::new();
        stream.read_to_end(&mut over_tcp)?;
        assert_eq!(over_tcp[2..], answer[..length]);
        assert_eq!(resolver.asked(), 2);
        Ok(answer[..length].to_vec())
    }

    #[test]
    fn answers_alike_over_udp_and_tcp() {
        let answer = ask(Manner::Address(Ipv4Addr::new(192, 0, 2, 7))).unwrap();
        assert_eq!(answer[..4], [0x12, 0x34, 0x81, 0x80]);
        assert_eq!(answer[answer.len() - 4..], [192, 0, 2, 7]);
        assert_eq!(ask(Manner::Code(2)).unwrap()[3], 0x82);
        let lie = ask(Manner::Lie(Ipv4Addr::LOCALHOST)).unwrap();
        assert_eq!((lie[HEADER], lie[HEADER + 1]), (1, b'`'));
    }

    #[test]
    fn silence_is_silence() {
        let why = ask(Manner::Silent).unwrap_err().kind();
        assert_eq!(why, ErrorKind::WouldBlock);
    }

    #[test]
    fn a_broken_question_gets_no_answer() {
        assert_eq!(reply(b"", 0, None), None);
        assert_eq!(reply(&QUESTION[..14], 0, None), None);
    }
}
