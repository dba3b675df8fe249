//! Raises and restores the few kernel settings wbd may touch. Never lowers one, except back to what it was.
use std::path::Path;

use wbd_model::action::{Action, Change, SysctlRestore, Undo};
use wbd_model::entry::Outcome;
use wbd_model::text::chain;

use crate::done::{Done, Preview};
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

/// A machine's kernel settings and the drop-in that keeps them.
#[derive(Debug)]
pub(crate) struct Sysctl<'a> {
    root: &'a Path,
    kernel: &'a dyn Kernel,
}

/// A raise, resolved against the host as it is.
#[derive(Debug)]
struct Raise {
    present: i64,
    dropin: Option<String>,
    fresh: Option<String>,
}

impl<'a> Sysctl<'a> {
    pub(crate) fn of(machine: &'a Machine) -> Self {
        Self { root: machine.root(), kernel: machine.kernel() }
    }

    pub(crate) fn preview_set(&self, key: &str, value: i64, persist: bool) -> Result<Preview, ActionError> {
        let raise = self.raise(key, value, persist)?;
        if raise.present >= value {
            return Ok(Preview { changes: Vec::new(), undo: None });
        }
        let undo = Undo {
            action: Action::SysctlRestore(SysctlRestore {
                key: key.to_owned(),
                value: raise.present,
                dropin: raise.dropin.clone(),
            }),
        };
        let mut changes = vec![value_change(key, raise.present, value)];
        changes.extend(raise.fresh.as_deref().map(|fresh| self.file_change(key, raise.dropin.as_deref(), Some(fresh))));
        Ok(Preview { changes, undo: Some(undo) })
    }

    pub(crate) fn set(
        &self,
        key: &str,
        value: i64,
        persist: bool,
        captured: Option<&Undo>,
    ) -> Result<Done, ActionError> {
        let preview = self.preview_set(key, value, persist)?;
        let Some(undo) = preview.undo else {
            return Ok(Done::new(Outcome::Aborted, format!("already so: {key} is at least {value}")));
        };
        if captured != Some(&undo) {
            // What was captured is the way back; with another state underneath it would lead elsewhere.
            return Ok(Done::new(
                Outcome::Aborted,
                format!("{key} or its drop-in changed since the action was planned"),
            ));
        }
        let raise = self.raise(key, value, persist)?;
        self.write_value(key, value)?;
        let Some(fresh) = raise.fresh else {
            return Ok(Done::new(Outcome::Done, format!("{key} raised from {} to {value}", raise.present)));
        };
        let path = dropin::path(self.root);
        Ok(match dropin::write(&path, Some(&fresh)) {
            Ok(()) => Done::new(
                Outcome::Done,
                format!("{key} raised from {} to {value}, kept in {}", raise.present, path.display()),
            ),
            Err(error) => Done::new(
                Outcome::Failed,
                format!("{key} is raised to {value} until the next boot only: {}", chain(&error)),
            ),
        })
    }

    pub(crate) fn preview_restore(&self, key: &str, value: i64, before: Option<&str>) -> Result<Preview, ActionError> {
        let (present, dropin, restored) = self.way_back(key, before)?;
        let mut changes = Vec::new();
        if present != value {
            changes.push(value_change(key, present, value));
        }
        if dropin != restored {
            changes.push(self.file_change(key, dropin.as_deref(), restored.as_deref()));
        }
        Ok(Preview { changes, undo: None })
    }

    pub(crate) fn restore(&self, key: &str, value: i64, before: Option<&str>) -> Result<Done, ActionError> {
        let (present, dropin, restored) = self.way_back(key, before)?;
        if present == value && dropin == restored {
            return Ok(Done::new(
                Outcome::Aborted,
                format!("already so: {key} is {value}, and the drop-in is as it was"),
            ));
        }
        if present != value {
            self.write_value(key, value)?;
        }
        if dropin != restored {
            dropin::write(&dropin::path(self.root), restored.as_deref())?;
        }
        Ok(Done::new(Outcome::Done, format!("{key} put back from {present} to {value}, and the drop-in as it was")))
    }

    fn raise(&self, key: &str, value: i64, persist: bool) -> Result<Raise, ActionError> {
        let ceiling = ceiling(key)?;
        if !(1..=ceiling).contains(&value) {
            return Err(ActionError::NotAllowed {
                verb: "set",
                what: format!("{key} to {value}"),
                rule: "the value is outside wbd's own bounds for this key",
            });
        }
        let present = self.read_value(key)?;
        let dropin = dropin::read(&dropin::path(self.root))?;
        let fresh = persist.then(|| dropin::with(dropin.as_deref(), key, value));
        Ok(Raise { present, dropin, fresh })
    }

    fn way_back(&self, key: &str, before: Option<&str>) -> Result<(i64, Option<String>, Option<String>), ActionError> {
        ceiling(key)?;
        let present = self.read_value(key)?;
        let dropin = dropin::read(&dropin::path(self.root))?;
        let restored = dropin::restored(dropin.as_deref(), before, key);
        Ok((present, dropin, restored))
    }

    fn read_value(&self, key: &str) -> Result<i64, ActionError> {
        let text = self.kernel.read(key).map_err(|source| ActionError::kernel("read", key, source))?;
        number(key, &text)
    }

    fn write_value(&self, key: &str, value: i64) -> Result<(), ActionError> {
        let made = self.kernel.write(key, &value.to_string());
        let made = made.map_err(|source| ActionError::kernel("write", key, source))?;
        if number(key, &made)? == value {
            return Ok(());
        }
        let why = "the kernel took another value than was written; look at the kernel's own bounds";
        Err(ActionError::Setting { key: key.to_owned(), why })
    }

    fn file_change(&self, key: &str, before: Option<&str>, after: Option<&str>) -> Change {
        let line = |text: &str| match dropin::value_of(text, key) {
            Some(value) => format!("{key} = {value}"),
            None => format!("without {key}"),
        };
        let after = after.map_or_else(|| "no file".to_owned(), line);
        Change { what: dropin::path(self.root).display().to_string(), before: before.map(line), after }
    }
}

fn number(key: &str, text: &str) -> Result<i64, ActionError> {
    text.trim().parse().map_err(|_| ActionError::Setting { key: key.to_owned(), why: "it holds no number" })
}

fn value_change(key: &str, before: i64, after: i64) -> Change {
    Change { what: key.to_owned(), before: Some(before.to_string()), after: after.to_string() }
}

/// Also what keeps a key from naming any other file.
fn ceiling(key: &str) -> Result<i64, ActionError> {
    let known = KEYS.iter().find(|(known, _)| *known == key);
    known.map(|(_, ceiling)| *ceiling).ok_or_else(|| ActionError::NotAllowed {
        verb: "set",
        what: key.to_owned(),
        rule: "wbd sets fs.inotify.max_user_watches, max_user_instances and max_queued_events only",
    })
}
