//! `sysctl.set`: a kernel setting is raised.
use serde::{Deserialize, Serialize};

use super::declared::{Conflict, Declaration, Given, NamedBy, OnAgent};
use super::does::Does;
use crate::class::Class;
use crate::declared::{Parameter, Takes};

/// Its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SysctlSet {
    /// One of the keys that wbd may set (`fs.inotify.*`).
    pub key: String,
    /// The new value.
    pub value: i64,
    /// Also write the drop-in.
    pub persist: bool,
}

/// All that is said of it.
pub(super) const DECLARATION: Declaration = Declaration {
    key: "sysctl.set",
    does: "Raise a kernel setting now, and for good in wbd's own sysctl.d drop-in where `persist` is true.",
    class: Class::A1,
    named_by: NamedBy::Playbook,
    parameters: &[
        Parameter {
            name: "key",
            takes: Takes::Word(&[
                "fs.inotify.max_user_watches",
                "fs.inotify.max_user_instances",
                "fs.inotify.max_queued_events",
            ]),
            required: true,
            doc: "The kernel setting.",
        },
        Parameter {
            name: "value",
            takes: Takes::Number,
            required: true,
            doc: "The new value: a number, or `{cel: ...}`.",
        },
        Parameter {
            name: "persist",
            takes: Takes::Truth,
            required: false,
            doc: "Also write wbd's own drop-in in sysctl.d, so that it survives a reboot.",
        },
    ],
    needs: &[],
    agent: OnAgent::Nothing,
    provable: true,
    conflicts: "another action on the same kernel setting",
    undo: Some("the value and the file as they were"),
    alone: Some("which `sysctl -w` to type, as the kernel is the machine's"),
};

/// With the values of a step.
pub(super) fn of(given: &Given<'_>) -> Result<SysctlSet, String> {
    let key = given.text("key")?.to_owned();
    let value = given.number("value").map_err(|why| format!("value of {key}: {why}"))?;
    if value <= 0 {
        return Err(format!("{key} would be set to {value}: only values above 0 make sense"));
    }
    Ok(SysctlSet { key, value, persist: given.truth("persist") })
}

impl Does for SysctlSet {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }
    fn describe(&self) -> String {
        let Self { key, value, persist } = self;
        format!("set {key} to {value}{}", if *persist { ", now and at each boot" } else { "" })
    }
    fn conflict(&self) -> Conflict {
        Conflict::Sysctl(self.key.clone())
    }
    fn typed(&self) -> Option<String> {
        Some(format!("sysctl -w {}={}", self.key, self.value))
    }
    fn reads(&self) -> Option<&str> {
        Some(&self.key)
    }
}
