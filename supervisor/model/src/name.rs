//! Checked names: what may stand as a code, a playbook's or profile's name, a target. No I/O.
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is no name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {rule}")]
pub struct BadName {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name, if it keeps the rule of its kind.
            ///
            /// # Errors
            /// [`BadName`] quotes the text and the rule.
            pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(BadName { kind: $kind, text, rule: $rule })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_kebab(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn is_code(text: &str) -> bool {
    text.len() <= 32
        && text.contains('-')
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
}

checked_name!(
    /// The stable code of a documented failure: `WBD-5404`, `AEGIS-DNS`.
    Code,
    "code",
    "capital letters and digits in two or more parts joined by '-', at most 32 characters",
    is_code
);
checked_name!(
    /// A playbook's name: `inotify-limit`.
    PlaybookName,
    "playbook name",
    "lower-case letters and digits in parts joined by '-', at most 64 characters",
    is_kebab
);
checked_name!(
    /// A product profile's name: `wbd`, `iwss-ftp`.
    ProfileName,
    "profile name",
    "lower-case letters and digits in parts joined by '-', at most 64 characters",
    is_kebab
);
checked_name!(
    /// The thing cared for: a profile (`wbd`), an item of one (`aegis/example.com:80`), or `host`.
    TargetName,
    "target",
    "1 to 200 printable characters",
    |text| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
);

impl TargetName {
    /// The product that it belongs to, by its profile's name; of what is the host's, `host`.
    #[must_use]
    pub fn product(&self) -> &str {
        self.0.split('/').next().filter(|name| !name.is_empty()).unwrap_or(&self.0)
    }
}

impl Code {
    /// Reads a code as people type it: `5404` is `WBD-5404`, lower case is accepted.
    ///
    /// # Errors
    /// [`BadName`] when no code can be meant.
    pub fn from_spoken(text: &str) -> Result<Self, BadName> {
        let text = text.trim().to_ascii_uppercase();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::new(format!("WBD-{text}"));
        }
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_is_a_code_of_our_own_agent() {
        assert_eq!(Code::from_spoken("5404").unwrap().as_str(), "WBD-5404");
        assert_eq!(Code::from_spoken("wbd-5404").unwrap().as_str(), "WBD-5404");
    }

    #[test]
    fn an_item_of_a_product_is_the_products() {
        for (target, product) in
            [("aegis", "aegis"), ("aegis/update", "aegis"), ("aegis/a.b:80/c", "aegis"), ("/x", "/x")]
        {
            assert_eq!(TargetName::new(target).unwrap().product(), product);
        }
    }

    #[test]
    fn names_outside_their_rule_are_refused_with_the_rule() {
        for text in ["", "wbd", "WBD-", "WBD 5404", "wbd-5404"] {
            assert!(Code::new(text).is_err(), "{text:?}");
        }
        let error = PlaybookName::new("Inotify Limit").unwrap_err().to_string();
        assert!(error.contains("lower-case") && error.contains("Inotify Limit"), "{error}");
        assert!(TargetName::new("a\nb").is_err());
    }
}
