//! `sysctl.restore`: a kernel setting and the drop-in are put back as they were.
use serde::{Deserialize, Serialize};

use super::declared::{Conflict, Declaration, NamedBy, OnAgent};
use super::does::Does;
use crate::class::Class;

/// Its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SysctlRestore {
    /// The key.
    pub key: String,
    /// The value before.
    pub value: i64,
    /// The drop-in's text before; `None` if there was no file.
    pub dropin: Option<String>,
}

/// All that is said of it.
pub(super) const DECLARATION: Declaration = Declaration {
    key: "sysctl.restore",
    does: "Put a kernel setting and wbd's own sysctl.d drop-in back as they were.",
    class: Class::A1,
    named_by: NamedBy::Undo,
    parameters: &[],
    needs: &[],
    agent: OnAgent::Nothing,
    provable: true,
    conflicts: "another action on the same kernel setting",
    undo: None,
    alone: Some("which `sysctl -w` to type, as the kernel is the machine's"),
};

impl Does for SysctlRestore {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }
    fn describe(&self) -> String {
        format!("put {} back to {}", self.key, self.value)
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
