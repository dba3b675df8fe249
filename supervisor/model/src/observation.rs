//! What a probe saw: typed facts, each known or unknown with its reason. Has no opinion.
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of a fact, fixed for each field of each probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// true or false
    Bool,
    /// 64-bit signed whole number
    Int,
    /// text
    Text,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Text => "text",
        })
    }
}

/// A known value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// true or false
    Bool(bool),
    /// 64-bit signed whole number
    Int(i64),
    /// text
    Text(String),
}

impl Value {
    /// The value's type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Text(_) => Kind::Text,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// One fact: seen, or not seen and why. "Not seen" is never a default.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// Seen.
    Known(Value),
    /// Could not be seen; the reason, for people.
    Unknown(String),
}

/// The answer of one probe: every field of its schema, known or unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Observation {
    /// Facts by field name.
    pub facts: BTreeMap<String, Fact>,
}

impl Observation {
    /// Nothing could be seen: every field of `fields` unknown for the one `reason`.
    #[must_use]
    pub fn unseen(fields: &[Field], reason: &str) -> Self {
        let facts = fields.iter().map(|field| (field.name.to_owned(), Fact::Unknown(reason.to_owned()))).collect();
        Self { facts }
    }

    /// Sets a field to a known value.
    pub fn know(&mut self, field: &str, value: impl Into<Value>) -> &mut Self {
        self.facts.insert(field.to_owned(), Fact::Known(value.into()));
        self
    }

    /// Sets a field to unknown with its reason.
    pub fn miss(&mut self, field: &str, reason: impl Into<String>) -> &mut Self {
        self.facts.insert(field.to_owned(), Fact::Unknown(reason.into()));
        self
    }

    /// The fact of a field; a field the observation does not carry is unknown.
    #[must_use]
    pub fn fact(&self, field: &str) -> Fact {
        self.facts.get(field).cloned().unwrap_or_else(|| Fact::Unknown(format!("{field} was not observed")))
    }
}

/// The observations of one check by their names in the playbook (`ino`, `agent`).
pub type Observations = BTreeMap<String, Observation>;

/// One field of a probe's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name as expressions spell it.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What its number counts.
    pub unit: Unit,
    /// Its name for people.
    pub label: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// All that a text can be; empty where it may be anything.
    pub words: &'static [&'static str],
}

/// What the number of a field counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// It is no number.
    None,
    /// Things.
    Count,
    /// Nothing: a number that names something (a process, a port, an exit code).
    Id,
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Hundredths of a whole.
    Percent,
    /// Things a day.
    PerDay,
}

impl Unit {
    /// The word beside the type, where there is one to be said.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Count | Self::Id => None,
            Self::Milliseconds => Some("milliseconds"),
            Self::Seconds => Some("seconds"),
            Self::Minutes => Some("minutes"),
            Self::Hours => Some("hours"),
            Self::Percent => Some("percent"),
            Self::PerDay => Some("a day"),
        }
    }
}

impl Field {
    /// A field that is true or false.
    #[must_use]
    pub const fn truth(name: &'static str, label: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Bool, unit: Unit::None, label, doc, words: &[] }
    }

    /// A whole number of a unit.
    #[must_use]
    pub const fn number(name: &'static str, unit: Unit, label: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Int, unit, label, doc, words: &[] }
    }

    /// A text.
    #[must_use]
    pub const fn text(name: &'static str, label: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Text, unit: Unit::None, label, doc, words: &[] }
    }
    /// A text that is one of these words.
    #[must_use]
    pub const fn word(
        name: &'static str,
        label: &'static str,
        words: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Text, unit: Unit::None, label, doc, words }
    }
}
