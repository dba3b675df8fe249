//! Text as the log shows it: one line an event, whatever the host put into a name. Chooses no words.

use std::fmt::Write as _;
use std::io;

/// A text on one line, with every character escaped that cannot be seen or that steers a terminal. The supervisor's
/// half shows texts alike, by the same rule.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            ch if ch.is_ascii_control() => {
                // Writing into a text does not fail.
                let _ = write!(line, "\\x{:02x}", u32::from(ch));
            }
            ch if is_visible(ch) => line.push(ch),
            ch => line.extend(ch.escape_unicode()),
        }
    }
    line
}

fn is_visible(ch: char) -> bool {
    match ch {
        ' '..='~' => true,
        '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => false,
        '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}' => false,
        '\u{2028}' | '\u{2029}' => false,
        ch if ch.is_control() => false,
        ch if ch.is_whitespace() => true,
        // What the standard library would not print as it is, next to a letter.
        ch => format!("a{ch}").escape_debug().count() == 2,
    }
}

/// A log's sink that takes one event at a time, with its line feed, and writes it as one line.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: io::Write> io::Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = shown(text.strip_suffix('\n').unwrap_or(&text)) + "\n";
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let mut sink = Lines(Vec::new());
        io::Write::write_all(&mut sink, "cannot watch /srv/a\nINFO all is well\x1b[2J\u{202e}\n".as_bytes()).unwrap();
        let text = String::from_utf8(sink.0).unwrap();
        assert_eq!(text, "cannot watch /srv/a\\nINFO all is well\\x1b[2J\\u{202e}\n");
    }
}
