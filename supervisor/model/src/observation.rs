//! What a probe saw: typed facts, each known or unknown with its reason. Has no opinion.
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::length;

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
    /// Its name for people; of one that is true or false, what is so while it is true.
    pub label: &'static str,
    /// Of one that is true or false: what is so while it is false.
    pub otherwise: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
    /// All that a text can be; empty where it may be anything.
    pub words: &'static [&'static str],
}

/// Characters of a text that evidence shows.
const LONGEST: usize = 200;

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

    /// A number with its unit, as people write it.
    #[must_use]
    fn of(self, number: i64) -> String {
        match self {
            Self::None | Self::Count | Self::Id => number.to_string(),
            Self::Milliseconds => u64::try_from(number).map_or_else(|_| format!("{number} ms"), length),
            Self::Seconds => {
                let ms = u64::try_from(number).ok().and_then(|seconds| seconds.checked_mul(1_000));
                ms.filter(|ms| *ms > 0).map_or_else(|| format!("{number} s"), length)
            }
            Self::Minutes => format!("{number} min"),
            Self::Hours => format!("{number} h"),
            Self::Percent => format!("{number} %"),
            Self::PerDay => format!("{number} a day"),
        }
    }
}

impl Field {
    /// A field that is true or false, with a clause for each.
    #[must_use]
    pub const fn flag(
        name: &'static str,
        when_true: &'static str,
        when_false: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Bool,
            unit: Unit::None,
            label: when_true,
            otherwise: Some(when_false),
            doc,
            words: &[],
        }
    }

    /// A whole number of a unit.
    #[must_use]
    pub const fn number(name: &'static str, unit: Unit, label: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Int, unit, label, otherwise: None, doc, words: &[] }
    }

    /// A text.
    #[must_use]
    pub const fn text(name: &'static str, label: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Text, unit: Unit::None, label, otherwise: None, doc, words: &[] }
    }

    /// A text that is one of these words.
    #[must_use]
    pub const fn word(
        name: &'static str,
        label: &'static str,
        words: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Text, unit: Unit::None, label, otherwise: None, doc, words }
    }

    /// The field with its value, for people: label, value and unit.
    #[must_use]
    pub fn in_words(&self, fact: &Fact) -> String {
        let label = self.label;
        match (fact, self.otherwise) {
            (Fact::Known(Value::Bool(true)), _) => label.to_owned(),
            (Fact::Known(Value::Bool(false)), Some(otherwise)) => otherwise.to_owned(),
            (Fact::Known(Value::Bool(false)), None) => format!("{label}: no"),
            (Fact::Known(Value::Int(number)), _) => format!("{label}: {}", self.unit.of(*number)),
            (Fact::Known(Value::Text(text)), _) if text.is_empty() => format!("{label}: none"),
            (Fact::Known(Value::Text(text)), _) => {
                let more = if text.chars().count() > LONGEST { "..." } else { "" };
                format!("{label}: {}{more}", text.chars().take(LONGEST).collect::<String>())
            }
            (Fact::Unknown(_), Some(_)) => format!("it is not known whether {label}"),
            (Fact::Unknown(_), None) => format!("{label}: not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_told_with_label_value_and_unit() {
        let stop = Field::flag("stop_noted", "a person stopped it", "nobody asked for a stop", "doc");
        let age = Field::number("age_ms", Unit::Milliseconds, "last heartbeat", "doc");
        let unit = Field::text("active", "state of the unit", "doc");
        let number = |unit, number: i64| Field::number("n", unit, "n", "doc").in_words(&Fact::Known(number.into()));
        let unknown = Fact::Unknown("needs root".to_owned());
        for (told, expected) in [
            (stop.in_words(&Fact::Known(true.into())), "a person stopped it"),
            (stop.in_words(&Fact::Known(false.into())), "nobody asked for a stop"),
            (stop.in_words(&unknown), "it is not known whether a person stopped it"),
            (age.in_words(&Fact::Known(12_300.into())), "last heartbeat: 12 s"),
            (age.in_words(&unknown), "last heartbeat: not known"),
            (unit.in_words(&Fact::Known("failed".into())), "state of the unit: failed"),
            (unit.in_words(&Fact::Known("".into())), "state of the unit: none"),
            (number(Unit::Count, 8_192), "n: 8192"),
            (number(Unit::Seconds, 0), "n: 0 s"),
            (number(Unit::Seconds, 600), "n: 10 min"),
            (number(Unit::Milliseconds, -1), "n: -1 ms"),
            (number(Unit::Minutes, 5), "n: 5 min"),
            (number(Unit::Hours, 1), "n: 1 h"),
            (number(Unit::Percent, 92), "n: 92 %"),
            (number(Unit::PerDay, 40), "n: 40 a day"),
        ] {
            assert_eq!(told, expected);
        }
        let long = unit.in_words(&Fact::Known("x".repeat(300).into()));
        assert!(long.ends_with("x...") && long.len() < 230, "{long}");
    }
}
