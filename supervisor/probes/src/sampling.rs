//! One reading of a process's open files, with what names this life of this process. Keeps nothing.
use std::fs;
use std::os::unix::fs::MetadataExt;

use wbd_agent_api::{ThisBoot, paths};
use wbd_model::profile::ProcessSelector;

use crate::probe::fd_usage;
use crate::procs;
use crate::runner::{ProbeContext, ProbeRunner};

/// Open files of one process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Start of the process in clock ticks since boot.
    pub start_ticks: u64,
    /// Device, inode and change time of its program.
    pub executable: String,
    /// Open file descriptors.
    pub open: u32,
    /// Soft limit.
    pub limit: u32,
}

impl ProbeRunner {
    /// Reads the open files of the oldest process that is meant; `None` if none runs.
    ///
    /// # Errors
    /// In words, what could not be seen.
    pub fn reading(&self, selector: &ProcessSelector) -> Result<Option<Reading>, String> {
        let (question, selector) = (format!("reading {selector:?}"), selector.clone());
        self.aside(&question, move |context| reading(context, &selector))?
    }

    /// Whether the process that started then still runs under this id; a zombie does not.
    ///
    /// # Errors
    /// In words, what could not be seen.
    pub fn still_runs(&self, pid: u32, start_ticks: u64) -> Result<bool, String> {
        procs::still_runs(&self.proc, pid, start_ticks)
    }

    /// The process that wrote the agent's health document of this boot, where it does not run any more. Blocks for as
    /// long as the disk does.
    #[must_use]
    pub fn agent_gone(&self) -> Option<u32> {
        let document = wbd_agent_api::read(&paths::health(&self.root)).ok()?;
        let is_gone = !self.still_runs(document.pid, document.start_ticks).ok()?;
        (is_gone && document.is_of(&ThisBoot::now(&self.proc))).then_some(document.pid)
    }
}

fn reading(context: &ProbeContext, selector: &ProcessSelector) -> Result<Option<Reading>, String> {
    let chosen = procs::choose(context, selector)?;
    let Ok(process) = chosen.oldest() else { return Ok(None) };
    let folder = context.proc().join(process.pid.to_string());
    let open = fd_usage::open(context.proc(), &folder.join("fd"))?;
    let (soft, _) = fd_usage::limits(context.proc(), &folder.join("limits"))?;
    // Of the running program itself, also when its file was replaced meanwhile.
    let program = fs::metadata(folder.join("exe")).map_err(|error| format!("cannot look at its program: {error}"))?;
    Ok(Some(Reading {
        start_ticks: process.start_ticks,
        executable: format!("{}:{}:{}", program.dev(), program.ino(), program.ctime()),
        open: u32::try_from(open).unwrap_or(u32::MAX),
        limit: u32::try_from(soft).unwrap_or(u32::MAX),
    }))
}
