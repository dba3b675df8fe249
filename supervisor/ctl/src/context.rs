//! What every verb is given: the root, the form of the answer, and the way to the supervisor.
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Format, LangArg};
use crate::client::Client;
use crate::out::Out;

/// What every verb is given.
pub(crate) struct Context {
    /// All of wbd's paths are under it.
    pub(crate) root: PathBuf,
    /// The settings file, where it is not the one under the root.
    pub(crate) config: Option<PathBuf>,
    /// Form of the answer.
    pub(crate) format: Format,
    /// Language of texts.
    pub(crate) lang: LangArg,
    /// For one answer of the supervisor.
    pub(crate) timeout: Duration,
    /// The doctor that wants this examination, where this process is a part of it.
    pub(crate) examine_for: Option<u32>,
    /// Standard output.
    pub(crate) out: Out,
}

impl Context {
    /// The way to the supervisor.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.root, self.timeout)
    }
}
