//! The command line; what the words do stands elsewhere.

use clap::{ArgGroup, Parser, ValueEnum};
use std::path::PathBuf;

/// Webshell behaviour detector agent.
#[derive(Debug, Parser)]
#[command(name = "wbd_agent", version, about, group = ArgGroup::new("mode").required(true))]
pub(crate) struct Cli {
    /// Start, stop or reload the agent; fine if it is so already
    #[arg(short = 's', value_name = "VERB", group = "mode", value_enum)]
    pub(crate) verb: Option<Verb>,
    /// Run here until SIGTERM, for service units
    #[arg(long, group = "mode")]
    pub(crate) foreground: bool,
    /// Folder under which all of the agent's own files are
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// Seconds of health after which the settings count as good
    #[arg(long, value_name = "SECONDS", default_value_t = 60, hide = true)]
    pub(crate) good_after: u64,
    /// Leave the session of whoever started us (`-s start` sets it)
    #[arg(long, hide = true, requires = "foreground")]
    pub(crate) new_session: bool,
}

/// What `-s` can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verb {
    /// Start the agent unless it runs.
    Start,
    /// Stop the agent, and note that it was wanted.
    Stop,
    /// Let the running agent read its settings and look again.
    Reload,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn takes_the_documented_forms_and_no_others() {
        Cli::command().debug_assert();
        for good in [&["-s", "start"][..], &["-s", "reload", "--root", "/x"], &["--foreground"]] {
            assert!(Cli::try_parse_from([&["wbd_agent"], good].concat()).is_ok(), "{good:?}");
        }
        for bad in [&[][..], &["-s"], &["-s", "restart"], &["-s", "start", "--foreground"], &["--new-session"]] {
            assert!(Cli::try_parse_from([&["wbd_agent"], bad].concat()).is_err(), "{bad:?}");
        }
    }
}
