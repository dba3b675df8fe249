//! The one writer to standard output: a closed pipe is quiet, a full disk is kept as one error. Decides no wording.
use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use wbd_model::text::Shown;

use crate::cli::{ColorArg, Format};
use crate::columns;
use crate::exit::Failure;

/// How a piece of text is set off; never the only sign of its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// Healthy, done.
    Good,
    /// A warning.
    Warn,
    /// A failure.
    Bad,
    /// Less important.
    Faint,
}

impl Tone {
    const fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
            Self::Faint => "\x1b[2m",
        }
    }
}

/// Columns before what goes on below an entry with a long head.
const BELOW: usize = 8;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Colour may be used.
    pub(crate) colour: bool,
    /// Only ASCII can be shown.
    pub(crate) ascii: bool,
    /// Columns of a line.
    pub(crate) width: usize,
    /// Standard output is a terminal.
    pub(crate) terminal: bool,
}

/// The environment variables that decide the style, as they were at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set and not empty.
    pub(crate) locale: String,
    /// `NO_COLOR` is set and not empty.
    pub(crate) no_color: bool,
    /// `TERM` is `dumb`.
    pub(crate) dumb: bool,
    /// Standard output is a terminal.
    pub(crate) terminal: bool,
    /// Columns of its lines.
    pub(crate) width: usize,
}

impl Surroundings {
    /// Of this process.
    pub(crate) fn here() -> Self {
        let read = |name: &str| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
        };
        Self {
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(read).unwrap_or_default(),
            no_color: read("NO_COLOR").is_some(),
            dumb: read("TERM").as_deref() == Some("dumb"),
            terminal: io::stdout().is_terminal(),
            width: columns::of_stdout(),
        }
    }

    /// What may be used.
    pub(crate) fn style(&self, color: ColorArg) -> Style {
        let locale = self.locale.to_ascii_lowercase();
        Style {
            colour: match color {
                ColorArg::Always => true,
                ColorArg::Never => false,
                ColorArg::Auto => self.terminal && !self.no_color && !self.dumb,
            },
            ascii: !(locale.contains("utf-8") || locale.contains("utf8")),
            width: self.width,
            terminal: self.terminal,
        }
    }
}

/// The writer.
pub(crate) struct Out {
    sink: Box<dyn Write>,
    style: Style,
    trouble: Option<io::Error>,
}

impl Out {
    /// To standard output.
    pub(crate) fn stdout(style: Style) -> Self {
        Self::to(Box::new(io::BufWriter::new(io::stdout())), style)
    }

    /// To anything that takes bytes.
    pub(crate) fn to(sink: Box<dyn Write>, style: Style) -> Self {
        Self { sink, style, trouble: None }
    }

    /// Nobody reads any more, or nothing can be written any more: a command that repeats itself ends.
    pub(crate) fn is_closed(&self) -> bool {
        self.trouble.is_some()
    }

    /// Columns of a line.
    pub(crate) fn width(&self) -> usize {
        self.style.width
    }

    /// Columns that a text takes here, as it is shown.
    pub(crate) fn columns(&self, text: &str) -> usize {
        wbd_model::text::columns(&self.printable(text))
    }

    /// A text as it is shown, filled up to so many columns; a wider one stays whole.
    pub(crate) fn padded(&self, text: &str, width: usize) -> String {
        columns::padded(&self.printable(text), width)
    }

    fn printable(&self, text: &str) -> String {
        printable(&Shown::of(text), self.style.ascii)
    }

