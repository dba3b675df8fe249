//! The ledger's head in the journal, out of reach of whoever can write the ledger's folder only. Judges no chain.
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::files;

/// The journal's MESSAGE_ID of an anchor.
pub const MESSAGE_ID: &str = "fb9c4bfe407b413399ea65e038274537";
const JOURNALCTL: &str = "/usr/bin/journalctl";
const JOURNALCTL_DEADLINE: Duration = Duration::from_secs(2);
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// A head that the journal has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The record's number, from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// The journal entry of a head: field names and values, none of them with a line feed.
#[must_use]
pub fn anchor_fields(seq: u64, hash: &str) -> Vec<(&'static str, String)> {
    vec![
        ("MESSAGE", format!("ledger at record {seq}, hash {hash}")),
        ("MESSAGE_ID", MESSAGE_ID.to_owned()),
        ("PRIORITY", "6".to_owned()),
        ("SYSLOG_IDENTIFIER", "wbd-supervisord".to_owned()),
        ("WBD_SEQ", seq.to_string()),
        ("WBD_HASH", hash.to_owned()),
    ]
}

/// Writes a head into the journal under `root`, without waiting: a journal that hangs must not stop healing.
///
/// # Errors
/// No journal there, or its queue is full. The ledger is good without: note it once and go on.
pub fn send_anchor(root: &Path, seq: u64, hash: &str) -> io::Result<()> {
    let text: String = anchor_fields(seq, hash).iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(text.as_bytes(), root.join("run/systemd/journal/socket")).map(|_| ())
}

/// The newest anchor in the journal under `root`; `None` when there is none or the journal cannot be asked
/// in 2 s. Number 0 (sent when a package is purged, ledger and all) stands for "none".
///
/// Anybody may write to the journal: only entries of the ledger's owner count, whose user id the journal vouches for.
#[must_use]
pub fn last_anchor(root: &Path) -> Option<Anchor> {
    let state_dir = files::state_dir(root);
    let owner = std::fs::metadata(files::database(&state_dir)).or_else(|_| std::fs::metadata(&state_dir)).ok()?.uid();
    let mut command = Command::new(JOURNALCTL);
    if root != Path::new("/") {
        command.arg("--root").arg(root);
    }
    command
        .args(["--quiet", "--no-pager", "--output=json", "--output-fields=WBD_SEQ,WBD_HASH", "--lines=1"])
        .arg(format!("MESSAGE_ID={MESSAGE_ID}"))
        .arg(format!("_UID={owner}"));
    read_answer(&answer(command)?)
}

/// A short answer of a program: at most one pipe full, so that it cannot block on writing it.
fn answer(mut command: Command) -> Option<Vec<u8>> {
    let deadline = Instant::now() + JOURNALCTL_DEADLINE;
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => break None,
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    if !status?.success() {
        return None;
    }
    let mut bytes = Vec::new();
    child.stdout.take()?.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "WBD_SEQ")]
    seq: String,
    #[serde(rename = "WBD_HASH")]
    hash: String,
}

fn read_answer(bytes: &[u8]) -> Option<Anchor> {
    let line: Line = serde_json::from_slice(bytes.trim_ascii()).ok()?;
    let seq = line.seq.parse().ok().filter(|seq| *seq > 0)?;
    let is_hash = line.hash.len() == 64 && line.hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then_some(Anchor { seq, hash: line.hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_one_datagram_of_fields() {
        let root = tempfile::tempdir().unwrap();
        assert!(send_anchor(root.path(), 7, "ab").is_err());
        let dir = root.path().join("run/systemd/journal");
        std::fs::create_dir_all(&dir).unwrap();
        let journal = UnixDatagram::bind(dir.join("socket")).unwrap();
        send_anchor(root.path(), 7, "ab").unwrap();
        let mut buffer = [0; 4096];
        let length = journal.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        for line in ["WBD_SEQ=7", "WBD_HASH=ab", &format!("MESSAGE_ID={MESSAGE_ID}")] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn only_a_whole_anchor_is_one() {
        let hash = "a".repeat(64);
        let line = |seq: &str, hash: &str| format!("{{\"WBD_SEQ\":\"{seq}\",\"WBD_HASH\":\"{hash}\",\"x\":1}}\n");
        assert_eq!(read_answer(line("7", &hash).as_bytes()), Some(Anchor { seq: 7, hash: hash.clone() }));
        for text in [line("0", &hash), line("x", &hash), line("7", "ab"), String::new(), "{".to_owned()] {
            assert_eq!(read_answer(text.as_bytes()), None, "{text}");
        }
    }
}
