//! Heads of the ledger in the journal, out of reach of whoever can write the ledger's folder only. Judges no chain.
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use wbd_agent_api::program::{Output, Program, run};

use crate::journal::enter_in_journal;

/// The journal's MESSAGE_ID of an anchor.
pub const MESSAGE_ID: &str = wbd_model::message::ANCHOR;
const JOURNALCTL: &str = "/usr/bin/journalctl";
/// Whose anchors count: the journal itself says who sent an entry. Anybody may write one.
const UNIT: &str = "wbd-supervisord.service";
const UID: &str = "0";
/// A file of full size has about 4,000 anchors; of more only the newest are compared.
const MOST_ANCHORS: usize = 16_384;
/// Room for as many, with what journalctl adds to each.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// A journal of many files on a slow disk; who waits for longer is told that it could not be read.
const WITHIN: Duration = Duration::from_secs(5);

/// A head that the journal has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The record's number, from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// What the journal says of a ledger: every head that it vouches for, or why it could not be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors {
    /// Each of them must be in the ledger, or be older than its file.
    pub heads: Vec<Anchor>,
    /// Why the journal could not be read; whether the end was cut off is then not known, and the ledger not bad by that.
    pub unread: Option<String>,
}

impl Anchors {
    /// The one with the highest number.
    #[must_use]
    pub fn newest(&self) -> Option<&Anchor> {
        self.heads.iter().max_by_key(|head| head.seq)
    }
}

impl From<Anchor> for Anchors {
    fn from(head: Anchor) -> Self {
        Self { heads: vec![head], unread: None }
    }
}

/// The journal entry of a head: field names and values, none of them with a line feed.
#[must_use]
pub fn anchor_fields(seq: u64, hash: &str) -> Vec<(&'static str, String)> {
    vec![
        ("MESSAGE", format!("the ledger ends at record {seq} with hash {hash}")),
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
    enter_in_journal(root, &anchor_fields(seq, hash))
}

/// The anchors in the journal under `root`; blocks for at most 5 s. A root without a journal has none.
///
/// Only entries of the supervisor's own unit count, by the journal's word. Number 0 (sent when a package is purged, ledger
/// and all) ends what was before it: root sends that one from the package's script.
#[must_use]
pub fn anchors(root: &Path) -> Anchors {
    anchors_by(JOURNALCTL, root)
}

fn anchors_by(journalctl: &str, root: &Path) -> Anchors {
    let has_journal = ["var/log/journal", "run/log/journal"].iter().any(|folder| root.join(folder).is_dir());
    if !has_journal {
        return Anchors::default();
    }
    match answer(journalctl, question(root), WITHIN) {
        Ok(bytes) => Anchors { heads: read_answer(&bytes), unread: None },
        Err(why) => Anchors { heads: Vec::new(), unread: Some(why) },
    }
}

/// What journalctl is asked: the newest anchors in the journal under `root`.
fn question(root: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    if root != Path::new("/") {
        args.extend(["--root".into(), root.into()]);
    }
    let fields = "--output-fields=WBD_SEQ,WBD_HASH,_SYSTEMD_UNIT";
    args.extend(["--quiet", "--no-pager", "--output=json", fields].map(OsString::from));
    args.push(format!("--lines={MOST_ANCHORS}").into());
    args.push(format!("MESSAGE_ID={MESSAGE_ID}").into());
    args.push(format!("_UID={UID}").into());
    args
}

/// A bounded answer of a program that ends in time.
fn answer(path: &str, args: Vec<OsString>, within: Duration) -> Result<Vec<u8>, String> {
    let output = Output::Whole { most: MAX_ANSWER_BYTES };
    let said = run(&Program { path: path.into(), args, env: Vec::new(), deadline: within, output });
    let said = said.map_err(|error| error.to_string())?;
    if said.status.success() { Ok(said.stdout) } else { Err(format!("{path} failed ({})", said.status)) }
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "WBD_SEQ")]
    seq: String,
    #[serde(rename = "WBD_HASH")]
    hash: String,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    unit: String,
}

/// One object a line, oldest first; a line that is no anchor is nobody's.
fn read_answer(bytes: &[u8]) -> Vec<Anchor> {
    let mut heads = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(Line { seq, hash, unit }) = serde_json::from_slice::<Line>(line) else { continue };
        let Ok(seq) = seq.parse::<u64>() else { continue };
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match seq {
            0 => heads.clear(),
            seq if is_hash && unit == UNIT => heads.push(Anchor { seq, hash }),
            _ => {}
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

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
    fn only_the_journal_of_another_root_is_named_to_journalctl() {
        let asked = |root: &str| -> Vec<String> {
            question(Path::new(root)).into_iter().map(|argument| argument.into_string().unwrap()).collect()
        };
        let (ours, others) = (asked("/"), asked("/srv/host"));
        assert!(!ours.contains(&"--root".to_owned()), "{ours:?}");
        assert_eq!((&others[..2], &others[2..]), (&["--root".to_owned(), "/srv/host".to_owned()][..], &ours[..]));
        assert!(ours.contains(&"_UID=0".to_owned()), "{ours:?}");
    }

    #[test]
    fn only_a_whole_anchor_of_our_unit_is_one_and_a_purge_ends_those_before_it() {
        let hash = "a".repeat(64);
        let line = |seq: &str, hash: &str, unit: &str| {
            format!("{{\"WBD_SEQ\":\"{seq}\",\"WBD_HASH\":\"{hash}\",\"_SYSTEMD_UNIT\":\"{unit}\",\"x\":1}}\n")
        };
        let ours = |seq: &str| line(seq, &hash, UNIT);
        let seqs = |text: String| read_answer(text.as_bytes()).iter().map(|head| head.seq).collect::<Vec<_>>();
        assert_eq!(seqs(ours("7") + &ours("9") + &ours("8")), [7, 9, 8]);
        let others = [line("7", &hash, "user@0.service"), format!("{{\"WBD_SEQ\":\"7\",\"WBD_HASH\":\"{hash}\"}}\n")];
        for text in others.into_iter().chain([ours("x"), line("7", "ab", UNIT), "\n".to_owned(), "{\n".to_owned()]) {
            assert_eq!(seqs(text.clone() + &ours("1")), [1], "{text}");
        }
        assert_eq!(seqs(ours("7") + &line("0", "", "session-1.scope") + &ours("2")), [2]);
    }

    #[test]
    fn a_root_without_a_journal_has_no_anchors_and_one_that_does_not_answer_says_why() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(anchors(root.path()), Anchors::default());
        assert_eq!(anchors_by("/bin/false", root.path()), Anchors::default(), "nobody is asked");
        std::fs::create_dir_all(root.path().join("run/log/journal")).unwrap();
        assert!(anchors_by("/bin/false", root.path()).unread.is_some_and(|why| why.contains("failed")));
        assert_eq!(anchors_by("/bin/true", root.path()), Anchors::default());
        let asked = |program: &str, argument: &str, within| answer(program, vec![argument.into()], within);
        assert_eq!(asked("/bin/echo", "said", Duration::from_secs(60)), Ok(b"said\n".to_vec()));
        assert!(asked("/bin/sleep", "60", Duration::from_millis(50)).unwrap_err().contains("gave no answer"));
        assert!(asked("/bin/false", "", Duration::from_secs(60)).unwrap_err().contains("failed"));
        assert!(asked("/nonexistent", "", Duration::from_secs(60)).unwrap_err().contains("cannot start /nonexistent"));
    }
}
