//! Whether a process that looks like a web server is one of this host; names were looked at before.

use super::process::{Process, has_ended};
use std::io;
use std::path::Path;
use wbd_agent_api::standing::{self, Measure};

/// A reason names a path of somebody else's choice.
const MAX_CHARS: usize = 200;

/// How a process stands to this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is a server of this host.
    Ours,
    /// It is somebody's own, or a container's; why.
    Other(String),
    /// It has ended.
    Gone,
    /// It cannot be told.
    Unreadable,
}

/// A server runs here, and either root (or the agent's own user) runs it, or nobody else can have chosen its program: a
/// tomcat runs as a user of its own, on root's java.
pub(crate) fn standing(proc_root: &Path, measure: &Measure, process: &Process) -> Standing {
    let folder = proc_root.join(process.pid.to_string());
    let why = || -> io::Result<Option<String>> {
        if let Some(why) = measure.elsewhere(&folder)? {
            return Ok(Some(why));
        }
        let users = standing::users(&folder)?;
        if users.are_all(&measure.trusted()) && !standing::borrows_rights(&folder)? {
            return Ok(None);
        }
        measure.exchangeable(&folder, users, Path::new("/"))
    };
    match why() {
        Ok(None) => Standing::Ours,
        Ok(Some(why)) => {
            let name = process.name().to_string_lossy();
            let why: String = why.chars().take(MAX_CHARS).collect();
            Standing::Other(format!("{name} (pid {}) {why}", process.pid))
        }
        Err(error) if has_ended(&error) => Standing::Gone,
        Err(_) => Standing::Unreadable,
    }
}
