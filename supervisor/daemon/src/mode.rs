//! How the supervisor was started; decides nothing by it.
use wbd_model::control::STANDALONE;

/// How the supervisor was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Units over D-Bus.
    Systemd,
    /// Parent of the agent; no systemd, no bus, no root needed.
    Standalone,
}

impl Mode {
    /// Its name in records and in status.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Standalone => STANDALONE,
        }
    }
}