    /// One line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.spans(&[(Tone::Plain, text.as_ref())]);
    }

    /// One line of pieces.
    pub(crate) fn spans(&mut self, spans: &[(Tone, &str)]) {
        let mut line = String::new();
        for (tone, text) in spans {
            let text = self.printable(text);
            if self.style.colour && *tone != Tone::Plain && !text.is_empty() {
                line.push_str(tone.escape());
                line.push_str(&text);
                line.push_str("\x1b[0m");
            } else {
                line.push_str(&text);
            }
        }
        while line.ends_with(' ') {
            line.pop();
        }
        line.push('\n');
        self.raw(line.as_bytes());
    }

    /// Begins a page that takes the place of the one before, on a terminal; elsewhere an empty line parts them.
    pub(crate) fn begin_screen(&mut self) {
        if io::stdout().is_terminal() && self.style.colour {
            // Its window may have another size by now.
            self.style.width = columns::of_stdout();
            self.raw(b"\x1b[H\x1b[2J");
        } else {
            self.line("");
        }
    }

    /// A heading, after an empty line.
    pub(crate) fn heading(&mut self, text: &str) {
        self.line("");
        self.hanging(&[], Tone::Strong, text);
    }

    /// A paragraph: `lead` before its first line, the rest indented below the text.
    pub(crate) fn paragraph(&mut self, lead: &str, text: &str) {
        self.hanging(&[(Tone::Plain, lead)], Tone::Plain, text);
    }

    /// The same in tones.
    pub(crate) fn hanging(&mut self, lead: &[(Tone, &str)], tone: Tone, text: &str) {
        let indent = lead.iter().map(|(_, text)| self.columns(text)).sum();
        let below = " ".repeat(indent);
        for (number, part) in columns::wrap(&self.printable(text), indent, self.width()).iter().enumerate() {
            let before = if number == 0 { lead } else { &[(Tone::Plain, below.as_str())] };
            self.spans(&[before, &[(tone, part)]].concat());
        }
    }

    /// One entry of a list, never cut: on a terminal it goes on below, elsewhere it is one line.
    pub(crate) fn entry(&mut self, lead: &[(Tone, &str)], tone: Tone, text: &str) {
        let taken: usize = lead.iter().map(|(_, text)| self.columns(text)).sum();
        let lines = columns::wrap(&self.printable(text), taken, self.width());
        let (Some((first, rest)), true) = (lines.split_first(), self.style.terminal) else {
            return self.spans(&[lead, &[(tone, text)]].concat());
        };
        self.spans(&[lead, &[(tone, first)]].concat());
        // A long head would leave a narrow column.
        let below = " ".repeat(if taken * 2 > self.width() { BELOW } else { taken });
        for part in columns::wrap(&rest.join(" "), below.len(), self.width()) {
            self.spans(&[(Tone::Plain, below.as_str()), (tone, &part)]);
        }
    }

    /// A value for programs.
    ///
    /// # Errors
    /// Only our own mistake: a value that cannot be written as JSON or YAML.
    pub(crate) fn document(&mut self, format: Format, value: &impl Serialize) -> Result<(), Failure> {
        let text = match format {
            Format::Yaml => serde_saphyr::to_string(value).map_err(Failure::bug)?,
            Format::Json | Format::Text | Format::Nagios => {
                serde_json::to_string_pretty(value).map_err(Failure::bug)? + "\n"
            }
        };
        self.raw(text.as_bytes());
        Ok(())
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        if self.trouble.is_none() {
            self.trouble = self.sink.write_all(bytes).err();
        }
    }

    /// Makes what was written visible now.
    pub(crate) fn flush(&mut self) {
        if self.trouble.is_none() {
            self.trouble = self.sink.flush().err();
        }
    }

    /// The end: what went wrong, unless the reader merely went away.
    pub(crate) fn finish(mut self) -> Option<io::Error> {
        self.flush();
        self.trouble.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }
}

/// Text as this terminal can show it.
fn printable(text: &Shown<'_>, ascii: bool) -> String {
    let mut shown = String::with_capacity(text.as_str().len());
    for ch in text.as_str().chars() {
        match ch {
            ch if ascii && !ch.is_ascii() => shown.push_str(match ch {
                '\u{2018}' | '\u{2019}' => "'",
                '\u{201c}' | '\u{201d}' => "\"",
                '\u{2013}' | '\u{2014}' => "-",
                '\u{2026}' => "...",
                '\u{2192}' => "->",
                _ => "?",
            }),
            ch => shown.push(ch),
        }
    }
    shown
}

#[cfg(test)]
pub(crate) mod testing {
    //! A writer whose text a test can read.
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;

    use super::{Out, Style};
    use crate::columns::USUAL;

