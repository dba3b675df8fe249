//! Log lines: to the journal where systemd started us, else to standard error. The journal is never waited for: one
//! that hangs must not hold up the loop, so a line that it does not take at once is lost, and counted.
use std::fmt::{Debug, Write as _};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};
use wbd_agent_api::Lines;
use wbd_ledger::enter_in_journal;
use wbd_model::message::Priority;

/// Begins to log.
pub(crate) fn begin() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,wbd_supervisord=info"));
    if crate::tell::journal::is_ours() {
        registry().with(filter).with(Journal::default()).init();
    } else {
        // One line an event, without colours: whatever steers a terminal would be the host's.
        let stderr = || Lines(io::stderr());
        // To report a line that could not be written panics: a reader that went away must not end the loop.
        let layer = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(false).log_internal_errors(false);
        let layer = layer.with_target(false).fmt_fields(debug_fn(sentence_alone));
        registry().with(filter).with(layer).init();
    }
}

/// Sends each line as an entry of its own.
#[derive(Debug, Default)]
struct Journal {
    lost: AtomicU64,
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut words = Words::default();
        event.record(&mut words);
        let mut fields = vec![("SYSLOG_IDENTIFIER".to_owned(), "wbd-supervisord".to_owned())];
        // A record has its own, which a level cannot say.
        if !words.0.iter().any(|(name, _)| name == "PRIORITY") {
            fields.push(("PRIORITY".to_owned(), priority(*metadata.level()).digit().to_owned()));
        }
        fields.push(("TARGET".to_owned(), metadata.target().to_owned()));
        fields.extend(words.0);
        self.enter(fields);
    }
}

impl Journal {
    fn enter(&self, fields: Vec<(String, String)>) {
        let borrowed: Vec<(&str, String)> = fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        if enter_in_journal(Path::new("/"), &borrowed).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} log lines were lost while the journal took none; the ledger has them all");
            let note = [
                ("PRIORITY", Priority::Warning.digit().to_owned()),
                ("SYSLOG_IDENTIFIER", "wbd-supervisord".to_owned()),
                ("MESSAGE", text),
            ];
            if enter_in_journal(Path::new("/"), &note).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }
}

const fn priority(level: Level) -> Priority {
    match level {
        Level::ERROR => Priority::Error,
        Level::WARN => Priority::Warning,
        Level::INFO => Priority::Info,
        Level::DEBUG | Level::TRACE => Priority::Debug,
    }
}

/// On standard error the sentence stands alone: it says all, and the fields are the journal's.
fn sentence_alone(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    if field.name() == "message" { write!(out, "{value:?}") } else { Ok(()) }
}

/// An event's fields under the names that the journal takes: capitals, digits and underscores.
#[derive(Debug, Default)]
struct Words(Vec<(String, String)>);

impl Words {
    fn add(&mut self, field: &Field, value: String) {
        let name: String = field
            .name()
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
            .collect();
        // The journal drops fields that begin like its own.
        self.0.push((name.trim_start_matches(|first: char| first == '_' || first.is_ascii_digit()).to_owned(), value));
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = write!(text, "{value:?}");
        self.add(field, text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what would be sent.
    struct Kept(Arc<Mutex<Vec<(String, String)>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut words = Words::default();
            event.record(&mut words);
            self.0.lock().unwrap().extend(words.0);
        }
    }

    #[test]
    fn both_halves_show_every_character_alike() {
        for ch in '\0'..=char::MAX {
            let text = format!("a{ch}b");
            assert_eq!(wbd_model::text::Shown::of(&text).as_str(), wbd_agent_api::shown(&text), "{ch:?}");
        }
    }

    #[test]
    fn fields_have_names_that_the_journal_takes() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let subscriber = registry().with(Kept(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(WBD_CODE = "X-1", _hidden = 3, reason = %"why", list = ?[1], "a line");
        });
        let expected =
            [("MESSAGE", "a line"), ("WBD_CODE", "X-1"), ("HIDDEN", "3"), ("REASON", "why"), ("LIST", "[1]")];
        let kept = kept.lock().unwrap();
        for (name, value) in expected {
            assert!(kept.contains(&(name.to_owned(), value.to_owned())), "{name} in {kept:?}");
        }
    }
}
