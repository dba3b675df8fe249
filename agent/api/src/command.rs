//! The command channel's contract: names on the bus, requests and answers; no transport.
//!
//! The agent serves D-Bus peer-to-peer on [`crate::paths::socket`]: one object, one interface, one method
//! `Call(s) -> s`, JSON of [`Command`] in and of [`Reply`] out.

use crate::{Code, HealthDocument, Target, TargetId};
use serde::{Deserialize, Serialize};

/// Interface of the command object.
pub const INTERFACE_NAME: &str = "wbd.Agent1";
/// Path of the command object.
pub const OBJECT_PATH: &str = "/wbd/agent";
/// The one method: a JSON text in, a JSON text out.
pub const METHOD_NAME: &str = "Call";
/// A longer request is refused unread, in bytes.
pub const MAX_CALL_BYTES: usize = 256 * 1024;

/// A request to the agent. All but `Status` need root, or the user the agent runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Start detecting; refused with 5401, 5402, 5403 or 5405 where they hold, done where already active.
    Activate,
    /// Stop detecting; done where already inactive.
    Deactivate,
    /// Read the settings again and look at everything again.
    Reload,
    /// Say how it is.
    Status,
    /// Put this list in the place of all targets.
    TargetSet {
        /// The new list.
        targets: Vec<Target>,
    },
    /// Add one target, or refuse if its id is taken by a different one.
    TargetAdd {
        /// The new target.
        target: Target,
    },
    /// Remove one target.
    TargetRemove {
        /// The target's id.
        id: TargetId,
    },
}

/// The agent's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is so now.
    Done,
    /// The request cannot be granted as things are; nothing was changed.
    Refused {
        /// The documented code.
        code: Code,
        /// What holds, and what the operator can do.
        message: String,
    },
    /// The caller may not ask this; nothing was changed.
    NotPermitted {
        /// Who may.
        message: String,
    },
    /// The agent's own work failed, for example a full disk.
    Failed {
        /// What failed.
        message: String,
    },
    /// Answer to `Status`.
    Status {
        /// The document as it stands now.
        health: Box<HealthDocument>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_documented() {
        assert_eq!(serde_json::from_str::<Command>("\"activate\"").unwrap(), Command::Activate);
        let add = r#"{"target_add":{"target":{"id":"shop","web_root":"/srv/shop","language":"php"}}}"#;
        let Command::TargetAdd { target } = serde_json::from_str(add).unwrap() else { panic!("not target_add") };
        assert_eq!(target.upload_path, None);
        for bad in [r#""explode""#, r#"{"target_remove":{"id":"a/b"}}"#, r#"{"target_remove":{"id":"a","x":1}}"#] {
            assert!(serde_json::from_str::<Command>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_carries_its_code() {
        let reply = Reply::Refused { code: Code::WAS_NOT_FOUND, message: "m".into() };
        assert_eq!(serde_json::to_string(&reply).unwrap(), r#"{"refused":{"code":5401,"message":"m"}}"#);
    }
}
