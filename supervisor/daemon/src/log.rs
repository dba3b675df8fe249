//! Log lines into the journal with their fields, without ever waiting: a journal that hangs must not stop the loop. Nothing
//! is decided by a line, so one that finds the queue full is dropped.
use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

const JOURNAL: &str = "/run/systemd/journal/socket";
/// A longer line does not fit one datagram; its end is cut off.
const LONGEST: usize = 32 << 10;

/// The way to the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: UnixDatagram,
    path: &'static Path,
}

impl Journal {
    /// # Errors
    /// There is no journal.
    pub(crate) fn new() -> io::Result<Self> {
        Self::at(Path::new(JOURNAL))
    }

    fn at(path: &'static Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // An empty message is discarded by a journal that is there.
        match socket.send_to(&[], path) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(_) | Err(_) => Ok(Self { socket, path }),
        }
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = Line::default();
        let priority = match *event.metadata().level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "5",
            Level::DEBUG => "6",
            Level::TRACE => "7",
        };
        line.put("PRIORITY", priority);
        line.put("SYSLOG_IDENTIFIER", "wbd-supervisord");
        line.put("TARGET", event.metadata().target());
        event.record(&mut line);
        // A journal that is away (or in the way) costs the line and nothing else.
        let _ = self.socket.send_to(&line.0, self.path);
    }
}

/// Fields as the journal takes them: with their length where they hold more than one line.
#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn put(&mut self, name: &str, value: &str) {
        let room = LONGEST.saturating_sub(self.0.len());
        let mut end = value.len().min(room);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let value = value.get(..end).unwrap_or_default();
        self.0.extend(name.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            self.0.extend(u64::try_from(value.len()).unwrap_or(0).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(&name(field.name()), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(&name(field.name()), &format!("{value:?}"));
    }
}

/// The journal's names are upper case, with nothing but letters, digits and underscores, and begin with a letter.
fn name(field: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    field.chars().map(plain).skip_while(|letter| !letter.is_ascii_alphabetic()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::time::{Duration, Instant};

    use tracing::{info, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// A journal of the test's own, and the layer that writes to it.
    fn journal() -> (tempfile::TempDir, UnixDatagram, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let path: &'static Path = Box::leak(dir.path().join("socket").into_boxed_path());
        assert!(Journal::at(path).is_err(), "none is there");
        let listener = UnixDatagram::bind(path).unwrap();
        let layer = Journal::at(path).unwrap();
        assert_eq!(listener.recv(&mut [0; 8]).unwrap(), 0);
        (dir, listener, layer)
    }

    #[test]
    fn a_line_arrives_with_its_fields() {
        let (_dir, listener, layer) = journal();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            warn!(WBD_CODE = "WBD-6007", kind = "opened", evidence = "one\ntwo", count = 3, reason = %"x", "recorded");
        });
        let mut buffer = [0; 4096];
        let length = listener.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        for line in ["PRIORITY=4", "MESSAGE=recorded", "WBD_CODE=WBD-6007", "KIND=opened", "COUNT=3", "REASON=x"] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(text.contains("EVIDENCE\n\u{7}\0\0\0\0\0\0\0one\ntwo\n"), "{text:?}");
    }

    #[test]
    fn a_journal_that_does_not_read_holds_nobody_up_and_one_that_is_gone_is_no_error() {
        let (dir, listener, layer) = journal();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let begun = Instant::now();
            for number in 0..5_000 {
                info!(number, filler = "x".repeat(200), "a line");
            }
            assert!(begun.elapsed() < Duration::from_secs(10));
            drop(listener);
            std::fs::remove_file(dir.path().join("socket")).unwrap();
            info!("nobody is there");
            let listener = UnixDatagram::bind(dir.path().join("socket")).unwrap();
            info!("back");
            let mut buffer = [0; 512];
            let length = listener.recv(&mut buffer).unwrap();
            assert!(String::from_utf8_lossy(&buffer[..length]).contains("MESSAGE=back"));
        });
    }
}
