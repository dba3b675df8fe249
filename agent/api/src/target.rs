//! A detection target as it is registered; whether its folders exist is the agent's to find out.

use crate::BytesPath;
use serde::{Deserialize, Serialize};
use std::fmt;

/// More targets than this are refused: a settings file is bounded, and so is the work of one look.
pub const MAX_TARGETS: usize = 256;

/// The language a target's site is written in, which decides the WAS it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Served by exactly one apache, or one nginx with its php-fpm.
    Php,
    /// Served by exactly one tomcat.
    Jsp,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Php => "PHP",
            Self::Jsp => "JSP",
        })
    }
}

/// A target's name: 1 to 64 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetId(String);

/// The text is no target name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("target id {0:?} is not valid; use 1 to 64 of a-z A-Z 0-9 . _ - and start with a letter or digit")]
pub struct InvalidTargetId(String);

impl TargetId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TargetId {
    type Error = InvalidTargetId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && text.len() <= 64 && text.chars().all(allowed) {
            Ok(Self(text))
        } else {
            Err(InvalidTargetId(text.chars().take(80).collect()))
        }
    }
}

impl From<TargetId> for String {
    fn from(id: TargetId) -> Self {
        id.0
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One registered site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name, unique among the targets.
    pub id: TargetId,
    /// Folder the site is served from; absolute.
    pub web_root: BytesPath,
    /// Folder that visitors can write to, where the site has one; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_path: Option<BytesPath>,
    /// Language of the site.
    pub language: Language,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_names_are_checked() {
        for good in ["a", "shop-1", "Shop_2.example"] {
            assert!(TargetId::try_from(good.to_string()).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a/b", "a b", "日本", &"x".repeat(65)] {
            assert!(TargetId::try_from(bad.to_string()).is_err(), "{bad}");
        }
    }
}
