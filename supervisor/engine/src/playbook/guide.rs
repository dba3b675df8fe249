//! A line of a guide as it is written: a text, or one with the programs that it needs. Looks for no program.
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de;

use super::one_or_more::OneOrMore;
use crate::yaml::At;

/// A step for a person that is shown only on hosts with these programs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Needing {
    /// The step.
    pub(crate) line: At<String>,
    /// Programs that it needs, by name or absolute path: the line is shown only where all of them are.
    pub(crate) needs: OneOrMore<At<String>>,
}

/// A step for a person.
#[derive(Debug)]
pub(crate) enum GuideLine {
    Always(String),
    Where(Needing),
}

impl<'de> Deserialize<'de> for GuideLine {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct GuideLineVisitor;
        impl<'de> de::Visitor<'de> for GuideLineVisitor {
            type Value = GuideLine;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or {line: ..., needs: [program]}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<GuideLine, E> {
                Ok(GuideLine::Always(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, access: A) -> Result<GuideLine, A::Error> {
                Needing::deserialize(de::value::MapAccessDeserializer::new(access)).map(GuideLine::Where)
            }
        }
        deserializer.deserialize_any(GuideLineVisitor)
    }
}

impl JsonSchema for GuideLine {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "GuideLine".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (always, needing) = (generator.subschema_for::<String>(), generator.subschema_for::<Needing>());
        schemars::json_schema!({ "anyOf": [always, needing] })
    }
}

/// Why this is no name of a program.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let is_part = |part: &str| {
        !part.is_empty() && part != ".." && part.chars().all(|c| c.is_ascii_alphanumeric() || "._+-@".contains(c))
    };
    let is_name = match name.strip_prefix('/') {
        Some(path) => path.split('/').all(is_part),
        None => is_part(name),
    };
    let rule = "is no program: write its name as it is typed, without arguments, or its absolute path";
    (!is_name || name.len() > 200).then_some(rule)
}
