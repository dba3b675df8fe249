//! A peer's socket under zbus, within bounds: the size of its handshake and of each request, one request at a time,
//! no file descriptors. zbus alone takes messages of 128 MiB, any number of them. Reads no request.
use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use zbus::Message;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};
use zbus::fdo::ConnectionCredentials;

/// Longest request with its header, bytes; the longest of wbdctl's is far shorter.
const LONGEST_REQUEST: u64 = 64 << 10;
/// Longest handshake, bytes; zbus's own takes about 50.
const LONGEST_HANDSHAKE: usize = 1 << 10;
/// The fixed part of a message's header, the length of its fields included.
const HEADER: usize = 16;

/// What `async fn` in these traits stands for.
type Future_<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether a request is being answered; the next one is not read before that.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    busy: AtomicBool,
    /// The answer is ready; a peer that does not read it is as idle as one that asks nothing.
    sending: AtomicBool,
    answered: Notify,
}

impl Flow {
    /// Whether the supervisor works on a request right now.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::SeqCst) && !self.sending.load(Ordering::SeqCst)
    }

    fn begin(&self) {
        self.busy.store(true, Ordering::SeqCst);
    }

    fn end(&self) {
        self.busy.store(false, Ordering::SeqCst);
        self.sending.store(false, Ordering::SeqCst);
        self.answered.notify_one();
    }

    /// As if a request had come.
    #[cfg(test)]
    pub(crate) fn begin_for_test(&self) {
        self.begin();
    }

    async fn free(&self) {
        while self.busy.load(Ordering::SeqCst) {
            self.answered.notified().await;
        }
    }
}

/// A peer's socket within bounds.
#[derive(Debug)]
pub(crate) struct Bounded {
    stream: UnixStream,
    flow: Arc<Flow>,
}

impl Bounded {
    pub(crate) fn new(stream: UnixStream, flow: Arc<Flow>) -> Self {
        Self { stream, flow }
    }
}

impl Socket for Bounded {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let (read, write) = self.stream.into_split();
        let reader = Reader { inner: read, flow: Arc::clone(&self.flow), place: Place::Line(Vec::new()), begun: 0 };
        Split::new(reader, Writer { inner: write, flow: self.flow })
    }
}

/// Where in the peer's bytes we are.
#[derive(Debug)]
enum Place {
    /// In a line of the handshake.
    Line(Vec<u8>),
    /// In a message's header.
    Header(Vec<u8>),
    /// In the rest of a message, so many bytes before its end.
    Rest(usize),
}

/// What a peer sends.
#[derive(Debug)]
pub(crate) struct Reader {
    inner: OwnedReadHalf,
    flow: Arc<Flow>,
    place: Place,
    /// Bytes of the handshake so far.
    begun: usize,
}

impl Reader {
    /// So many bytes may be read without reading beyond the present part.
    fn room(&self) -> usize {
        match &self.place {
            Place::Line(_) => 1,
            Place::Header(bytes) => HEADER.saturating_sub(bytes.len()),
            Place::Rest(left) => *left,
        }
    }

    /// Takes note of bytes that were read, no more than there was room for.
    fn note(&mut self, bytes: &[u8]) -> io::Result<()> {
        let next = match &mut self.place {
            Place::Line(line) => {
                self.begun += bytes.len();
                if self.begun > LONGEST_HANDSHAKE {
                    return Err(bad("its handshake is too long"));
                }
                line.extend_from_slice(bytes);
                match line.as_slice() {
                    b"BEGIN\r\n" => Some(Place::Header(Vec::new())),
                    // zbus looks at the byte before a line feed even where there is none.
                    [.., b'\r', b'\n'] => Some(Place::Line(Vec::new())),
                    [.., b'\n'] => return Err(bad("a line of its handshake does not end as it should")),
                    _ => None,
                }
            }
            Place::Header(header) => {
                header.extend_from_slice(bytes);
                (header.len() >= HEADER).then(|| rest(header)).transpose()?
            }
            Place::Rest(left) => {
                *left = left.saturating_sub(bytes.len());
                (*left == 0).then(|| Place::Header(Vec::new()))
            }
        };
        let ended = matches!((&self.place, &next), (Place::Rest(_) | Place::Header(_), Some(Place::Header(_))));
        if ended {
            self.flow.begin();
        }
        if let Some(next) = next {
            self.place = next;
        }
        Ok(())
    }
}

/// What follows a header.
fn rest(header: &[u8]) -> io::Result<Place> {
    let number = |at: usize| -> Option<u64> {
        let bytes: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
        match header.first()? {
            b'l' => Some(u32::from_le_bytes(bytes).into()),
            b'B' => Some(u32::from_be_bytes(bytes).into()),
            _ => None,
        }
    };
    let lengths = number(4).zip(number(12));
    let (body, fields) = lengths.ok_or_else(|| bad("it does not send D-Bus messages"))?;
    // The fields are padded to a multiple of 8; the fixed part is one already.
    let rest = fields.next_multiple_of(8) + body;
    if rest + 16 > LONGEST_REQUEST {
        return Err(bad("its request is too long"));
    }
    let rest = usize::try_from(rest).map_err(io::Error::other)?;
    Ok(if rest == 0 { Place::Header(Vec::new()) } else { Place::Rest(rest) })
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the peer is cut off: {what}"))
}

