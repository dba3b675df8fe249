//! The agent's log: one sentence a line on standard error. Where that is the journal, the journal has the moment, and the
//! line begins with the priority that the journal takes off (`<4>`, see sd-daemon(3)).

use std::fmt::Debug;
use std::io::{self, Stderr, Write};
use tracing::field::Field;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use wbd_agent_api::{Lines, is_journal};

/// Begins to log.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,wbd_agent=info"));
    let is_journal = is_journal(std::env::var_os("JOURNAL_STREAM").as_deref(), io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Sink { is_journal })
        .with_target(false)
        .with_ansi(false)
        .fmt_fields(debug_fn(sentence_alone))
        // To report a line that could not be written panics: with the journal gone every line would end the agent.
        .log_internal_errors(false);
    // Only a second log could be refused, and there is none.
    let _ = if is_journal { log.with_level(false).without_time().try_init() } else { log.try_init() };
}

fn sentence_alone(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    if field.name() == "message" { write!(out, "{value:?}") } else { Ok(()) }
}

/// Where lines go.
struct Sink {
    is_journal: bool,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Prefixed<Lines<Stderr>>;

    fn make_writer(&'a self) -> Self::Writer {
        Prefixed { prefix: "", lines: Lines(io::stderr()) }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        Prefixed { prefix: if self.is_journal { prefix(*meta.level()) } else { "" }, lines: Lines(io::stderr()) }
    }
}

const fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Takes one event at a time and puts the priority before it.
struct Prefixed<W> {
    prefix: &'static str,
    lines: W,
}

impl<W: Write> Write for Prefixed<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        if self.prefix.is_empty() {
            return self.lines.write(event);
        }
        self.lines.write_all(&[self.prefix.as_bytes(), event].concat())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_journal_begins_with_its_priority() {
        let mut sink = Prefixed { prefix: prefix(Level::WARN), lines: Lines(Vec::new()) };
        sink.write_all(b"it is so\n<0>and not this\n").unwrap();
        assert_eq!(String::from_utf8(sink.lines.0).unwrap(), "<4>it is so\\n<0>and not this\n");
        let mut sink = Prefixed { prefix: "", lines: Lines(Vec::new()) };
        sink.write_all(b"it is so\n").unwrap();
        assert_eq!(String::from_utf8(sink.lines.0).unwrap(), "it is so\n");
    }
}
