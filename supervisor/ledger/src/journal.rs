//! One entry in the journal, sent straight to its socket so that it is known whether it got there. Reads no journal.
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// The journal's MESSAGE_ID of an entry that needs a person.
pub const ESCALATED: &str = "5f0a1f1dd2c14a4f9a1e5b6c7d8e9f01";

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

/// The journal's own protocol: `NAME=value` lines, and a counted form for values with line feeds.
fn encoded(fields: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            bytes.push(b'\n');
            bytes.extend_from_slice(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_line_feeds_is_counted() {
        let bytes = encoded(&[("A", "x\nyz".to_owned()), ("B", "1".to_owned())]);
        assert_eq!(bytes, b"A\n\x04\0\0\0\0\0\0\0x\nyz\nB=1\n");
    }
}
