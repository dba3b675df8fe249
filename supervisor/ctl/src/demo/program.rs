//! Where a program of wbd lies.
use std::path::PathBuf;

use crate::exit::Failure;

/// A program of wbd: beside this one, or where packages put it.
pub(super) fn find(name: &str, installed: &str) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    [beside, Some(PathBuf::from(installed))].into_iter().flatten().find(|path| path.is_file()).ok_or_else(|| {
        Failure::failed(format!("cannot find {name} beside wbdctl or at {installed}; build it: cargo build --release"))
    })
}
