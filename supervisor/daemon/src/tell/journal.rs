//! The journal's entry of an escalation. All other log lines go through tracing; sends nothing.
use wbd_model::entry::{Body, Subject};
use wbd_model::sentence::{Around, sentence};
use wbd_model::time::Now;

/// Far below what one datagram can carry.
const LONGEST: usize = 32 << 10;

/// An entry: field names and values.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// Whether our log goes to the journal; else it goes to standard error, and so do these entries.
pub(crate) fn is_ours() -> bool {
    wbd_agent_api::is_journal(std::env::var_os("JOURNAL_STREAM").as_deref(), std::io::stderr())
}

/// An escalation in a sentence.
pub(crate) fn sentence_of(about: &Subject, reason: &str) -> String {
    let body = Body::Escalated { reason: reason.to_owned(), guide: Vec::new() };
    sentence(about, &body, &Around::default())
}

/// Cuts a text to at most so many bytes, between two characters.
pub(crate) fn shorten(text: &mut String, most: usize) {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}

/// The entry of an escalation.
pub(crate) fn fields(about: &Subject, at: &Now, reason: &str, guide: &[String]) -> Fields {
    let word = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let body = Body::Escalated { reason: reason.to_owned(), guide: Vec::new() };
    let mut evidence: String =
        std::iter::once(reason).chain(guide.iter().map(String::as_str)).collect::<Vec<_>>().join("; ");
    shorten(&mut evidence, LONGEST);
    vec![
        ("MESSAGE", sentence(about, &body, &Around::default())),
        ("MESSAGE_ID", body.message_id().to_owned()),
        ("PRIORITY", body.priority().digit().to_owned()),
        ("SYSLOG_IDENTIFIER", "wbd-supervisord".to_owned()),
        ("WBD_CODE", word(about.code.as_ref().map(ToString::to_string))),
        ("WBD_INCIDENT", word(about.incident.map(|id| id.to_string()))),
        ("WBD_TARGET", word(about.target.as_ref().map(ToString::to_string))),
        ("WBD_TIME", (at.wall_ms / 1000).to_string()),
        ("KIND", "escalated".to_owned()),
        ("EVIDENCE", evidence),
    ]
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use wbd_ledger::enter_in_journal as send;
    use wbd_model::time::BootId;

    use super::*;

    fn entry(reason: &str) -> Fields {
        let at = Now { boot: BootId("b".to_owned()), boot_ms: 1, wall_ms: 5_000 };
        fields(&Subject::default(), &at, reason, &["look".to_owned()])
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (most, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "a\u{e9}"), (9, "a\u{e9}b")] {
            let mut text = "a\u{e9}b".to_owned();
            shorten(&mut text, most);
            assert_eq!(text, expected, "{most}");
        }
    }

    #[test]
    fn an_entry_is_one_datagram_and_a_missing_journal_is_told() {
        let root = tempfile::tempdir().unwrap();
        assert!(send(root.path(), &entry("why")).is_err());
        let folder = root.path().join("run/systemd/journal");
        std::fs::create_dir_all(&folder).unwrap();
        let journal = UnixDatagram::bind(folder.join("socket")).unwrap();
        send(root.path(), &entry("why")).unwrap();
        let mut bytes = [0; 4096];
        let length = journal.recv(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        for line in [
            "MESSAGE_ID=5f0a1f1dd2c14a4f9a1e5b6c7d8e9f01".to_owned(),
            "WBD_TIME=5".to_owned(),
            "EVIDENCE=why; look".to_owned(),
            "PRIORITY=3".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
