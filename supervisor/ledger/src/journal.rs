//! One entry in the journal, sent straight to its socket so that it is known whether it got there. Reads no journal.
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use wbd_model::text::Shown;

/// Writes an entry, field names and values, into the journal under `root`, without waiting: a journal that hangs must
/// not stop healing.
///
/// # Errors
/// No journal there, or its queue is full.
pub fn enter_in_journal(root: &Path, fields: &[(&str, String)]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(&encoded(fields), root.join("run/systemd/journal/socket")).map(|_| ())
}

/// The journal's own protocol: `NAME=value` lines. A line feed in a value could only be the host's: it is escaped, as is
/// whatever would steer the terminal of somebody who reads the journal.
fn encoded(fields: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.extend_from_slice(format!("{name}={}\n", Shown::of(value)).as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_forges_no_field_and_steers_no_terminal() {
        let bytes = encoded(&[("A", "x\nPRIORITY=7\x1b[2J\u{202e}".to_owned()), ("B", "日本 1".to_owned())]);
        assert_eq!(String::from_utf8(bytes).unwrap(), "A=x\\nPRIORITY=7\\x1b[2J\\u{202e}\nB=日本 1\n");
    }

    #[test]
    fn an_entry_is_one_datagram_and_without_a_journal_that_is_said() {
        let root = tempfile::tempdir().unwrap();
        assert!(enter_in_journal(root.path(), &[("A", "1".to_owned())]).is_err());
        std::fs::create_dir_all(root.path().join("run/systemd/journal")).unwrap();
        let journal = UnixDatagram::bind(root.path().join("run/systemd/journal/socket")).unwrap();
        journal.set_nonblocking(true).unwrap();
        enter_in_journal(root.path(), &[("A", "1".to_owned()), ("B", "2".to_owned())]).unwrap();
        let mut buffer = [0; 64];
        let length = journal.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"A=1\nB=2\n");
    }
}
