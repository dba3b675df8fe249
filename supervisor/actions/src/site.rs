//! Runs the site's own program for an incident that needs a person. No action: it changes nothing of wbd's.
use std::path::Path;
use std::time::Duration;

use wbd_model::action::Class;
use wbd_model::entry::Outcome;
use wbd_model::forbidden::Purpose;
use wbd_model::profile::{self, Command};

use crate::program::{self, Parent, Rule};

/// Runs it under the rules of every program: absolute path, no shell, deadline, bounded output. `env` tells
/// it what happened; what it said comes back. `by_manager`: as the service manager's child, outside of our sandbox.
///
/// # Errors
/// In words: not allowed, not there, ended with an error, or did not end in time.
pub async fn run_site_program(
    argv: &[String],
    env: &[(String, String)],
    deadline: Duration,
    by_manager: bool,
) -> Result<String, String> {
    let timeout = profile::Duration::from_ms(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
    let command = Command { argv: argv.to_vec(), timeout, class: Class::A0 };
    let parent = if by_manager { Parent::Systemd } else { Parent::Us };
    let done = program::run_with(Path::new("/"), &command, parent, env, Rule::For(Purpose::Notify)).await;
    let done = done.map_err(|error| wbd_model::text::chain(&error))?;
    match done.outcome {
        Outcome::Done => Ok(done.detail),
        Outcome::Failed | Outcome::Aborted | Outcome::Unknown => Err(done.detail),
    }
}
