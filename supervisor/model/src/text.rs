//! Text as screens and the journal show it: what came from the host cannot add a line, steer a terminal or turn words
//! around. Chooses no words.
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use unicode_width::UnicodeWidthStr;

/// A text that is safe to show, on one line. Every screen and the journal take nothing else, so that it does not matter
/// which part of a text is ours and which the host's; documents for programs hold the text as it is.
///
/// Escaped are control characters (`\n`, `\t`, `\r`, `\x1b`) and every other character that cannot be seen or that moves
/// what stands around it (`\u{202e}`, `\u{200b}`). Backslashes stay, so a text that was shown once is shown the same again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a>(Cow<'a, str>);

impl<'a> Shown<'a> {
    /// Of any text.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        if text.chars().all(is_visible) {
            return Self(Cow::Borrowed(text));
        }
        let mut shown = String::with_capacity(text.len() + 8);
        for ch in text.chars() {
            match ch {
                '\n' => shown.push_str("\\n"),
                '\t' => shown.push_str("\\t"),
                '\r' => shown.push_str("\\r"),
                ch if ch.is_ascii_control() => {
                    // Writing into a text does not fail.
                    let _ = write!(shown, "\\x{:02x}", u32::from(ch));
                }
                ch if is_visible(ch) => shown.push(ch),
                ch => shown.extend(ch.escape_unicode()),
            }
        }
        Self(Cow::Owned(shown))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Columns that a terminal needs for a text: two for a wide character (Japanese), none for an accent on the one before.
#[must_use]
pub fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Whether a reader sees it, as itself and in its place.
fn is_visible(ch: char) -> bool {
    match ch {
        ' '..='~' => true,
        // Nothing to see, though they are no control or format characters: fillers, joiners, variation selectors.
        '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => false,
        '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}' => false,
        '\u{2028}' | '\u{2029}' => false,
        ch if ch.is_control() => false,
        ch if ch.is_whitespace() => true,
        ch => {
            // The standard library knows what cannot be printed: format characters (bidi overrides too), private and
            // unassigned ones. After a letter it lets accents stand.
            let mut bytes = [b'a', 0, 0, 0, 0];
            let end = bytes.get_mut(1..).map_or(0, |rest| ch.encode_utf8(rest).len()) + 1;
            let pair = bytes.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
            pair.is_some_and(|pair| pair.escape_debug().count() == 2)
        }
    }
}

/// An error with its causes, in one line; a cause that the words before it tell already is not told again.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// A path for messages. Bytes that are no UTF-8 stand as `\xNN`, in documents too, which hold text only.
#[must_use]
pub fn named(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        name.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing into a text does not fail.
            let _ = write!(name, "\\x{byte:02x}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn what_steers_a_screen_is_escaped_and_words_of_any_language_are_not() {
        let cases = [
            ("a\nOK: 9 checks pass", "a\\nOK: 9 checks pass"),
            ("\x1b[2J\x07\x7f\0", "\\x1b[2J\\x07\\x7f\\x00"),
            ("a\tb\r", "a\\tb\\r"),
            ("\u{202e}txt\u{2066}\u{200f}", "\\u{202e}txt\\u{2066}\\u{200f}"),
            ("a\u{2028}b\u{2029}\u{85}\u{9b}", "a\\u{2028}b\\u{2029}\\u{85}\\u{9b}"),
            (
                "a\u{200b}\u{feff}\u{ad}\u{e0041}\u{fe0f}\u{3164}",
                "a\\u{200b}\\u{feff}\\u{ad}\\u{e0041}\\u{fe0f}\\u{3164}",
            ),
            ("日本語\u{3000}フォルダー é e\u{301} 'q' \"w\"", "日本語\u{3000}フォルダー é e\u{301} 'q' \"w\""),
            ("C:\\x1b", "C:\\x1b"),
        ];
        for (text, expected) in cases {
            let shown = Shown::of(text);
            assert_eq!(shown.as_str(), expected);
            assert_eq!(Shown::of(shown.as_str()), shown, "shown twice");
            assert_eq!(format!("{shown:>30}"), format!("{expected:>30}"));
        }
    }

    #[test]
    fn no_character_is_shown_that_a_terminal_obeys_or_nobody_sees() {
        for ch in '\0'..=char::MAX {
            let text = ch.to_string();
            let shown = Shown::of(&text);
            let is_same = shown.as_str() == text;
            let obeyed = ch.is_control()
                || matches!(ch, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
            assert!(!(is_same && obeyed), "{ch:?}");
            assert!(is_same || shown.as_str().is_ascii() && shown.as_str().starts_with('\\'), "{ch:?}");
        }
    }

    #[test]
    fn a_wide_character_takes_two_columns_and_an_accent_none() {
        let cases = [("", 0), ("abc", 3), ("日本語", 6), ("ｱｲｳ", 3), ("e\u{301}", 1), ("→ é", 3)];
        for (text, expected) in cases {
            assert_eq!(columns(text), expected, "{text}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_none_of_them_twice() {
        let told = |texts: &[&'static str]| {
            let layers = texts.iter().rev().fold(None, |source, text| Some(Box::new(Layer { text, source })));
            chain(&*layers.unwrap())
        };
        assert_eq!(told(&["cannot open a.db"]), "cannot open a.db");
        assert_eq!(told(&["cannot open a.db", "disk", "no space"]), "cannot open a.db: disk: no space");
        assert_eq!(told(&["cannot open a.db: disk", "disk", "no space"]), "cannot open a.db: disk: no space");
    }

    #[test]
    fn a_path_of_any_bytes_has_a_name() {
        let path = Path::new(OsStr::from_bytes(b"/srv/\xff\xfe/\xe6\x97\xa5\n"));
        assert_eq!(named(path), "/srv/\\xff\\xfe/日\n");
    }
}
