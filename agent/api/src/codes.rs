//! The documented error codes of the agent; what to do about each stands in the playbooks, not here.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A documented error code: the vendor's number, or a name of our own. Shown as `WBD-5404`, in JSON `5404` or `"CONFIG"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A code by the vendor's number.
    Number(u16),
    /// The agent's own settings are broken.
    Config,
}

impl Code {
    /// A web root or upload path given at registration does not exist or cannot be entered.
    pub const PATH_NOT_FOUND: Self = Self::Number(5002);
    /// No WAS (web application server) process is found.
    pub const WAS_NOT_FOUND: Self = Self::Number(5401);
    /// More WAS processes than allowed.
    pub const WAS_TOO_MANY: Self = Self::Number(5402);
    /// The WAS's access log cannot be read (JSP only).
    pub const ACCESS_LOG: Self = Self::Number(5403);
    /// The kernel refused a watch, or dropped events.
    pub const WATCH_LIMIT: Self = Self::Number(5404);
    /// A path that must be read cannot be.
    pub const PATH_UNREADABLE: Self = Self::Number(5405);
    /// A request on something that is not there (any more), or is already so.
    pub const ALREADY: Self = Self::Number(8004);
    /// A value in a request is not valid.
    pub const INVALID_VALUE: Self = Self::Number(8005);

    /// What the agent may raise in its health document, as against what it answers to a request.
    pub const RAISED: [Self; 6] = [
        Self::WAS_NOT_FOUND,
        Self::WAS_TOO_MANY,
        Self::ACCESS_LOG,
        Self::WATCH_LIMIT,
        Self::PATH_UNREADABLE,
        Self::Config,
    ];

    /// The vendor's number, if the code has one.
    #[must_use]
    pub fn number(self) -> Option<u16> {
        match self {
            Self::Number(number) => Some(number),
            Self::Config => None,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "WBD-{number}"),
            Self::Config => f.write_str("WBD-CONFIG"),
        }
    }
}

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix("WBD-").unwrap_or(text);
        if name == "CONFIG" {
            return Ok(Self::Config);
        }
        name.parse().map(Self::Number).map_err(|_| format!("{text:?} is no agent code; known are numbers and CONFIG"))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u16(*number),
            Self::Config => serializer.serialize_str("CONFIG"),
        }
    }
}

struct CodeVisitor;

impl de::Visitor<'_> for CodeVisitor {
    type Value = Code;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a code number or \"CONFIG\"")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Code, E> {
        u16::try_from(value).map(Code::Number).map_err(|_| E::custom(format!("{value} is no code number")))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Code, E> {
        value.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CodeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_reads_both_forms() {
        for (code, json, text) in [(Code::WATCH_LIMIT, "5404", "WBD-5404"), (Code::Config, "\"CONFIG\"", "WBD-CONFIG")]
        {
            assert_eq!(serde_json::to_string(&code).unwrap(), json);
            assert_eq!(serde_json::from_str::<Code>(json).unwrap(), code);
            assert_eq!(code.to_string(), text);
            assert_eq!(text.parse::<Code>().unwrap(), code);
        }
        assert!(serde_json::from_str::<Code>("70000").is_err());
        assert!("WBD-NEWS".parse::<Code>().is_err());
    }
}
