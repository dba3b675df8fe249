//! Asks the supervisor over its control socket: one question, one answer, one deadline. Knows no verbs.
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;
use wbd_model::control::{INTERFACE, OBJECT, Request, Response, SOCKET};

use crate::exit::{Exit, Failure};

/// A supervisor that turns us away at the door is tried again so often ...
const TRIES: u32 = 10;
/// ... after this pause.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Nobody listens.
    Unreachable(String),
    /// This user may not ask.
    NotPermitted(String),
    /// The deadline passed.
    Late(String),
    /// An answer that makes no sense.
    Garbled(String),
}

impl Unanswered {
    /// In words.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Unreachable(text) | Self::NotPermitted(text) | Self::Late(text) | Self::Garbled(text) => text,
        }
    }
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        let exit = match unanswered {
            Unanswered::Unreachable(_) => Exit::Unreachable,
            Unanswered::NotPermitted(_) => Exit::NotPermitted,
            Unanswered::Late(_) => Exit::TryAgain,
            Unanswered::Garbled(_) => Exit::Failed,
        };
        Self::new(exit, unanswered.message())
    }
}

/// The way to one supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
    timeout: Duration,
}

impl Client {
    /// To the supervisor under a root.
    pub(crate) fn new(root: &Path, timeout: Duration) -> Self {
        Self { socket: root.join(SOCKET), timeout }
    }

    /// The same way, waiting no longer than so.
    pub(crate) fn within(&self, time: Duration) -> Self {
        Self { socket: self.socket.clone(), timeout: self.timeout.min(time) }
    }

    /// The same way, waiting at least so long: for an answer that comes when something is done.
    pub(crate) fn patient(&self, time: Duration) -> Self {
        Self { socket: self.socket.clone(), timeout: self.timeout.max(time) }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn call(&self, request: &Request) -> Result<Response, Unanswered> {
        let question = serde_json::to_string(request)
            .map_err(|error| Unanswered::Garbled(format!("bug: cannot write the request: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Unanswered::Late(format!("cannot wait for the supervisor: {error}")))?;
        let answer = runtime.block_on(async {
            tokio::time::timeout(self.timeout, self.exchange(&question)).await.unwrap_or_else(|_| Err(self.late()))
        });
        // Whatever the connection still does in the background ends here, not at its leisure.
        runtime.shutdown_background();
        serde_json::from_str(&answer?).map_err(|error| {
            Unanswered::Garbled(format!(
                "cannot read the supervisor's answer: {error}; are wbdctl and wbd-supervisord of one version?"
            ))
        })
    }

    async fn exchange(&self, question: &str) -> Result<String, Unanswered> {
        let broken = |error: zbus::Error| self.broken(error);
        let mut tries = 0;
        let connection = loop {
            let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.refused(&error))?;
            let builder = zbus::connection::Builder::unix_stream(stream).p2p().method_timeout(self.timeout);
            match builder.build().await {
                Ok(connection) => break connection,
                // Turned away because too many wait. Nothing was asked yet, so asking again is no second time.
                Err(_) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(broken(error)),
            }
        };
        let reply =
            connection.call_method(None::<&str>, OBJECT, Some(INTERFACE), "Call", &question).await.map_err(broken)?;
        reply.body().deserialize::<String>().map_err(broken)
    }

    fn refused(&self, error: &io::Error) -> Unanswered {
        let socket = self.socket.display();
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Unanswered::NotPermitted(format!("not permitted to use {socket}: run wbdctl as root"));
        }
        Unanswered::Unreachable(format!(
            "cannot reach the supervisor at {socket}: {error}; start it: systemctl start wbd-supervisord"
        ))
    }

    fn broken(&self, error: zbus::Error) -> Unanswered {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a foreign enum; every other kind means a broken conversation"
        )]
        match error {
            zbus::Error::MethodError(name, text, _) if name.ends_with("AccessDenied") => Unanswered::NotPermitted(
                text.unwrap_or_else(|| "the supervisor does not permit this; run wbdctl as root".to_owned()),
            ),
            zbus::Error::InputOutput(error) if error.kind() == io::ErrorKind::TimedOut => self.late(),
            error => Unanswered::Garbled(format!(
                "the supervisor at {} did not answer as it should: {error}; see journalctl -u wbd-supervisord",
                self.socket.display()
            )),
        }
    }

    fn late(&self) -> Unanswered {
        Unanswered::Late(format!(
            "no answer of the supervisor within {} s; try again, or wait longer with --timeout",
            self.timeout.as_secs_f32()
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn an_absent_supervisor_is_told_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let client = Client::new(root.path(), Duration::from_secs(1));
        let failure = Failure::from(client.call(&Request::Status {}).unwrap_err());
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.message.contains("systemctl start wbd-supervisord"), "{}", failure.message);
    }

    #[test]
    fn a_silent_supervisor_costs_no_more_than_the_deadline() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/wbd")).unwrap();
        let _listener = UnixListener::bind(root.path().join(SOCKET)).unwrap();
        let client = Client::new(root.path(), Duration::from_millis(200));
        let failure = Failure::from(client.call(&Request::Status {}).unwrap_err());
        assert_eq!(failure.exit, Exit::TryAgain, "{}", failure.message);
    }
}
