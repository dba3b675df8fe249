//! The demo's screen: lines as things happen, and on a terminal the seconds that pass meanwhile. Measures nothing.
use std::io::IsTerminal;

use crate::out::{Out, Tone};

/// The screen; silent where the answer is for programs.
pub(crate) struct Show<'a> {
    out: &'a mut Out,
    text: bool,
    live: bool,
    pending: bool,
}

impl<'a> Show<'a> {
    /// On this writer.
    pub(crate) fn new(out: &'a mut Out, text: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { out, text, live: text && !dumb && std::io::stdout().is_terminal(), pending: false }
    }

    /// Nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.out.is_closed()
    }

    /// A heading.
    pub(crate) fn heading(&mut self, text: &str) {
        self.with(|out| out.heading(text));
    }

    /// One line.
    pub(crate) fn line(&mut self, text: &str) {
        self.with(|out| out.paragraph("", text));
    }

    /// Something that happened, so many milliseconds after the break.
    pub(crate) fn event(&mut self, after_ms: u64, word: &str, tone: Tone, text: &str) {
        let time = format!("  {:>3}.{:02} s  ", after_ms / 1000, after_ms % 1000 / 10);
        let word = format!("{word:<10} ");
        self.with(|out| out.hanging(&[(Tone::Faint, &time), (tone, &word)], Tone::Plain, text));
    }

    /// The seconds that pass, in place.
    pub(crate) fn tick(&mut self, after_ms: u64) {
        if self.live {
            self.out.raw(format!("\r  {:>3}.{} s  ...", after_ms / 1000, after_ms % 1000 / 100).as_bytes());
            self.out.flush();
            self.pending = true;
        }
    }

    /// Anything else.
    pub(crate) fn with(&mut self, write: impl FnOnce(&mut Out)) {
        if !self.text {
            return;
        }
        self.clear();
        write(self.out);
        self.out.flush();
    }

    fn clear(&mut self) {
        if self.pending {
            self.out.raw(b"\r\x1b[K");
            self.pending = false;
        }
    }
}

impl Drop for Show<'_> {
    fn drop(&mut self) {
        self.clear();
        self.out.flush();
    }
}
