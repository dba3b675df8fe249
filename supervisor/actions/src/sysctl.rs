//! One of the few kernel settings that wbd may touch, and the drop-in that keeps it. Decides no value.
use std::path::{Path, PathBuf};

use wbd_model::action::Change;

use crate::dropin;
use crate::error::ActionError;
use crate::kernel::Kernel;
use crate::reach::Machine;

/// What may be set, and up to where: a value beyond costs more kernel memory than any host should give.
const KEYS: [(&str, i64); 3] = [
    ("fs.inotify.max_user_watches", 16 << 20),
    ("fs.inotify.max_user_instances", 64 << 10),
    ("fs.inotify.max_queued_events", 4 << 20),
];

/// A kernel setting of a machine.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    root: &'a Path,
    kernel: &'a dyn Kernel,
    key: &'a str,
    ceiling: i64,
}

impl<'a> Setting<'a> {
    /// The setting of this key, if it is one that wbd may touch; that is also what keeps a key from naming any other
    /// file.
    pub(crate) fn of(machine: &'a Machine, key: &'a str) -> Result<Self, ActionError> {
        let known = KEYS.iter().find(|(known, _)| *known == key);
        let (_, ceiling) = *known.ok_or_else(|| ActionError::NotAllowed {
            verb: "set",
            what: key.to_owned(),
            rule: "wbd sets fs.inotify.max_user_watches, max_user_instances and max_queued_events only".to_owned(),
        })?;
        Ok(Self { root: machine.root(), kernel: machine.kernel(), key, ceiling })
    }

    /// The highest value that wbd sets.
    pub(crate) fn ceiling(&self) -> i64 {
        self.ceiling
    }

    /// The file that keeps it over the next boot.
    pub(crate) fn dropin(&self) -> PathBuf {
        dropin::path(self.root)
    }

    pub(crate) fn read(&self) -> Result<i64, ActionError> {
        let text = self.kernel.read(self.key).map_err(|source| ActionError::kernel("read", self.key, source))?;
        self.number(&text)
    }

    pub(crate) fn write(&self, value: i64) -> Result<(), ActionError> {
        let made = self.kernel.write(self.key, &value.to_string());
        let made = made.map_err(|source| ActionError::kernel("write", self.key, source))?;
        if self.number(&made)? == value {
            return Ok(());
        }
        let why = "the kernel took another value than was written; look at the kernel's own bounds";
        Err(ActionError::Setting { key: self.key.to_owned(), why })
    }

    /// What a new text of the drop-in changes for this setting.
    pub(crate) fn file_change(&self, before: Option<&str>, after: Option<&str>) -> Change {
        let line = |text: &str| match dropin::value_of(text, self.key) {
            Some(value) => format!("{} = {value}", self.key),
            None => format!("without {}", self.key),
        };
        let after = after.map_or_else(|| "no file".to_owned(), line);
        Change { what: self.dropin().display().to_string(), before: before.map(line), after }
    }

    fn number(&self, text: &str) -> Result<i64, ActionError> {
        let why = "it holds no number";
        text.trim().parse().map_err(|_| ActionError::Setting { key: self.key.to_owned(), why })
    }
}

/// What another value changes.
pub(crate) fn value_change(key: &str, before: i64, after: i64) -> Change {
    Change { what: key.to_owned(), before: Some(before.to_string()), after: after.to_string() }
}