impl ReadHalf for Reader {
    fn recvmsg<'a, 'b, 'c>(&'a mut self, buffer: &'b mut [u8]) -> Future_<'c, io::Result<(usize, Vec<OwnedFd>)>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            if matches!(&self.place, Place::Header(bytes) if bytes.is_empty()) {
                self.flow.free().await;
            }
            let room = self.room().min(buffer.len());
            let part = buffer.get_mut(..room).unwrap_or_default();
            // Descriptors that came along are closed: no request has any.
            let (count, _) = self.inner.recvmsg(part).await?;
            self.note(part.get(..count).unwrap_or_default())?;
            Ok((count, Vec::new()))
        })
    }

    fn peer_credentials<'a, 'c>(&'a mut self) -> Future_<'c, io::Result<ConnectionCredentials>>
    where
        'a: 'c,
        Self: 'c,
    {
        ReadHalf::peer_credentials(&mut self.inner)
    }
}

/// What a peer is answered.
#[derive(Debug)]
pub(crate) struct Writer {
    inner: OwnedWriteHalf,
    flow: Arc<Flow>,
}

impl WriteHalf for Writer {
    fn send_message<'a, 'b, 'c>(&'a mut self, message: &'b Message) -> Future_<'c, zbus::Result<()>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            self.flow.sending.store(true, Ordering::SeqCst);
            let sent = self.inner.send_message(message).await;
            self.flow.end();
            sent
        })
    }

    fn sendmsg<'a, 'b, 'd, 'e, 'c>(
        &'a mut self,
        buffer: &'b [u8],
        fds: &'d [BorrowedFd<'e>],
    ) -> Future_<'c, io::Result<usize>>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
        'e: 'c,
        Self: 'c,
    {
        self.inner.sendmsg(buffer, fds)
    }

    fn close<'a, 'c>(&'a mut self) -> Future_<'c, io::Result<()>>
    where
        'a: 'c,
        Self: 'c,
    {
        WriteHalf::close(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Reads what a peer sent until it is cut off; the number of bytes read before.
    async fn read_all(sent: &[u8]) -> (usize, io::Error) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(sent).await.unwrap();
        drop(theirs);
        let flow = Arc::new(Flow::default());
        let (mut reader, _writer) = Bounded::new(ours, Arc::clone(&flow)).split().take();
        let (mut total, mut buffer) = (0, vec![0; 4096]);
        loop {
            match reader.recvmsg(&mut buffer).await {
                Ok((count, _)) => total += count,
                Err(error) => return (total, error),
            }
            // As if it were answered at once.
            flow.end();
        }
    }

    fn message(fields: u32, body: u32) -> Vec<u8> {
        let mut bytes = vec![b'l', 1, 0, 1];
        for number in [body, 1, fields] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    const HELLO: &[u8] = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n";

    #[tokio::test]
    async fn requests_within_bounds_pass_to_the_last_byte() {
        let mut sent = [HELLO, &message(5, 3)].concat();
        sent.extend([0; 11]);
        sent.extend(message(0, 0));
        let (total, error) = read_all(&sent).await;
        assert_eq!((total, error.kind()), (sent.len(), io::ErrorKind::BrokenPipe));
    }

    #[tokio::test]
    async fn whatever_is_too_long_or_no_message_is_cut_off_before_it_is_buffered() {
        for (tail, why) in [
            (message(0, 128 << 20), "too long"),
            (message(u32::MAX, u32::MAX), "too long"),
            (message(60 << 10, 5 << 10), "too long"),
            (vec![b'x'; 16], "does not send D-Bus"),
        ] {
            let (total, error) = read_all(&[HELLO, &tail].concat()).await;
            assert!(total <= HELLO.len() && error.to_string().contains(why), "{total} {error}");
        }
        let endless = vec![b'a'; 4096];
        assert!(read_all(&endless).await.1.to_string().contains("handshake is too long"));
        for hello in [&b"\n"[..], b"\0AUTH\r\n\n", b"\0AUTH\n"] {
            assert!(read_all(hello).await.1.to_string().contains("does not end"), "{hello:?}");
        }
    }

    #[tokio::test]
    async fn the_next_request_is_not_read_before_the_last_one_was_answered() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&[HELLO, &message(0, 0), &message(0, 0)].concat()).await.unwrap();
        let flow = Arc::new(Flow::default());
        let (mut reader, _writer) = Bounded::new(ours, Arc::clone(&flow)).split().take();
        let mut buffer = vec![0; 4096];
        let mut total = 0;
        while total < HELLO.len() + HEADER {
            total += reader.recvmsg(&mut buffer).await.unwrap().0;
        }
        assert!(flow.is_busy());
        let more = tokio::time::timeout(std::time::Duration::from_millis(100), reader.recvmsg(&mut buffer)).await;
        assert!(more.is_err(), "{more:?}");
        flow.end();
        assert_eq!(reader.recvmsg(&mut buffer).await.unwrap().0, HEADER);
    }
}
