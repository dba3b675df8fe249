//! Processes of the scratch folder: found by their program's path, ended by descriptor so that a reused number is never hit.
use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Whether a process runs a program below a folder (also one that was replaced meanwhile).
pub(crate) fn runs_below(pid: u32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program.starts_with(folder))
}

/// Every process that runs a program below a folder.
pub(crate) fn below(folder: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| runs_below(*pid, folder))
        .collect()
}

/// Sends a signal to a process, if it still is the one that runs a program below the folder.
///
/// # Errors
/// It is not, or the kernel refuses.
pub(crate) fn signal(pid: u32, folder: &Path, signal: Signal) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    let process = pidfd_open(number, PidfdFlags::empty())?;
    // Looked at after the descriptor is held: from here on the number cannot mean another process.
    if !runs_below(pid, folder) {
        return Err(gone());
    }
    pidfd_send_signal(&process, signal)?;
    Ok(())
}
