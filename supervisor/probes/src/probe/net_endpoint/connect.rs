//! One TCP connection to one address and port, and how it ended. It says nothing over it.
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::runner::ProbeContext;

/// A second SYN goes out after one second and a third after three: both had their chance.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a connection must live to count as open: middle boxes accept and then reset.
const SETTLE: Duration = Duration::from_millis(150);

/// How a port answered; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tcp {
    /// It accepts.
    Open,
    /// Nobody listens, or somebody says so.
    Refused,
    /// It accepted or answered, and reset the connection.
    Reset,
    /// Nothing came back.
    Dropped,
    /// There is no way there.
    NoRoute,
    /// This host does not allow it.
    Denied,
}

impl Tcp {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Dropped => "dropped",
            Self::NoRoute => "no-route",
            Self::Denied => "denied",
        }
    }
}

/// Tries a port.
///
/// # Errors
/// Why it could not be tried: our own trouble, not the port's.
pub(crate) fn connect(context: &ProbeContext, place: SocketAddr) -> Result<Tcp, String> {
    let patience = context.left(PATIENCE);
    if patience.is_zero() {
        return Err(format!("no time was left to try {place}"));
    }
    match TcpStream::connect_timeout(&place, patience) {
        Ok(stream) => Ok(settle(stream)),
        Err(error) => word(&error).ok_or_else(|| format!("cannot try {place}: {error}")),
    }
}

fn settle(mut stream: TcpStream) -> Tcp {
    if stream.set_read_timeout(Some(SETTLE)).is_err() {
        return Tcp::Open;
    }
    match stream.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Tcp::Reset,
        Ok(_) | Err(_) => Tcp::Open,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum of every error there is")]
fn word(error: &io::Error) -> Option<Tcp> {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown,
        NetworkUnreachable, PermissionDenied, TimedOut,
    };
    match error.kind() {
        ConnectionRefused => Some(Tcp::Refused),
        ConnectionReset | ConnectionAborted => Some(Tcp::Reset),
        TimedOut => Some(Tcp::Dropped),
        // No address of our own of that family is as good as no way there.
        HostUnreachable | NetworkUnreachable | NetworkDown | AddrNotAvailable => Some(Tcp::NoRoute),
        PermissionDenied => Some(Tcp::Denied),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use std::net::TcpListener;

    #[test]
    fn a_reset_right_after_the_connection_is_not_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let ours = TcpStream::connect(place).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        // A linger of zero makes the kernel reset instead of closing.
        socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
        drop(theirs);
        assert_eq!(settle(ours), Tcp::Reset);
        drop(listener);
        assert_eq!(connect(&Host::new().context(), place), Ok(Tcp::Refused));
    }

    #[test]
    fn each_error_has_its_word_and_our_own_trouble_has_none() {
        for (code, expected) in [
            (nix::libc::ECONNREFUSED, Some(Tcp::Refused)),
            (nix::libc::ETIMEDOUT, Some(Tcp::Dropped)),
            (nix::libc::EHOSTUNREACH, Some(Tcp::NoRoute)),
            (nix::libc::ENETUNREACH, Some(Tcp::NoRoute)),
            (nix::libc::EPERM, Some(Tcp::Denied)),
            (nix::libc::EACCES, Some(Tcp::Denied)),
            (nix::libc::ECONNRESET, Some(Tcp::Reset)),
            (nix::libc::EMFILE, None),
        ] {
            assert_eq!(word(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
    }

    #[test]
    fn the_later_word_is_the_worse_one() {
        let all = [Tcp::Open, Tcp::Refused, Tcp::Reset, Tcp::Dropped, Tcp::NoRoute, Tcp::Denied];
        assert!(all.is_sorted());
        assert_eq!(all.map(Tcp::as_str), ["open", "refused", "reset", "dropped", "no-route", "denied"]);
    }

    #[test]
    fn without_time_nothing_is_tried() {
        let mut context = Host::new().context();
        context.until = std::time::Instant::now();
        assert!(connect(&context, "127.0.0.1:1".parse().unwrap()).is_err());
    }
}