    #[derive(Clone, Default)]
    pub(crate) struct Page(Rc<RefCell<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The text that `write` writes, plain and in ASCII.
    pub(crate) fn text_of(write: impl FnOnce(&mut Out)) -> String {
        written(Style { colour: false, ascii: true, width: USUAL, terminal: false }, write)
    }

    /// The same in UTF-8.
    pub(crate) fn utf8_text_of(write: impl FnOnce(&mut Out)) -> String {
        utf8_text_within(USUAL, write)
    }

    /// The same on a terminal of so many columns.
    pub(crate) fn utf8_text_within(width: usize, write: impl FnOnce(&mut Out)) -> String {
        written(Style { colour: false, ascii: false, width, terminal: true }, write)
    }

    pub(crate) fn written(style: Style, write: impl FnOnce(&mut Out)) -> String {
        let page = Page::default();
        let mut out = Out::to(Box::new(page.clone()), style);
        write(&mut out);
        assert!(out.finish().is_none());
        String::from_utf8(page.0.take()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(io::ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const PLAIN: Style = Style { colour: false, ascii: true, width: columns::USUAL, terminal: false };

    #[test]
    fn a_closed_pipe_is_quiet_and_a_full_disk_is_told() {
        for (kind, told) in [(io::ErrorKind::BrokenPipe, false), (io::ErrorKind::StorageFull, true)] {
            let mut out = Out::to(Box::new(Refuses(kind)), PLAIN);
            out.line("text");
            assert!(out.is_closed());
            assert_eq!(out.finish().is_some(), told, "{kind}");
        }
    }

    #[test]
    fn text_of_the_host_cannot_steer_the_terminal() {
        assert_eq!(printable(&Shown::of("a\x1b[2Jb\u{2014}\u{65e5}"), true), "a\\x1b[2Jb-?");
        assert_eq!(printable(&Shown::of("\u{65e5}"), false), "\u{65e5}");
    }

    #[test]
    fn a_paragraph_ends_within_the_width_whatever_its_characters_become() {
        let text = "a \u{2192} b\u{2026} \u{1b}[2J 日本語 ".repeat(20);
        for width in [40, 55, 80] {
            let style = |ascii| Style { width, ascii, ..PLAIN };
            for ascii in [true, false] {
                let page = testing::written(style(ascii), |out| out.paragraph("  例1: ", &text));
                let lines: Vec<&str> = page.lines().collect();
                assert!(lines.len() > 5, "{page}");
                assert!(lines.iter().all(|line| wbd_model::text::columns(line) <= width), "{width}: {page}");
                let indent = if ascii { 6 } else { 7 };
                assert!(lines.iter().skip(1).all(|line| line.len() - line.trim_start().len() == indent), "{page}");
            }
        }
    }

    #[test]
    fn an_entry_of_a_list_is_whole_and_in_a_pipe_one_line() {
        let text = "case dead; ".repeat(20) + "the word that matters";
        let page = |terminal, width, head: &str| {
            let style = Style { terminal, width, ..PLAIN };
            testing::written(style, |out| out.entry(&[(Tone::Plain, head)], Tone::Plain, &text))
        };
        let piped = page(false, 80, "  I4 ");
        assert_eq!((piped.lines().count(), piped.trim_end().ends_with("that matters")), (1, true), "{piped}");
        for (width, head, indent) in [(80, "  I4 ", 5), (60, "  I4 WBD-6007 on a-target-with-a-long-name ", 8)] {
            let shown = page(true, width, head);
            assert!(shown.lines().all(|line| line.len() <= width) && shown.lines().count() > 2, "{shown}");
            let below = |line: &str| line.len() - line.trim_start().len() == indent;
            assert!(shown.lines().skip(1).all(below), "{shown}");
            assert_eq!(
                shown.split_whitespace().count(),
                text.split_whitespace().count() + head.split_whitespace().count()
            );
        }
    }

    #[test]
    fn colour_needs_a_terminal_that_wants_it() {
        let mut here = Surroundings { terminal: true, locale: "en_US.UTF-8".into(), ..Surroundings::default() };
        assert!(here.style(ColorArg::Auto).colour && !here.style(ColorArg::Auto).ascii);
        assert!(!here.style(ColorArg::Never).colour);
        here.no_color = true;
        assert!(!here.style(ColorArg::Auto).colour);
        assert!(here.style(ColorArg::Always).colour);
        here.locale = "C".into();
        assert!(here.style(ColorArg::Auto).ascii);
    }
}
